//! Says what takes longer than a moment, while it does.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A step that is under way, shown as a spinner with its time (or as plain lines when nobody watches).
pub struct Step {
    bar: ProgressBar,
    started: Instant,
    what: String,
}

impl Step {
    /// Says that the step begins.
    pub fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = ProgressBar::new_spinner().with_message(what.clone());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        if !stderr().is_terminal() {
            eprintln!("  … {what}");
        }
        Self { bar, started: Instant::now(), what }
    }

    /// Says that the step is done, and how long it took.
    pub fn done(self) {
        self.bar.finish_and_clear();
        eprintln!("  ✓ {} ({:.1?})", self.what, self.started.elapsed());
    }
}
