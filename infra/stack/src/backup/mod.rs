//! Backups of a database: what `pg_dump` saw in one snapshot, and beside it a manifest of every table's rows in the same
//! snapshot, by which a restored database is compared.
//!
//! A backup holds the schemas `kitloop` and `public` with their grants, and no owners: whoever restores it owns what is
//! made. Roles belong to a cluster and are made as the first migration makes them; passwords are not in a backup.

mod address;
mod contents;
mod dump;
mod fingerprint;
mod manifest;
mod restore;
mod script;
mod verify;

pub use address::Address;
pub use dump::dump;
pub use fingerprint::Fingerprint;
pub use manifest::Manifest;
pub use restore::{Existing, restore};
pub use verify::verify;
