//! The operations on a real database, directly or through PgBouncer.

mod races;
