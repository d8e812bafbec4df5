//! One program for all tests of the parts together, so that it is linked once.

mod functions;
mod money;
mod proof;
mod sql;
