//! `expand[]`: ids in an answer become the objects themselves. <https://docs.stripe.com/api/expanding_objects>

use serde_json::Value;

use crate::api_error::ApiError;
use crate::charges::Charge;
use crate::params::Params;
use crate::payment_intents::PaymentIntent;
use crate::payment_methods::PaymentMethod;
use crate::refunds;
use crate::state::State;

/// Every member that can be expanded in the objects that the stand-in has.
const EXPANDABLE: &[&str] = &[
    "application",
    "balance_transaction",
    "charge",
    "customer",
    "data",
    "invoice",
    "latest_charge",
    "on_behalf_of",
    "payment_intent",
    "payment_method",
    "refunds",
    "review",
];

/// Refuses what cannot be expanded, before anything is done.
pub(crate) fn check(params: &Params) -> Result<(), ApiError> {
    for path in params.list("expand").unwrap_or_default() {
        if let Some(unknown) = path.split('.').find(|segment| !EXPANDABLE.contains(segment)) {
            let message = format!("This property cannot be expanded ({unknown}).");
            return Err(ApiError::malformed("expand", message));
        }
    }
    Ok(())
}

/// Expands what the request asks for.
pub(crate) fn apply(state: &State, params: &Params, answer: &mut Value) {
    for path in params.list("expand").unwrap_or_default() {
        let segments: Vec<&str> = path.split('.').collect();
        expand(state, answer, &segments);
    }
}

fn expand(state: &State, node: &mut Value, path: &[&str]) {
    let Some((member, rest)) = path.split_first() else {
        return;
    };
    if let Value::Array(items) = node {
        items.iter_mut().for_each(|item| expand(state, item, path));
        return;
    }
    let Some(members) = node.as_object_mut() else {
        return;
    };
    if *member == "refunds"
        && let Some(id) = members.get("id").and_then(Value::as_str)
    {
        members.insert("refunds".to_owned(), refunds::of_charge(state, id));
    }
    let Some(child) = members.get_mut(*member) else {
        return;
    };
    if let Some(object) = child.as_str().and_then(|id| object_of(state, id)) {
        *child = object;
    }
    expand(state, child, rest);
}

fn object_of(state: &State, id: &str) -> Option<Value> {
    match id.split_once('_')?.0 {
        "pi" => state.payment_intents.get(id).map(PaymentIntent::render),
        "ch" => state.charges.get(id).map(Charge::render),
        "pm" => state.payment_methods.get(id).map(PaymentMethod::render),
        _ => None,
    }
}
