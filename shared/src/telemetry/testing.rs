//! Captures what is logged, for tests.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::json_layer::JsonLayer;

/// Collects log lines while it is the subscriber.
pub(crate) struct Recorder {
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Recorder {
    /// Records what this thread logs until the guard is dropped.
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        Self::filtered(Some("kitloop=trace"))
    }

    /// As [`Recorder::start`], of what a process with this filter would log.
    pub(crate) fn filtered(filter: Option<&str>) -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let layer = JsonLayer::new(Arc::new(move |line: &str| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(serde_json::from_str(line).unwrap());
        }));
        let guard = tracing::subscriber::set_default(
            tracing_subscriber::registry().with(layer.with_filter(super::kept(filter))),
        );
        (Self { lines }, guard)
    }

    /// What was logged so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The lines logged while `work` ran.
pub(crate) fn capture(work: impl FnOnce()) -> Vec<Value> {
    let (recorder, _guard) = Recorder::start();
    work();
    recorder.lines()
}
