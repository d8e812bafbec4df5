//! One request, as the use cases see it.

use std::time::Duration;

use ::http::{HeaderMap, Method};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _};
use tokio::time::Instant;

use super::caller::Caller;
use super::fields::Fields;
use super::{deadline, idempotency, json};
use crate::error::{Code, Error, Refusal};
use crate::telemetry::correlation::{self, CorrelationId};

/// A request that was let in, with everything about it that a handler may ask for.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Body,
    correlation_id: CorrelationId,
    invocation_id: String,
    source_address: Option<String>,
    deadline: Instant,
    pub(crate) caller: Option<Caller>,
}

impl Call {
    /// `timeout` is the deadline where the event brings none.
    pub(crate) fn new(request: Request, timeout: Duration) -> Self {
        let deadline = deadline::of(request.lambda_context_ref(), timeout);
        let source_address = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
            _ => None,
        };
        let invocation_id =
            request.lambda_context_ref().map_or_else(String::new, |context| context.request_id.clone());
        let path = request.raw_http_path().to_owned();
        let query = request.query_string_parameters_ref().map_or_else(Vec::new, |parameters| {
            parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        });
        let (parts, body) = request.into_parts();
        let correlation = parts.headers.get(correlation::HEADER).and_then(|value| value.to_str().ok());
        Self {
            correlation_id: CorrelationId::from_header(correlation),
            method: parts.method,
            invocation_id,
            path,
            query,
            headers: parts.headers,
            body,
            source_address,
            deadline,
            caller: None,
        }
    }

    /// The method, in upper case.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The last segment of the path, whatever stage or function URL prefix stands before it; empty for `/`.
    #[must_use]
    pub fn last_path_segment(&self) -> &str {
        self.path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default()
    }

    /// The parameters of the query.
    #[must_use]
    pub fn query(&self) -> Fields {
        Fields::of_query(&self.query)
    }

    /// The id that ties together everything said about this request.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        self.correlation_id.as_str()
    }

    /// Lambda's id of this invocation, which nobody outside can choose; empty where the event brought no context.
    #[must_use]
    pub fn invocation_id(&self) -> &str {
        &self.invocation_id
    }

    /// Who calls, at endpoints that require a caller.
    ///
    /// # Errors
    /// [`Error::Internal`] at an endpoint that requires none.
    pub fn caller(&self) -> Result<&Caller, Error> {
        self.caller.as_ref().ok_or_else(|| Error::Internal("this endpoint has no caller".to_owned()))
    }

    /// A header's value, if it is there and visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's bytes as they came, which a signature is over.
    #[must_use]
    pub fn raw_body(&self) -> &[u8] {
        match &self.body {
            Body::Text(text) => text.as_bytes(),
            Body::Binary(bytes) => bytes,
            _ => &[],
        }
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// `unsupported_media_type` or `malformed_body`.
    pub fn json(&self) -> Result<Fields, Error> {
        if !self.header("content-type").is_some_and(is_json) {
            return Err(Refusal::new(
                Code::UnsupportedMediaType,
                "The content type must be application/json.",
            )
            .into());
        }
        let members = json::parse_object(self.raw_body()).map_err(|reason| {
            Refusal::new(Code::MalformedBody, format!("The body is not valid JSON: {reason}."))
        })?;
        // A key that is no text at all is not an absent one: it must be refused where keys are checked.
        let key = self.headers.get(idempotency::HEADER).map(|key| String::from_utf8_lossy(key.as_bytes()));
        Ok(Fields::new(members, key.as_deref()))
    }

    /// When the invocation ends, whatever is under way.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The client's address as the request context has it; never from a header, which clients can write.
    #[must_use]
    pub fn source_address(&self) -> Option<&str> {
        self.source_address.as_deref()
    }
}

/// The segments of the request's path that follow `prefix`, whatever stage stands before it; all of them where the
/// path does not have it, as at a function URL.
#[must_use]
pub fn path_below<'a>(request: &'a Request, prefix: &str) -> Vec<&'a str> {
    let segments: Vec<&str> =
        request.raw_http_path().split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.iter().rposition(|segment| *segment == prefix) {
        Some(position) => segments.into_iter().skip(position + 1).collect(),
        None => segments,
    }
}

/// `application/json` or `application/…+json`, in UTF-8 if it names a character set.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next().unwrap_or_default();
    let structured = media_type.strip_prefix("application/").is_some_and(|subtype| {
        subtype == "json" || subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty())
    });
    structured
        && parts
            .filter_map(|parameter| {
                parameter.strip_prefix("charset=").map(|set| set.trim_matches('"').to_owned())
            })
            .all(|charset| charset == "utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_prefix_is_found_behind_any_stage() {
        for (path, below) in [
            ("/ops/metrics", vec!["metrics"]),
            ("/staging/ops/webhook-events/evt_1/replay", vec!["webhook-events", "evt_1", "replay"]),
            ("/lambda-url/ops/ops/metrics/", vec!["metrics"]),
            ("/metrics", vec!["metrics"]),
            ("/ops", vec![]),
            ("/", vec![]),
        ] {
            assert_eq!(path_below(&Request::default().with_raw_http_path(path), "ops"), below, "{path}");
        }
    }

    #[test]
    fn json_has_several_names() {
        for name in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/problem+json",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(is_json(name), "{name}");
        }
        for name in
            ["", "text/plain", "application/+json", "application/jsonp", "application/json; charset=latin1"]
        {
            assert!(!is_json(name), "{name}");
        }
    }

    #[test]
    fn prefixes_do_not_change_the_last_segment() {
        for (path, segment) in
            [("/", ""), ("/health", "health"), ("/dev/health/", "health"), ("/lambda-url/health", "health")]
        {
            let call = Call::new(Request::default().with_raw_http_path(path), Duration::from_secs(1));
            assert_eq!(call.last_path_segment(), segment);
        }
    }
}
