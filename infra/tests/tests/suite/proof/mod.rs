//! Proof that the tests of the promises can fail: a mistake is planted in an SQL function, and what was promised is
//! seen broken; with the function as it is, the same scenario holds.

mod idempotency;
mod jobs;
mod lapsing;
mod money;
mod receipts;
mod scenario;
mod stock;
