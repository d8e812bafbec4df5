//! The ids in the sample events of `events/`, for putting a test's own in their place.

/// The provider.
pub const PROVIDER: &str = "00000000-0000-4000-8000-000000000001";
/// Its item.
pub const GEAR: &str = "00000000-0000-4000-8000-0000000000a1";
/// Its other item.
pub const OTHER_GEAR: &str = "00000000-0000-4000-8000-0000000000a2";
/// The reservation.
pub const RESERVATION: &str = "00000000-0000-4000-8000-0000000000c1";
/// The intent at Stripe that pays for it.
pub const PAYMENT_INTENT: &str = "pi_3Qk1tL00pSampl3Intent0001";
/// What it costs, in minor units.
pub const AMOUNT_MINOR: i64 = 250_000;
