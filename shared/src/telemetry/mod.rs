//! What the functions say about themselves: JSON log lines, one of them at the end of each invocation, metrics inside such
//! lines, and the correlation id that ties the lines of one request together.

mod catalogue;
pub mod correlation;
mod embedded;
mod invocation;
mod json_layer;
pub mod meter;
pub mod metrics;
mod panics;
mod sandbox;
mod scrub;
pub mod sentry;
#[cfg(test)]
pub(crate) mod testing;

use std::io::Write as _;
use std::sync::Arc;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

pub use self::catalogue::{Metric, catalogue};
pub use self::embedded::Unit;
pub use self::invocation::{ANSWERED, Ending};
use self::json_layer::JsonLayer;
pub use self::metrics::Outcome;
pub use self::panics::caught;
pub use self::sandbox::{sandbox, set_sandbox};

/// How the targets of our own lines begin, but for those of the function itself.
const OURS: &str = "kitloop";
/// Where the runtime logs errors and panics of handlers once more, after we did with the correlation id.
const LOGGED_BY_US: &str = "lambda_runtime::layers::panic";
/// Where the runtime opens the span of an invocation, which has its request id and trace id and nothing else.
const INVOCATION: &str = "lambda_runtime::layers::trace";

/// Sends every log line of this process to standard output, as JSON, and panics too. Repeated calls do nothing.
///
/// `filter` is what RUST_LOG or LOG_LEVEL say: a level, or directives as `tracing-subscriber` knows them.
pub fn init(filter: Option<&str>) {
    let layer = JsonLayer::new(Arc::new(|line: &str| {
        // Nobody is left to tell when standard output is gone.
        drop(std::io::stdout().lock().write_all(line.as_bytes()));
    }));
    if tracing_subscriber::registry().with(layer.with_filter(kept(filter))).try_init().is_err() {
        return;
    }
    panics::log();
    if filter.is_some_and(|filter| EnvFilter::try_new(filter).is_err()) {
        tracing::warn!(filter, "telemetry.bad_filter");
    }
}

/// What is logged of what `asked` asks for, which is info where it makes no sense. Metrics are always kept.
fn kept<S: Subscriber + for<'a> LookupSpan<'a>>(asked: Option<&str>) -> impl Filter<S> + use<S> {
    let asked = asked.and_then(|asked| EnvFilter::try_new(asked).ok());
    let metrics = format!("{}=info", embedded::TARGET).parse();
    let asked =
        metrics.into_iter().fold(asked.unwrap_or_else(|| EnvFilter::new("info")), EnvFilter::add_directive);
    asked.and(filter_fn(holds_no_secret))
}

/// Below warn, libraries log what passes through them, whatever level is asked for: the runtime whole events with
/// their tokens, `tokio_postgres` parameters, `hyper` headers.
fn holds_no_secret(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let is_invocation = metadata.is_span() && target == INVOCATION;
    is_ours(target) || is_invocation || (*metadata.level() <= Level::WARN && target != LOGGED_BY_US)
}

/// Whether a line comes from the library or from the function that runs here, whose crate has its name.
fn is_ours(target: &str) -> bool {
    target.starts_with(OURS) || target.split("::").next() == Some(sandbox().function)
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::testing::Recorder;

    /// The targets of what is logged, of everything that happens here.
    fn logged(filter: Option<&str>) -> Vec<String> {
        let (recorder, _guard) = Recorder::filtered(filter);
        tracing::trace!(target: "lambda_runtime::layers::api_response", body = "Bearer x", "raw");
        tracing::debug!(target: "tokio_postgres::query", "parameters");
        tracing::info!(target: "some_new_library", "body");
        tracing::warn!(target: "tokio_postgres", "library.warned");
        tracing::error!(target: LOGGED_BY_US, "again");
        tracing::trace!(target: "kitloop::http", "ours.traced");
        tracing::info!("ours.told");
        metrics::guard_open("reserve_gear");
        let message = |line: &serde_json::Value| line["message"].as_str().unwrap_or_default().to_owned();
        recorder.lines().iter().map(message).collect()
    }

    #[test]
    fn libraries_stay_at_warn_whatever_is_asked_for() {
        let expected = ["library.warned", "ours.traced", "ours.told", "metrics"];
        assert_eq!(logged(Some("trace")), expected);
        assert_eq!(logged(Some("trace,tokio_postgres::query=trace,lambda_runtime=trace")), expected);
    }

    #[test]
    fn the_function_that_runs_here_is_ours_and_another_is_not() {
        set_sandbox("stripe_webhook", "test");
        let (recorder, _guard) = Recorder::filtered(None);
        tracing::info!(target: "stripe_webhook::handler", "ours.told");
        tracing::info!(target: "stripe_webhook_sdk", "body");
        assert_eq!(recorder.lines().len(), 1);
        assert!(is_ours("stripe_webhook") && is_ours("kitloop::door") && !is_ours("unknown"));
    }

    #[test]
    fn a_filter_that_makes_no_sense_falls_back_to_info() {
        for filter in [Some("a=b=c"), None] {
            assert_eq!(logged(filter), ["library.warned", "ours.told", "metrics"]);
        }
    }

    #[test]
    fn lines_keep_the_request_id_of_the_runtimes_span() {
        let (recorder, _guard) = Recorder::filtered(Some("info"));
        tracing::info_span!(target: INVOCATION, "invoke", requestId = "r-1")
            .in_scope(|| tracing::info!("ours.told"));
        assert_eq!(recorder.lines()[0]["context"]["requestId"], "r-1");
    }

    #[test]
    fn metrics_are_kept_at_every_level() {
        assert_eq!(logged(Some("error")), ["metrics"]);
    }
}
