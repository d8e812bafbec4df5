//! A bare client of the API, a receiver of webhooks, and patience.

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use stripe_stand_in::StandIn;

pub(crate) const SECRET: &str = "whsec_of_the_tests";

/// What a Checkout Session needs at least: 15 credits at 1 CZK each.
pub(crate) const CHECKOUT: &[(&str, &str)] = &[
    ("mode", "payment"),
    ("line_items[0][quantity]", "15"),
    ("line_items[0][price_data][currency]", "czk"),
    ("line_items[0][price_data][unit_amount]", "100"),
    ("line_items[0][price_data][product_data][name]", "Credits"),
    ("success_url", "https://shop.example/paid?session={CHECKOUT_SESSION_ID}"),
];

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// A member of the body by JSON pointer, as text.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn integer(&self, pointer: &str) -> i64 {
        self.body.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
    }

    /// How many items the list at this pointer has.
    pub(crate) fn count(&self, pointer: &str) -> usize {
        self.body.pointer(pointer).and_then(Value::as_array).map(Vec::len).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> String {
        self.text("/id").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The id of an object that the admin API answered with.
pub(crate) fn id_of(object: &Value) -> &str {
    object.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// A client that does nothing on its own.
pub(crate) struct Api {
    base_url: String,
    api_key: String,
    http: reqwest::Client,
}

impl Api {
    pub(crate) fn of(stand_in: &StandIn) -> Self {
        Self::with_key(stand_in, "sk_test_secret")
    }

    pub(crate) fn with_key(stand_in: &StandIn, api_key: &str) -> Self {
        Self { base_url: stand_in.base_url().to_owned(), api_key: api_key.to_owned(), http: http_client() }
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Reply> {
        read(self.http.get(format!("{}{path}", self.base_url)).bearer_auth(&self.api_key)).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Reply> {
        read(self.request(path, form)).await
    }

    pub(crate) async fn post_with_key(
        &self,
        path: &str,
        form: &[(&str, &str)],
        key: &str,
    ) -> anyhow::Result<Reply> {
        read(self.request(path, form).header("Idempotency-Key", key)).await
    }

    fn request(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.base_url)).bearer_auth(&self.api_key).form(form)
    }

    /// The types of all events, oldest first.
    pub(crate) async fn event_types(&self) -> anyhow::Result<Vec<String>> {
        let events = self.get("/v1/events?limit=100").await?;
        let data = events.body.pointer("/data").and_then(Value::as_array).cloned().unwrap_or_default();
        let types = data.iter().filter_map(|event| event.get("type")?.as_str().map(str::to_owned));
        Ok(types.rev().collect())
    }

    /// An open Checkout Session for 1,500 minor units of CZK.
    pub(crate) async fn checkout(&self, more: &[(&str, &str)]) -> anyhow::Result<Reply> {
        self.post("/v1/checkout/sessions", &[CHECKOUT, more].concat()).await
    }

    /// An intent of 1,500 minor units of CZK.
    pub(crate) async fn intent(&self, more: &[(&str, &str)]) -> anyhow::Result<Reply> {
        let mut form = vec![("amount", "1500"), ("currency", "czk"), ("payment_method_types[]", "card")];
        form.extend_from_slice(more);
        self.post("/v1/payment_intents", &form).await
    }

    /// An intent that is paid (or authorised, if so asked) with Visa's test card.
    pub(crate) async fn paid_intent(&self, more: &[(&str, &str)]) -> anyhow::Result<Reply> {
        let mut form = vec![("confirm", "true"), ("payment_method", "pm_card_visa")];
        form.extend_from_slice(more);
        self.intent(&form).await
    }
}

/// A client that no proxy of the machine's gets in the way of.
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap_or_default()
}

async fn read(request: reqwest::RequestBuilder) -> anyhow::Result<Reply> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Reply { status, headers, body })
}

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub(crate) fn event_type(&self) -> String {
        self.event().get("type").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

#[derive(Default)]
struct Inbox {
    received: Vec<Received>,
    answers: VecDeque<(StatusCode, String)>,
}

/// A receiver of webhooks, which answers 200 unless told otherwise.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    inbox: Arc<Mutex<Inbox>>,
}

impl Receiver {
    /// Starts a receiver and tells the stand-in about it.
    pub(crate) async fn start(stand_in: &StandIn) -> anyhow::Result<Self> {
        let receiver = Self::default();
        let router = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        stand_in.admin().set_webhook_endpoint(&url, SECRET).await?;
        Ok(receiver)
    }

    /// Answers the next webhook like this.
    pub(crate) fn will_answer(&self, status: StatusCode, body: &str) {
        self.with(|inbox| inbox.answers.push_back((status, body.to_owned())));
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.with(|inbox| inbox.received.clone())
    }

    pub(crate) fn types(&self) -> Vec<String> {
        self.received().iter().map(Received::event_type).collect()
    }

    /// Waits until so many webhooks arrived.
    pub(crate) async fn wait_for(&self, count: usize) -> anyhow::Result<Vec<Received>> {
        eventually(|| async {
            let received = self.received();
            Ok((received.len() >= count).then_some(received))
        })
        .await
        .with_context(|| format!("{count} webhooks expected, there came {:?}", self.types()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inbox) -> T) -> T {
        act(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    receiver.with(|inbox| {
        inbox.received.push(Received { signature: signature.to_owned(), body });
        inbox.answers.pop_front().unwrap_or((StatusCode::OK, r#"{"received": true}"#.to_owned()))
    })
}

/// Asks again until there is an answer, for ten seconds.
pub(crate) async fn eventually<T, F>(ask: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        anyhow::ensure!(Instant::now() < deadline, "nothing came within ten seconds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A folder under `target/tools` of the workspace.
pub(crate) fn tool(path: &str) -> anyhow::Result<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let tool = workspace.join("target/tools").join(path);
    anyhow::ensure!(tool.exists(), "{} is missing; `cargo xtask test` installs it", tool.display());
    Ok(tool)
}
