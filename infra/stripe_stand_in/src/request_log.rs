//! The log of requests, for tests that ask what was called.

use std::collections::VecDeque;

use crate::protocol::LoggedRequest;

/// Older requests are forgotten.
const MOST: usize = 20_000;

/// The latest requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(VecDeque<LoggedRequest>);

impl RequestLog {
    pub(crate) fn begin(&mut self, request: LoggedRequest) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    pub(crate) fn end(&mut self, id: &str, status: u16, replayed: bool) {
        if let Some(request) = self.0.iter_mut().rev().find(|request| request.id == id) {
            request.status = Some(status);
            request.replayed = replayed;
        }
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        self.0.iter().cloned().collect()
    }
}
