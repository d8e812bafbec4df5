//! What the tests of the parts together share: random sequences of what happens, mistakes that are planted to see tests
//! fail, and races.
//!
//! The tests are in `tests/suite` (`sql` is about the database alone and holds through a transaction pooler as well, the
//! rest calls functions as Lambda does), and in programs of their own beside it.

mod failures;
mod inbox;
mod interruption;
mod mistake;
mod picks;
mod race;
mod search;
mod stage;

pub use failures::{Failure, failure};
pub use inbox::Inbox;
pub use interruption::{Interruption, Sandboxes, Work, interruption, waits};
pub use mistake::{Mistake, Promise};
pub use picks::{Pick, pick, picked};
pub use race::{is_refusal, race};
pub use search::Search;
pub use stage::{Stage, clearing, database_with};
