//! A request as it came in: who calls what, with which parameters.

use std::collections::HashSet;

use axum::http::{HeaderMap, Method, Uri, header};
use base64::Engine as _;
use serde_json::Value;

use crate::api_error::ApiError;
use crate::form;
use crate::params::Params;
use crate::state::new_id;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) params: Params,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) stripe_version: Option<String>,
    api_key: Option<String>,
}

impl Call {
    /// Everything but the parameters, so that even a request that cannot be read is logged and answered.
    pub(crate) fn new(method: Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            request_id: new_id("req"),
            method,
            path: uri.path().to_owned(),
            params: Params::default(),
            idempotency_key: text("idempotency-key"),
            stripe_version: text("stripe-version"),
            api_key: text(header::AUTHORIZATION.as_str()).and_then(|value| api_key(&value)),
        }
    }

    /// Reads the query and the form.
    pub(crate) fn read_params(
        &mut self,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), ApiError> {
        self.params = Params(form::parse(uri.query().unwrap_or_default().as_bytes())?);
        if body.is_empty() {
            return Ok(());
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|given| given.starts_with("application/x-www-form-urlencoded")) {
            return Err(ApiError::not_a_form());
        }
        self.params.0.extend(form::parse(body)?);
        Ok(())
    }

    /// Keys count for POST alone: everything else can be repeated anyway.
    pub(crate) fn effective_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref().filter(|key| self.method == Method::POST && !key.is_empty())
    }

    /// What must be the same when a key is used again.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{} {} {}", self.method, self.path, Value::Object(self.params.0.clone()))
    }

    /// Secret test keys that are not among the `revoked` may do everything; publishable ones only what a browser does
    /// with a client secret, which `client_secret_of` looks up.
    pub(crate) fn authorise(
        &self,
        revoked: &HashSet<String>,
        client_secret_of: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ApiError> {
        let key = self.api_key.as_deref().or_else(|| self.params.text("key"));
        match key {
            Some(key) if revoked.contains(key) => Err(ApiError::unauthorised("Expired API Key provided.")),
            Some(key) if is_test_key(key, "sk_test_") || is_test_key(key, "rk_test_") => Ok(()),
            Some(key) if is_test_key(key, "pk_test_") => self.authorise_browser(client_secret_of),
            Some(_) => Err(ApiError::unauthorised("Invalid API Key provided.")),
            None => Err(ApiError::unauthorised("You did not provide an API key.")),
        }
    }

    fn authorise_browser(&self, client_secret_of: impl Fn(&str) -> Option<String>) -> Result<(), ApiError> {
        let segments: Vec<&str> = self.path.split('/').collect();
        let intent = match (self.method.as_str(), segments.as_slice()) {
            ("GET", ["", "v1", "payment_intents", id])
            | ("POST", ["", "v1", "payment_intents", id, "confirm"]) => id,
            _ => return Err(ApiError::secret_key_required()),
        };
        let given = self.params.text("client_secret").ok_or_else(|| ApiError::missing("client_secret"))?;
        match client_secret_of(intent) {
            Some(secret) if secret != given => {
                let message = "The client_secret provided does not match this PaymentIntent.";
                Err(ApiError::invalid("payment_intent_invalid_parameter", "client_secret", message))
            }
            // An intent that does not exist is the operation's to refuse.
            _ => Ok(()),
        }
    }
}

fn is_test_key(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty())
}

/// The key out of `Bearer <key>` or `Basic base64(<key>:)`.
fn api_key(authorization: &str) -> Option<String> {
    let (scheme, value) = authorization.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded =
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(key, _)| key.to_owned())
}
