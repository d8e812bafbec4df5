//! HTTP requests as Lambda hands them to a function, and what comes back.

use std::path::Path;

use anyhow::{Context, Result};
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
        let token = Token::of(user_id).encode()?;
        Ok(self.header("authorization", &format!("Bearer {token}")))
    }

    /// With a body as it is.
    #[must_use]
    pub fn body(self, body: &str) -> Self {
        self.set("/body", body.into())
    }

    /// With a body of bytes, as AWS encodes them: base64, which the caller has done.
    #[must_use]
    pub fn base64_body(self, body: &str) -> Self {
        self.body(body).set("/isBase64Encoded", true.into())
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
