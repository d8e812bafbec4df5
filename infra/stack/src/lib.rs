//! Everything that starts, installs and seeds the local stack; the command line is a thin layer over it.

mod certificates;
mod command;
mod daemon;
mod front;
pub mod functions;
mod local_stack;
pub mod migrations;
mod ministack;
mod net;
pub mod paths;
mod pgbouncer;
mod postgres;
mod processes;
mod progress;
mod run;
mod runtime;
mod schedules;
mod secret;
mod seed;
mod settings;
mod stack_file;
mod stripe;
mod system_user;
mod template;
mod test_servers;
mod tokens;
pub mod tools;
mod wait;

pub use local_stack::{LocalStack, Options};
pub use postgres::PostgresPrograms;
pub use progress::Step;
pub use run::Run;
pub use seed::Gear;
pub use stack_file::{StackFile, StackUser, StackUsers};
pub use test_servers::TestServers;
pub use wait::wait_for;
