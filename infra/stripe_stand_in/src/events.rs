//! Events: what happened, kept and delivered. <https://docs.stripe.com/api/events>

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::delivery::Dispatch;
use crate::lists;
use crate::params::{Kind, Params, Rule, optional};
use crate::state::{Cause, State, new_id, now};
use crate::table::Record;

/// The account's version of the API, in which events are rendered.
pub const API_VERSION: &str = "2022-11-15";

const LIST: &[Rule] = &[
    optional("delivery_success", Kind::Boolean),
    optional("type", Kind::Text(5000)),
    optional("types", Kind::TextList),
];

/// What became of an event's delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivered {
    /// There was no receiver to send it to.
    ToNobody,
    /// The receiver still has to take it, also when every attempt has failed.
    NotYet,
    /// The receiver took it.
    Yes,
}

/// Something that happened to an object, which is kept as it was then.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    id: String,
    pub(crate) event_type: String,
    object_id: Option<String>,
    /// As JSON; text, because events are many.
    object: String,
    previous_attributes: Option<Value>,
    cause: Option<Cause>,
    delivered: Delivered,
    created: i64,
}

impl Record for Event {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl Event {
    pub(crate) fn object_id(&self) -> Option<String> {
        self.object_id.clone()
    }

    /// The receiver took it.
    pub(crate) fn taken(&mut self) {
        self.delivered = Delivered::Yes;
    }

    pub(crate) fn render(&self) -> Value {
        let object: Value = serde_json::from_str(&self.object).unwrap_or_default();
        let mut data = json!({ "object": object });
        if let (Some(before), Some(members)) = (&self.previous_attributes, data.as_object_mut()) {
            members.insert("previous_attributes".to_owned(), before.clone());
        }
        json!({
            "id": self.id, "object": "event", "api_version": API_VERSION, "created": self.created, "data": data,
            "livemode": false, "pending_webhooks": i32::from(self.delivered == Delivered::NotYet),
            "request": {
                "id": self.cause.as_ref().map(|cause| &cause.request_id),
                "idempotency_key": self.cause.as_ref().and_then(|cause| cause.idempotency_key.as_ref()),
            },
            "type": self.event_type,
        })
    }

    fn has_type(&self, pattern: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(beginning) => self.event_type.starts_with(beginning),
            None => self.event_type == pattern,
        }
    }
}

impl State {
    /// Records that something happened, and has it delivered.
    pub(crate) fn emit(&mut self, event_type: &str, object: Value) {
        self.record_event(event_type, &object, None);
    }

    /// The same for a change, with what the changed members were before.
    pub(crate) fn emit_change(&mut self, event_type: &str, object: Value, before: Value) {
        self.record_event(event_type, &object, Some(before));
    }

    fn record_event(&mut self, event_type: &str, object: &Value, previous_attributes: Option<Value>) {
        let event = Event {
            id: new_id("evt"),
            event_type: event_type.to_owned(),
            object_id: object.get("id").and_then(Value::as_str).map(str::to_owned),
            object: object.to_string(),
            previous_attributes,
            cause: self.cause.clone(),
            delivered: self.still_to_deliver(),
            created: now(),
        };
        // The receiver of this channel lives as long as the server; when it is gone, nobody wants events.
        let _ = self.outbox.send(Dispatch::happened(&event.id));
        self.events.insert(event);
    }

    fn still_to_deliver(&self) -> Delivered {
        if self.webhook_endpoint.is_some() { Delivered::NotYet } else { Delivered::ToNobody }
    }
}

pub(crate) fn retrieve(state: &State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(&[lists::EXPAND])?;
    state.events.get(id).map(Event::render).ok_or_else(|| ApiError::not_found("event", id, "id"))
}

/// With `delivery_success=false`, every event that the receiver has not taken: on its way, lost, refused for good, or
/// never sent for want of a receiver. <https://docs.stripe.com/webhooks/process-undelivered-events>
pub(crate) fn list(state: &State, params: &Params) -> Result<Value, ApiError> {
    lists::check(params, LIST)?;
    let (one, many) = (params.text("type"), params.list("types"));
    let wanted = params.boolean("delivery_success");
    let passes = |event: &Event| {
        one.is_none_or(|pattern| event.has_type(pattern))
            && many.as_ref().is_none_or(|types| types.iter().any(|pattern| event.has_type(pattern)))
            && wanted.is_none_or(|wanted| wanted == (event.delivered == Delivered::Yes))
    };
    lists::page(&state.events, params, "/v1/events", passes, Event::render)
}

/// Delivers an event once more, whatever happened to it before.
pub(crate) fn resend(state: &mut State, id: &str) -> Result<Value, ApiError> {
    let delivered = state.still_to_deliver();
    let event = state.events.get_mut(id).ok_or_else(|| ApiError::not_found("event", id, "id"))?;
    event.delivered = delivered;
    let rendered = event.render();
    let _ = state.outbox.send(Dispatch::resent(id));
    Ok(rendered)
}
