//! What we ask of Stripe: payment intents and refunds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::objects::{PaymentIntent, Refund};
use super::pages::Pages;
use super::transport::{Parameters, Request, StripeError, Transport};
use crate::config::StripeConfig;
use crate::domain::{CaptureMethod, Money, PaymentId, ProviderId, RefundId, ReservationId};
use crate::error::Error;
use crate::network::Network;

/// The client; cheap to clone. Every call repeats itself by Stripe's rules until its deadline.
#[derive(Clone)]
pub struct Stripe {
    transport: Transport,
    last_probe: Arc<Mutex<Option<Probe>>>,
}

/// How long an answer to a probe is good for.
const PROBE_LIFE: Duration = Duration::from_secs(30);

/// When Stripe was last asked whether it is there, and whether it was.
#[derive(Clone, Copy)]
struct Probe {
    at: Instant,
    is_reachable: bool,
}

/// An intent to be made. Its metadata lets an event, or a search, find the payment without Stripe's id.
#[derive(Debug, Clone)]
pub struct NewPaymentIntent {
    /// What is asked for.
    pub amount: Money,
    /// When the money is taken.
    pub capture_method: CaptureMethod,
    /// What is paid for.
    pub reservation_id: ReservationId,
    /// Who is paid.
    pub provider_id: ProviderId,
    /// Our payment.
    pub payment_id: PaymentId,
    /// Which of the payment's intents this is.
    pub generation: i32,
}

/// A refund to be made.
#[derive(Debug, Clone)]
pub struct NewRefund<'a> {
    /// Whose money goes back.
    pub payment_intent_id: &'a str,
    /// In minor units.
    pub amount_minor: i64,
    /// What it was paid for.
    pub reservation_id: ReservationId,
    /// Our refund; kept in the metadata, so that Stripe's can be told from what others make.
    pub refund_id: RefundId,
}

impl Stripe {
    /// Makes the client, without calling anybody.
    ///
    /// # Errors
    /// If the API's base is not an HTTP address.
    pub fn new(config: StripeConfig, network: &Network) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(config, network.clone())?, last_probe: Arc::default() })
    }

    /// Makes an intent that a card can pay: <https://docs.stripe.com/api/payment_intents/create>.
    ///
    /// # Errors
    /// See [`StripeError`], here and below.
    pub async fn create_payment_intent(
        &self,
        new: &NewPaymentIntent,
        key: &str,
        deadline: Instant,
    ) -> Result<PaymentIntent, StripeError> {
        let parameters = vec![
            ("amount", new.amount.amount_minor.to_string()),
            ("currency", new.amount.currency.as_str().to_ascii_lowercase()),
            ("capture_method", new.capture_method.as_str().to_owned()),
            ("payment_method_types[]", "card".to_owned()),
            ("metadata[reservation_id]", new.reservation_id.to_string()),
            ("metadata[provider_id]", new.provider_id.to_string()),
            ("metadata[payment_id]", new.payment_id.to_string()),
            ("metadata[generation]", new.generation.to_string()),
        ];
        self.post("/v1/payment_intents".to_owned(), parameters, key, deadline).await
    }

    /// Reads an intent with its latest charge: <https://docs.stripe.com/api/payment_intents/retrieve>.
    ///
    /// # Errors
    /// `resource_missing` if there is none.
    pub async fn payment_intent(&self, id: &str, deadline: Instant) -> Result<PaymentIntent, StripeError> {
        let parameters = vec![("expand[]", "latest_charge".to_owned())];
        self.get(path("payment_intents", id, None), parameters, deadline).await
    }

    /// Takes authorised money, in minor units: <https://docs.stripe.com/api/payment_intents/capture>.
    ///
    /// # Errors
    /// `payment_intent_unexpected_state` if nothing can be captured.
    pub async fn capture_payment_intent(
        &self,
        id: &str,
        amount_minor: i64,
        key: &str,
        deadline: Instant,
    ) -> Result<PaymentIntent, StripeError> {
        let parameters =
            vec![("amount_to_capture", amount_minor.to_string()), ("expand[]", "latest_charge".to_owned())];
        self.post(path("payment_intents", id, Some("capture")), parameters, key, deadline).await
    }

    /// Cancels an unpaid intent, or releases an authorisation: <https://docs.stripe.com/api/payment_intents/cancel>.
    ///
    /// # Errors
    /// `payment_intent_unexpected_state` if it succeeded or was cancelled before.
    pub async fn cancel_payment_intent(
        &self,
        id: &str,
        key: &str,
        deadline: Instant,
    ) -> Result<PaymentIntent, StripeError> {
        self.post(path("payment_intents", id, Some("cancel")), Vec::new(), key, deadline).await
    }

    /// Sends money back: <https://docs.stripe.com/api/refunds/create>.
    ///
    /// # Errors
    /// `charge_already_refunded` or `amount_too_large` if that much is not left.
    pub async fn create_refund(
        &self,
        new: &NewRefund<'_>,
        key: &str,
        deadline: Instant,
    ) -> Result<Refund, StripeError> {
        let parameters = vec![
            ("payment_intent", new.payment_intent_id.to_owned()),
            ("amount", new.amount_minor.to_string()),
            ("metadata[refund_id]", new.refund_id.to_string()),
            ("metadata[reservation_id]", new.reservation_id.to_string()),
        ];
        self.post("/v1/refunds".to_owned(), parameters, key, deadline).await
    }

    /// Every refund of an intent, newest first: <https://docs.stripe.com/api/refunds/list>.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn refunds_of(
        &self,
        payment_intent_id: &str,
        deadline: Instant,
    ) -> Result<Vec<Refund>, StripeError> {
        let filter = vec![("payment_intent", payment_intent_id.to_owned())];
        Pages::new(self, "/v1/refunds", filter, deadline).all().await
    }

    /// The newest wanted intent of those made at or after a time: <https://docs.stripe.com/api/payment_intents/list>.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn find_payment_intent_since(
        &self,
        created_gte: Timestamp,
        is_wanted: impl Fn(&PaymentIntent) -> bool,
        deadline: Instant,
    ) -> Result<Option<PaymentIntent>, StripeError> {
        let filter = vec![("created[gte]", created_gte.as_second().to_string())];
        Pages::new(self, "/v1/payment_intents", filter, deadline).find(is_wanted).await
    }

    /// Whether Stripe is [`reachable`](Self::reachable), asked at most every 30 s, so that probes do not use up our rate
    /// limit there.
    pub async fn is_reachable(&self, deadline: Instant) -> bool {
        let last = *self.last_probe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(probe) = last.filter(|probe| probe.at.elapsed() < PROBE_LIFE) {
            return probe.is_reachable;
        }
        let is_reachable = self.reachable(deadline).await.is_ok();
        let probe = Probe { at: Instant::now(), is_reachable };
        *self.last_probe.lock().unwrap_or_else(PoisonError::into_inner) = Some(probe);
        is_reachable
    }

    /// Whether Stripe answers and takes our key, asked with a permission that payments need anyway.
    ///
    /// # Errors
    /// See [`StripeError`].
    pub async fn reachable(&self, deadline: Instant) -> Result<(), StripeError> {
        let parameters = vec![("limit", "1".to_owned())];
        let _: serde::de::IgnoredAny =
            self.get("/v1/payment_intents".to_owned(), parameters, deadline).await?;
        Ok(())
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: String,
        parameters: Parameters<'_>,
        key: &str,
        deadline: Instant,
    ) -> Result<T, StripeError> {
        let request = Request { method: Method::POST, path, parameters, idempotency_key: Some(key) };
        self.transport.send(&request, deadline).await
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: String,
        parameters: Parameters<'_>,
        deadline: Instant,
    ) -> Result<T, StripeError> {
        let request = Request { method: Method::GET, path, parameters, idempotency_key: None };
        self.transport.send(&request, deadline).await
    }
}

/// A path under `/v1/`. An id that is none must not reach another object or operation, so it becomes one that Stripe
/// does not have.
pub(super) fn path(collection: &str, id: &str, operation: Option<&str>) -> String {
    let well_formed = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let id = if well_formed { id } else { "_" };
    match operation {
        Some(operation) => format!("/v1/{collection}/{id}/{operation}"),
        None => format!("/v1/{collection}/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn an_id_cannot_leave_its_place_in_the_path() {
        assert_eq!(path("payment_intents", "pi_1", Some("cancel")), "/v1/payment_intents/pi_1/cancel");
        assert_eq!(path("payment_intents", "../refunds?x=", None), "/v1/payment_intents/_");
        assert_eq!(path("payment_intents", "", None), "/v1/payment_intents/_");
    }
}
