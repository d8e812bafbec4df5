//! A private PostgreSQL cluster: TLS, password logins, durable writes, gone when dropped.

mod cluster;
mod endpoint;
mod programs;

pub(crate) use cluster::Postgres;
pub(crate) use endpoint::verified;
pub(crate) use endpoint::{Endpoint, Login};
pub use programs::PostgresPrograms;
