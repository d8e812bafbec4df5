//! The time that gear is rented for.

use jiff::{SignedDuration, Timestamp};

/// The longest period that any provider may offer: a year. Providers set their own, shorter limits.
pub const MAX_PERIOD: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A half-open span `[start, end)` that is not empty, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    start: Timestamp,
    end: Timestamp,
}

/// Why two instants are not a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// It ends before or when it starts.
    #[error("must be after start_date")]
    EmptyOrReversed,
    /// It is longer than [`MAX_PERIOD`].
    #[error("must be at most 366 days after start_date")]
    TooLong,
}

impl Period {
    /// The span from `start` to before `end`.
    ///
    /// # Errors
    /// If it would be empty, reversed or longer than [`MAX_PERIOD`].
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, PeriodError> {
        if end <= start {
            Err(PeriodError::EmptyOrReversed)
        } else if end.duration_since(start) > MAX_PERIOD {
            Err(PeriodError::TooLong)
        } else {
            Ok(Self { start, end })
        }
    }

    /// The first instant of it.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant after it.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn empty_reversed_and_endless_periods_cannot_be_made() {
        let start = at("2027-02-10T09:00:00Z");
        assert_eq!(Period::new(start, start), Err(PeriodError::EmptyOrReversed));
        assert_eq!(Period::new(start, at("2027-02-10T08:59:59Z")), Err(PeriodError::EmptyOrReversed));
        assert_eq!(Period::new(start, at("2037-02-10T09:00:00Z")), Err(PeriodError::TooLong));
        assert!(Period::new(start, at("2027-02-10T09:00:01Z")).is_ok());
    }
}
