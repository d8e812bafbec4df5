//! The whole product for one test, and what customers, staff and schedules do with it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stack::http_client;
use stripe_stand_in::{Admin, LoggedRequest, StandIn};
use test_support::{
    Gear, HttpCall, Provider, Reply, TestDatabase, WEBHOOK_SECRET, in_days, settings, wait_until,
};
use uuid::Uuid;

use super::lambda::{Function, Lambda, Settings};

/// The members that every refusal has.
pub(crate) const PROBLEM: &[&str] = &["type", "title", "status", "detail", "error", "correlation_id"];

/// Functions that can be started, with the database and the Stripe they share.
pub(crate) struct Product {
    pub(crate) database: TestDatabase,
    pub(crate) stripe: StandIn,
    pub(crate) settings: Settings,
    pub(crate) lambda: Lambda,
}

impl Product {
    pub(crate) async fn start() -> Result<Self> {
        let (database, stripe) = (TestDatabase::create().await?, StandIn::start(None).await?);
        let settings = settings(&database, &stripe)?;
        Ok(Self { database, stripe, settings, lambda: Lambda::start().await? })
    }

    /// Starts one process of a function.
    pub(crate) async fn run(&self, function: &str) -> Result<Function> {
        self.run_many(function, 1).await
    }

    /// Starts several processes of a function.
    pub(crate) async fn run_many(&self, function: &str, count: usize) -> Result<Function> {
        self.lambda.run_function(function, count, &self.settings).await
    }

    /// Starts the webhook function and has Stripe deliver its events there.
    pub(crate) async fn run_webhook(&self) -> Result<Function> {
        let webhook = self.run("stripe_webhook").await?;
        let url = format!("{}/stripe_webhook", webhook.address.url);
        self.admin().set_webhook_endpoint(&url, WEBHOOK_SECRET).await?;
        Ok(webhook)
    }

    /// Stripe's admin API.
    pub(crate) fn admin(&self) -> Admin {
        self.stripe.admin()
    }

    /// A provider with one kind of gear.
    pub(crate) async fn open_shop(&self, provider: &Provider, gear: &Gear) -> Result<Shop> {
        let provider_id = provider.insert(&self.database).await?;
        let gear_id = gear.insert(&self.database, provider_id).await?;
        Ok(Shop { provider_id, gear_id })
    }

    /// A reservation that a customer has taken a hold on, without any function.
    pub(crate) async fn hold(&self, shop: Shop, user: Uuid) -> Result<Uuid> {
        let booking = test_support::booking(shop.provider_id, shop.gear_id, 1)?;
        Ok(test_support::reserve(&self.database.db()?, user, &booking).await?.reservation_id.0)
    }

    /// Pays an intent as the customer's browser does, with the publishable key and the client secret.
    pub(crate) async fn pay(&self, payment: &Value, card: &str) -> Result<Value> {
        let member = |name: &str| payment.get(name).and_then(Value::as_str).context("no payment");
        let url =
            format!("{}/v1/payment_intents/{}/confirm", self.stripe.base_url(), member("payment_intent_id")?);
        let form = [
            ("key", "pk_test_browser"),
            ("client_secret", member("client_secret")?),
            ("payment_method", card),
        ];
        let answer = http_client()?.post(url).form(&form).send().await?;
        ensure!(answer.status().is_success(), "Stripe said {}", answer.text().await?);
        Ok(answer.json().await?)
    }

    /// What the webhook function answered to the first event of this type.
    pub(crate) async fn webhook_answer(&self, event_type: &str) -> Result<(Option<u16>, Value)> {
        wait_until(&format!("{event_type} is delivered"), async || {
            Ok(self.admin().deliveries().await?.iter().any(|delivery| delivery.event_type == event_type))
        })
        .await?;
        let deliveries = self.admin().deliveries().await?;
        let delivery = deliveries.into_iter().find(|delivery| delivery.event_type == event_type);
        delivery.map(|delivery| (delivery.status, delivery.answer)).context("no delivery")
    }

    /// Waits until every event so far has been delivered.
    pub(crate) async fn wait_for_deliveries(&self) -> Result<()> {
        let events = self.at_stripe("events").await?.len();
        wait_until("every event is delivered", async || Ok(self.admin().deliveries().await?.len() == events))
            .await
    }

    /// What Stripe lists under a path, such as `payment_intents`, at most a hundred.
    pub(crate) async fn at_stripe(&self, path: &str) -> Result<Vec<Value>> {
        let url = format!("{}/v1/{path}?limit=100", self.stripe.base_url());
        let page: Value = http_client()?.get(url).bearer_auth("sk_test_look").send().await?.json().await?;
        Ok(page.get("data").and_then(Value::as_array).context("not a list")?.clone())
    }

    /// Waits until a reservation is in this state.
    pub(crate) async fn wait_for_status(&self, reservation_id: Uuid, status: &str) -> Result<()> {
        wait_until(&format!("the reservation is {status}"), async || {
            Ok(self.database.status(reservation_id).await? == status)
        })
        .await
    }

    /// The requests with this method and the beginning of this path that Stripe has received.
    pub(crate) async fn stripe_requests(&self, method: &str, path: &str) -> Result<Vec<LoggedRequest>> {
        let mut requests = self.admin().requests().await?;
        requests.retain(|request| request.method == method && request.path.starts_with(path));
        Ok(requests)
    }

    /// Waits until Stripe has received such a request.
    pub(crate) async fn wait_for_stripe_request(&self, method: &str, path: &str) -> Result<()> {
        wait_until(&format!("{method} {path} is at Stripe"), async || {
            Ok(!self.stripe_requests(method, path).await?.is_empty())
        })
        .await
    }

    /// Fails unless every idempotency key stood for one request, however often that was sent.
    pub(crate) async fn assert_keys_stand_for_one_request(&self) -> Result<()> {
        let requests = self.stripe_requests("POST", "/v1/").await?;
        for request in &requests {
            let same_key = |other: &&LoggedRequest| {
                other.idempotency_key.is_some() && other.idempotency_key == request.idempotency_key
            };
            for other in requests.iter().filter(same_key) {
                ensure!(
                    (&other.path, &other.params) == (&request.path, &request.params),
                    "one key, two requests: {request:?} and {other:?}"
                );
            }
        }
        Ok(())
    }
}

/// A provider and its gear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shop {
    pub(crate) provider_id: Uuid,
    pub(crate) gear_id: Uuid,
}

impl Shop {
    /// The request of a user for one piece of the gear for a day, thirty days ahead, under a new idempotency key.
    pub(crate) fn reserve(self, user: Uuid) -> Result<HttpCall> {
        self.reserve_with_key(user, &Uuid::new_v4().to_string())
    }

    /// The same under a given key.
    pub(crate) fn reserve_with_key(self, user: Uuid, key: &str) -> Result<HttpCall> {
        let body = json!({
            "provider_id": self.provider_id, "gear_id": self.gear_id, "idempotency_key": key,
            "start_date": in_days(30), "end_date": in_days(31),
        });
        HttpCall::post("/reserve_gear", &body).by(user)
    }
}

/// The request of a user to pay for a reservation.
pub(crate) fn start_payment(reservation_id: Uuid, user: Uuid) -> Result<HttpCall> {
    HttpCall::post("/create_payment_intent", &json!({"reservation_id": reservation_id})).by(user)
}

/// The request of a user to confirm, or decline, a reservation.
pub(crate) fn confirm(reservation_id: Uuid, action: &str, user: Uuid) -> Result<HttpCall> {
    let body = json!({"reservation_id": reservation_id, "action": action});
    HttpCall::post("/confirm_reservation", &body).by(user)
}

/// The request of a user to call a reservation off.
pub(crate) fn cancel(reservation_id: Uuid, user: Uuid) -> Result<HttpCall> {
    HttpCall::post("/cancel_reservation", &json!({"reservation_id": reservation_id})).by(user)
}

/// The request of staff to send so much back.
pub(crate) fn refund(reservation_id: Uuid, amount_minor: i64, reason: &str, staff: Uuid) -> Result<HttpCall> {
    let body = json!({"reservation_id": reservation_id, "amount_minor": amount_minor, "reason": reason});
    HttpCall::post("/refund_reservation", &body).by(staff)
}

/// The event that EventBridge sends to a function with a schedule.
pub(crate) fn scheduled_event(function: &str) -> Result<Value> {
    test_support::sample_event(&format!("{function}/schedule.json"))
}

/// The member of a reply that is an id.
pub(crate) fn id(reply: &Reply, member: &str) -> Result<Uuid> {
    let text = reply.body.get(member).and_then(Value::as_str);
    Ok(text.with_context(|| format!("{reply:?} has no {member}"))?.parse()?)
}

/// Fails unless the reply has this status and exactly these members.
pub(crate) fn assert_shape(reply: &Reply, status: u16, members: &[&str]) {
    assert_eq!(reply.status, status, "{reply:?}");
    let mut names: Vec<&str> =
        reply.body.as_object().into_iter().flat_map(|body| body.keys()).map(String::as_str).collect();
    let mut expected = members.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected, "{reply:?}");
}
