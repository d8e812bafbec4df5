//! What the functions say about themselves: JSON log lines, metrics inside such lines, and the correlation id that
//! ties the lines of one request together.

pub mod correlation;
mod json_layer;
pub mod metrics;
#[cfg(test)]
pub(crate) mod testing;

use std::io::Write as _;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::json_layer::JsonLayer;

/// Libraries that log values (`tokio_postgres` logs parameters at debug) or too much, held at warn whatever is asked.
const HELD_AT_WARN: &[&str] =
    &["tokio_postgres", "hyper", "hyper_util", "h2", "reqwest", "rustls", "aws_runtime", "aws_config"];
const HELD_AT_WARN_SMITHY: &[&str] =
    &["aws_sdk_dynamodb", "aws_sigv4", "aws_smithy_http", "aws_smithy_runtime", "aws_smithy_runtime_api"];

/// Where the runtime logs errors and panics of handlers once more, after we did with the correlation id.
const LOGGED_BY_US: &str = "lambda_runtime::layers::panic";

/// Sends every log line of this process to standard output, as JSON, and panics too. Repeated calls do nothing.
///
/// `filter` is what RUST_LOG or LOG_LEVEL say: a level, or directives as `tracing-subscriber` knows them.
pub fn init(filter: Option<&str>) {
    let layer = JsonLayer::new(Arc::new(|line: &str| {
        // Nobody is left to tell when standard output is gone.
        drop(std::io::stdout().lock().write_all(line.as_bytes()));
    }));
    if tracing_subscriber::registry().with(env_filter(filter)).with(layer).try_init().is_ok() {
        log_panics();
    }
}

fn env_filter(filter: Option<&str>) -> EnvFilter {
    let asked = filter.and_then(|filter| EnvFilter::try_new(filter).ok());
    let held = HELD_AT_WARN.iter().chain(HELD_AT_WARN_SMITHY).map(|target| format!("{target}=warn"));
    held.chain([format!("{}=info", metrics::TARGET), format!("{LOGGED_BY_US}=off")])
        .filter_map(|directive| directive.parse().ok())
        .fold(asked.unwrap_or_else(|| EnvFilter::new("info")), EnvFilter::add_directive)
}

/// The runtime reports a panic as the invocation's error; this puts it into the log.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, reason = panic.payload_as_str(), "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_makes_no_sense_falls_back_to_info() {
        assert!(env_filter(Some("a=b=c")).to_string().contains("info"));
        assert!(env_filter(None).to_string().contains("info"));
    }

    #[test]
    fn libraries_that_log_values_stay_at_warn() {
        let filter = env_filter(Some("debug,tokio_postgres=trace")).to_string();
        assert!(
            filter.contains("tokio_postgres=warn") && !filter.contains("tokio_postgres=trace"),
            "{filter}"
        );
    }
}
