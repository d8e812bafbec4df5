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
        if !stderr().is_terminal() {
            return Self::begin_aloud(what);
        }
        let step = Self::new(what.into(), ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})") {
            step.bar.set_style(style);
        }
        step.bar.set_message(step.what.clone());
        step.bar.enable_steady_tick(Duration::from_millis(100));
        step
    }

    /// Says that a step of so many parts begins, each of which is to [`Step::advance`] it.
    pub fn begin_counted(what: impl Into<String>, parts: usize) -> Self {
        if !stderr().is_terminal() {
            return Self::begin_aloud(what);
        }
        let step = Self::new(what.into(), ProgressBar::new(u64::try_from(parts).unwrap_or(u64::MAX)));
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {bar:30} {pos}/{len} ({elapsed})")
        {
            step.bar.set_style(style);
        }
        step.bar.set_message(step.what.clone());
        step.bar.enable_steady_tick(Duration::from_millis(100));
        step
    }

    /// Says that another part of the step is done.
    pub fn advance(&self) {
        self.bar.inc(1);
    }

    /// Says that a step begins which shows its progress itself.
    pub fn begin_aloud(what: impl Into<String>) -> Self {
        let step = Self::new(what.into(), ProgressBar::hidden());
        eprintln!("  … {}", step.what);
        step
    }

    fn new(what: String, bar: ProgressBar) -> Self {
        Self { bar, started: Instant::now(), what }
    }

    /// Says that the step is done, and how long it took.
    pub fn done(self) {
        self.bar.finish_and_clear();
        eprintln!("  ✓ {} ({:.1?})", self.what, self.started.elapsed());
    }
}
