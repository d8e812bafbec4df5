//! What tells the lines, metrics and reports of this process from those of others.

use std::sync::OnceLock;

/// The function that runs here, and where.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The function's name, such as `reserve_gear`.
    pub function: &'static str,
    /// `ENVIRONMENT`.
    pub environment: String,
}

static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
static UNNAMED: Sandbox = Sandbox { function: "unknown", environment: String::new() };

/// Names this sandbox from now on; the first call counts.
pub fn set_sandbox(function: &'static str, environment: &str) {
    // A second call would be of the same process, and so of the same function.
    let _ = SANDBOX.set(Sandbox { function, environment: environment.to_owned() });
}

/// This sandbox, as far as it is known.
#[must_use]
pub fn sandbox() -> &'static Sandbox {
    SANDBOX.get().unwrap_or(&UNNAMED)
}
