//! Events that may or may not be HTTP, for functions that a schedule and people both call.

use lambda_http::request::LambdaRequest;
use lambda_http::{Body, LambdaEvent, Request, RequestExt as _, Response};
use serde_json::{Map, Value, json};

use crate::error::{Error, without_values};

/// The HTTP request in an event; none if it came through IAM (EventBridge, direct invocation), which has been
/// authorised by AWS and has no `requestContext`.
///
/// # Errors
/// [`Error::Internal`] if the event has a `requestContext` and is not the payload of an HTTP API.
pub fn from_event(event: &LambdaEvent<Value>) -> Result<Option<Request>, Error> {
    if !is_http(event) {
        return Ok(None);
    }
    serde_json::from_value(event.payload.clone())
        .map(|request| Some(from_payload(LambdaEvent::new(request, event.context.clone()))))
        .map_err(|error| Error::Internal(format!("event: {}", without_values(&error))))
}

/// Whether an event is HTTP. Whatever has a request context came from outside; a kind that is not known here must not pass
/// as a schedule.
pub(crate) fn is_http(event: &LambdaEvent<Value>) -> bool {
    event.payload.get("requestContext").is_some()
}

/// The request of an HTTP event, with the invocation's context.
fn from_payload(event: LambdaEvent<LambdaRequest>) -> Request {
    Request::from(event.payload).with_lambda_context(event.context)
}

/// A response as the HTTP API and function URLs want it (payload format 2.0).
#[must_use]
pub fn into_event(response: Response<Body>) -> Value {
    let (parts, body) = response.into_parts();
    let mut headers = Map::new();
    for name in parts.headers.keys() {
        // Repeated headers become one, as RFC 9110 §5.3 allows and this format demands.
        let values: Vec<_> = parts
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        headers.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    let body = match body {
        Body::Text(text) => text,
        _ => String::new(),
    };
    // No cookies, and saying so: emulators want the list even when it is empty.
    json!({
        "statusCode": parts.status.as_u16(), "headers": headers, "cookies": [], "body": body, "isBase64Encoded": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_an_http_context_is_not_a_request() {
        let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        for payload in [schedule, json!({}), json!(null)] {
            let event = LambdaEvent::new(payload, lambda_http::Context::default());
            assert!(from_event(&event).unwrap().is_none());
        }
    }

    #[test]
    fn a_request_of_an_unknown_kind_does_not_pass_as_a_schedule() {
        let rest_api = json!({"resource": "/", "httpMethod": "POST", "requestContext": {"stage": "dev"}});
        for payload in [rest_api, json!({"requestContext": {}}), json!({"requestContext": null})] {
            assert!(from_event(&LambdaEvent::new(payload, lambda_http::Context::default())).is_err());
        }
    }

    #[test]
    fn an_http_event_becomes_a_request_with_the_invocations_context() {
        let payload = crate::http::testing::event("POST", &[("authorization", "Bearer x")], "{}");
        let mut context = lambda_http::Context::default();
        context.request_id = "r-1".into();
        let request = from_event(&LambdaEvent::new(payload, context)).unwrap().unwrap();
        assert_eq!(request.method(), "POST");
        assert_eq!(request.headers()["authorization"], "Bearer x");
        assert_eq!(request.lambda_context_ref().unwrap().request_id, "r-1");
    }

    #[test]
    fn a_response_becomes_the_payload_of_an_http_api() {
        let response = Response::builder()
            .status(201)
            .header("vary", "origin")
            .header("vary", "accept")
            .body(Body::Text("{}".into()))
            .unwrap();
        assert_eq!(
            into_event(response),
            json!({
                "statusCode": 201, "headers": {"vary": "origin, accept"}, "cookies": [], "body": "{}",
                "isBase64Encoded": false,
            })
        );
    }
}
