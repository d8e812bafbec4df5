//! Everything that starts, installs and seeds the local stack; the command line is a thin layer over it.

mod certificates;
mod command;
mod daemon;
pub mod functions;
pub mod migrations;
mod ministack;
mod net;
pub mod paths;
mod pgbouncer;
pub mod postgres;
mod progress;
mod run;
mod runtime;
mod secret;
mod system_user;
mod test_servers;
pub mod tools;

pub use ministack::{GUARD_TABLE, Ministack, REGION};
pub use pgbouncer::PgBouncer;
pub use progress::Step;
pub use run::Run;
pub use runtime::Runtime;
pub use test_servers::TestServers;
