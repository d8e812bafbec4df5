//! HTTP requests as Lambda hands them to a function, and what comes back.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Token;

/// A call to be made, as an event of payload format 2.0.
#[derive(Debug, Clone)]
pub struct HttpCall {
    /// The whole event.
    pub event: Value,
}

impl HttpCall {
    /// `POST` of a JSON document.
    #[must_use]
    pub fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path).header("content-type", "application/json").body(&body.to_string())
    }

    /// Any method, without a body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            event: json!({
                "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": {},
                "requestContext": {
                    "accountId": "123456789012", "apiId": "api", "domainName": "api.example", "domainPrefix": "api",
                    "http": {
                        "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                        "userAgent": "test",
                    },
                    "requestId": "id", "routeKey": "$default", "stage": "$default",
                    "time": "21/Nov/2026:05:00:00 +0000", "timeEpoch": 1_795_237_200_000_i64,
                },
                "isBase64Encoded": false,
            }),
        }
    }

    /// A sample event of `events/`, such as `reserve_gear/one_line.json`, with other texts in its body: sample events
    /// have fixed ids (see [`sample`](crate::sample)), a test's rows have new ones.
    ///
    /// # Errors
    /// If there is no such sample.
    pub fn sample(path: &str, replacements: &[(&str, &str)]) -> Result<Self> {
        let call = Self { event: sample_event(path)? };
        if replacements.is_empty() {
            return Ok(call);
        }
        let body = (replacements.iter())
            .fold(call.body_text()?, |body, (sample, actual)| body.replace(sample, actual));
        Ok(call.same_encoding_with(&body))
    }

    /// With other members of its JSON body; null takes one away.
    ///
    /// # Errors
    /// If the body is not a JSON object.
    pub fn patch(self, changes: &Value) -> Result<Self> {
        let mut body: Value = serde_json::from_str(&self.body_text()?)?;
        let members = body.as_object_mut().context("the body is no object")?;
        for (name, value) in changes.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(members.remove(name)),
                value => drop(members.insert(name.clone(), value.clone())),
            }
        }
        Ok(self.same_encoding_with(&body.to_string()))
    }

    /// The body as text, decoded where the event has it in base64.
    ///
    /// # Errors
    /// If it is no text.
    pub fn body_text(&self) -> Result<String> {
        let body = self.event.get("body").and_then(Value::as_str).unwrap_or_default();
        if self.has_base64_body() {
            Ok(String::from_utf8(BASE64.decode(body)?)?)
        } else {
            Ok(body.to_owned())
        }
    }

    fn has_base64_body(&self) -> bool {
        self.event.get("isBase64Encoded") == Some(&Value::Bool(true))
    }

    fn same_encoding_with(self, body: &str) -> Self {
        if self.has_base64_body() { self.bytes(body.as_bytes()) } else { self.body(body) }
    }

    /// With a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.set(&format!("/headers/{name}"), value.into())
    }

    /// With a good token of this user.
    ///
    /// # Errors
    /// Never.
    pub fn by(self, user_id: Uuid) -> Result<Self> {
        Ok(self.bearer(&Token::of(user_id).encode()?))
    }

    /// With this token, good or not.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Without a header.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        if let Some(headers) = self.event.get_mut("headers").and_then(Value::as_object_mut) {
            headers.remove(name);
        }
        self
    }

    /// With a body as it is.
    #[must_use]
    pub fn body(self, body: &str) -> Self {
        self.set("/body", body.into())
    }

    /// With a body of bytes, which AWS encodes in base64.
    #[must_use]
    pub fn bytes(self, body: &[u8]) -> Self {
        self.body(&BASE64.encode(body)).set("/isBase64Encoded", true.into())
    }

    /// From another address.
    #[must_use]
    pub fn from_address(self, address: &str) -> Self {
        self.set("/requestContext/http/sourceIp", address.into())
    }

    /// With any other member of the event, by JSON pointer.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(members) = self.event.pointer_mut(parent).and_then(Value::as_object_mut) {
            members.insert(name.to_owned(), value);
        }
        self
    }

    /// As functions get it.
    ///
    /// # Errors
    /// If the event is none.
    pub fn request(&self) -> Result<Request> {
        lambda_http::request::from_str(&self.event.to_string()).context("not an HTTP event")
    }
}

/// What a function answered.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Value,
    /// The headers.
    pub headers: lambda_http::http::HeaderMap,
}

impl Reply {
    /// Reads a response.
    ///
    /// # Errors
    /// If its body is not JSON.
    pub fn read(response: Response<Body>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let body = match body {
            Body::Text(text) if !text.is_empty() => serde_json::from_str(&text)?,
            _ => Value::Null,
        };
        Ok(Self { status: parts.status.as_u16(), body, headers: parts.headers })
    }

    /// Reads what a function gave back that takes events of any shape: the payload of an HTTP API.
    ///
    /// # Errors
    /// If it is none.
    pub fn read_event(payload: &Value) -> Result<Self> {
        let member = |name: &str| payload.get(name).with_context(|| format!("no {name} in {payload}"));
        let mut response =
            Response::builder().status(u16::try_from(member("statusCode")?.as_u64().unwrap_or(0))?);
        for (name, value) in member("headers")?.as_object().into_iter().flatten() {
            response = response.header(name, value.as_str().unwrap_or_default());
        }
        let body = member("body")?.as_str().unwrap_or_default();
        Self::read(response.body(Body::Text(body.to_owned()))?)
    }

    /// A member of the body, by JSON pointer; null where there is none.
    #[must_use]
    pub fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// Status and stable code, which say together how a request was refused.
    #[must_use]
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.error())
    }

    /// The stable code of a refusal.
    #[must_use]
    pub fn error(&self) -> &str {
        self.body.get("error").and_then(Value::as_str).unwrap_or_default()
    }

    /// The names of the wrong fields, sorted.
    #[must_use]
    pub fn invalid_fields(&self) -> Vec<&str> {
        let fields = self.body.get("invalid_fields").and_then(Value::as_array);
        let mut names: Vec<&str> =
            fields.into_iter().flatten().filter_map(|field| field.get("field")?.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// A header, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A sample event of `events/`, such as `reserve_gear/one_line.json`.
///
/// # Errors
/// If there is none.
pub fn sample_event(path: &str) -> Result<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(path);
    let text = std::fs::read_to_string(&file).with_context(|| format!("no sample event {path}"))?;
    Ok(serde_json::from_str(&text)?)
}
