//! A private PostgreSQL cluster: TLS, password logins, durable writes, gone when dropped.

mod cluster;
mod endpoint;
mod outage;
mod programs;

pub use cluster::Postgres;
pub(crate) use endpoint::verified;
pub use endpoint::{Endpoint, Login};
pub use outage::Frozen;
pub use programs::PostgresPrograms;
