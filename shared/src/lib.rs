//! The library that every function is made of.
//!
//! Data goes one way: event → function → [`door`] lets in, [`http`] parses → [`app`] decides what to call → [`db`],
//! [`stripe`], [`email`], [`alerts`] and [`guard`] act → [`http`] answers.

pub mod alerts;
pub mod app;
pub mod boot;
pub mod clock;
pub mod config;
pub mod db;
pub mod digest;
pub mod domain;
pub mod door;
pub mod email;
pub mod error;
pub mod guard;
pub mod http;
pub mod network;
pub mod stripe;
pub mod telemetry;
