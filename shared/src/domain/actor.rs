//! Who asks.

use uuid::Uuid;

/// The person behind a request. What they are to a provider or a reservation, the database knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// The user of the verified token.
    pub user_id: Uuid,
    /// Whether the token says that they run the platform.
    pub is_admin: bool,
}
