//! Stripe: a thin client, the webhook's signature and its event.
//!
//! Amounts are Stripe's, which are our minor units for every currency we take. Stripe's own exceptions: ISK and UGX
//! have no minor unit, yet Stripe counts them in hundredths that must be whole (5 ISK is 500); amounts of the
//! three-decimal currencies (BHD, JOD, KWD, OMR, TND) must end in 0.
//! See <https://docs.stripe.com/currencies#zero-decimal>.

mod checkout;
mod client;
mod event;
mod facts;
mod objects;
mod pages;
mod retry;
mod signature;
mod transport;
mod window;

pub use checkout::{CheckoutSession, NewCheckoutSession};
pub use client::{NewPaymentIntent, NewRefund, Stripe};
pub use event::{Event, EventError, EventObject};
pub use objects::{Charge, Dispute, Expandable, PaymentIntent, Refund, Subscription};
pub use pages::Page;
pub use signature::{SignatureError, VerifiedPayload, verify};
pub use transport::{API_VERSION, StripeError};
