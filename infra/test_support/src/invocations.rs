//! Invocations whose event is not HTTP, or not known to be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_http::{Context, LambdaEvent};
use serde_json::Value;
use uuid::Uuid;

/// An event as the Lambda runtime hands it to a function, in an invocation that ends after `remaining`.
#[must_use]
pub fn invocation(payload: Value, remaining: Duration) -> LambdaEvent<Value> {
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + remaining;
    let mut context = Context::default();
    context.request_id = Uuid::new_v4().to_string();
    context.deadline = u64::try_from(ends.as_millis()).unwrap_or(u64::MAX);
    LambdaEvent::new(payload, context)
}
