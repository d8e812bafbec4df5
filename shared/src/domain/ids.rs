//! Ids that cannot be taken for one another.

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta] $name:ident,)*) => { $(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )* };
}

id! {
    /// A shop that rents out gear.
    ProviderId,
    /// A kind of gear, of which there may be several pieces.
    GearId,
    /// A reservation.
    ReservationId,
    /// A payment of a reservation.
    PaymentId,
    /// Money of a payment that goes back.
    RefundId,
    /// Credits that a customer buys.
    TopupId,
    /// A piece of work for the worker.
    JobId,
}
