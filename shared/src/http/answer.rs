//! What a use case answers when it did not fail.

use serde::Serialize;
use serde_json::Value;

use crate::error::Error;

/// Headers of a response, with names in lower case.
pub type Headers = Vec<(&'static str, String)>;

/// A status and a JSON body.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, sent as `application/json`.
    pub body: Value,
    /// Further headers.
    pub headers: Headers,
}

impl Answer {
    /// 200.
    ///
    /// # Errors
    /// [`Error::Internal`] if `body` cannot be JSON.
    pub fn ok(body: impl Serialize) -> Result<Self, Error> {
        Self::new(200, body)
    }

    /// 201.
    ///
    /// # Errors
    /// [`Error::Internal`] if `body` cannot be JSON.
    pub fn created(body: impl Serialize) -> Result<Self, Error> {
        Self::new(201, body)
    }

    /// 202: it will be done.
    ///
    /// # Errors
    /// [`Error::Internal`] if `body` cannot be JSON.
    pub fn accepted(body: impl Serialize) -> Result<Self, Error> {
        Self::new(202, body)
    }

    /// Any status, for answers that are the same document with another status.
    ///
    /// # Errors
    /// [`Error::Internal`] if `body` cannot be JSON.
    pub fn new(status: u16, body: impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_value(body).map_err(|error| Error::Internal(format!("answer: {error}")))?;
        Ok(Self { status, body, headers: Vec::new() })
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
