//! Where the project's files are.

use std::path::{Path, PathBuf};

/// The root of the workspace this command line was built in.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).unwrap_or(here)
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, or `target` in the root.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The folder of the built programs (dev profile).
pub fn programs() -> PathBuf {
    target().join("debug")
}

/// The folder of the tools installed for this project alone.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The folder of what a running stack leaves for people to read: `stack.json`, logs.
pub fn local() -> PathBuf {
    target().join("local")
}

/// The folder of what the functions of a running stack write, one file for each.
pub fn logs() -> PathBuf {
    local().join("logs")
}

/// The migrations, read when they are run.
pub fn migrations() -> PathBuf {
    root().join("migrations")
}
