//! PaymentIntents: create, read, change. <https://docs.stripe.com/api/payment_intents>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::amounts;
use crate::api_error::ApiError;
use crate::confirmation;
use crate::lists;
use crate::params::{Kind, Params, Rule, optional, required};
use crate::payment_methods;
use crate::state::{State, new_id, now, random_text};
use crate::table::Record;

pub(crate) const CAPTURE_METHODS: Kind = Kind::OneOf(&["automatic", "automatic_async", "manual"]);

const CREATE: &[Rule] = &[
    required("amount", Kind::Integer),
    required("currency", Kind::Text(3)),
    optional(
        "automatic_payment_methods",
        Kind::Object(&[
            required("enabled", Kind::Boolean),
            optional("allow_redirects", Kind::OneOf(&["always", "never"])),
        ]),
    ),
    optional("capture_method", CAPTURE_METHODS),
    optional("confirm", Kind::Boolean),
    optional("confirmation_method", Kind::OneOf(&["automatic", "manual"])),
    optional("description", Kind::Text(1000)),
    lists::EXPAND,
    optional("metadata", Kind::Metadata),
    optional("payment_method", Kind::Text(5000)),
    optional("payment_method_types", Kind::TextList),
    optional("receipt_email", Kind::Text(800)),
    optional("return_url", Kind::Text(5000)),
];

const UPDATE: &[Rule] = &[
    optional("amount", Kind::Integer),
    optional("description", Kind::Text(1000)),
    lists::EXPAND,
    optional("metadata", Kind::Metadata),
    optional("receipt_email", Kind::Text(800)),
];

const RETRIEVE: &[Rule] =
    &[optional("client_secret", Kind::Text(5000)), optional("key", Kind::Text(500)), lists::EXPAND];

/// <https://docs.stripe.com/payments/paymentintents/lifecycle>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nobody has paid yet, so that the amount and the card can still change.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::RequiresPaymentMethod | Self::RequiresConfirmation | Self::RequiresAction)
    }
}

/// A payment intent. Amounts in the currency's minor units.
#[derive(Debug, Clone)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) amount: i64,
    pub(crate) amount_received: i64,
    pub(crate) amount_capturable: i64,
    pub(crate) currency: String,
    pub(crate) status: Status,
    pub(crate) capture_method: String,
    confirmation_method: String,
    pub(crate) client_secret: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    payment_method_types: Vec<String>,
    automatic_payment_methods: Option<Value>,
    /// The card to be charged, or charged last.
    pub(crate) payment_method: Option<String>,
    pub(crate) latest_charge: Option<String>,
    pub(crate) last_payment_error: Option<Value>,
    pub(crate) next_action: Option<Value>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) cancellation_reason: Option<String>,
    /// The session on whose page it is paid, and nowhere else.
    pub(crate) checkout_session: Option<String>,
    /// Whether its payment stays in `processing`, as the switch says of all.
    pub(crate) takes_time: bool,
    created: i64,
}

impl Record for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }
}

impl PaymentIntent {
    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let currency = amounts::currency(params.text("currency").unwrap_or_default())?;
        let amount = params.integer("amount").unwrap_or_default();
        amounts::chargeable(amount, &currency, "amount")?;
        let automatic = params.member("automatic_payment_methods", "enabled") == Some("true");
        let id = new_id("pi");
        let mut metadata = BTreeMap::new();
        params.apply_metadata(&mut metadata);
        Ok(Self {
            client_secret: format!("{id}_secret_{}", random_text(25)),
            id,
            amount,
            amount_received: 0,
            amount_capturable: 0,
            currency,
            status: Status::RequiresPaymentMethod,
            capture_method: params.owned("capture_method").unwrap_or_else(|| "automatic".to_owned()),
            confirmation_method: params
                .owned("confirmation_method")
                .unwrap_or_else(|| "automatic".to_owned()),
            metadata,
            description: params.owned("description"),
            receipt_email: params.owned("receipt_email"),
            payment_method_types: payment_method_types(params, automatic)?,
            automatic_payment_methods: automatic.then(|| json!({ "enabled": true })),
            payment_method: None,
            latest_charge: None,
            last_payment_error: None,
            next_action: None,
            canceled_at: None,
            cancellation_reason: None,
            checkout_session: None,
            takes_time: false,
            created: now(),
        })
    }

    pub(crate) fn is_captured_manually(&self) -> bool {
        self.capture_method == "manual"
    }

    /// The refusal of an operation that the present status does not allow.
    pub(crate) fn unexpected(&self, operation: &str) -> ApiError {
        let status = self.status.as_str();
        ApiError::unexpected_state(
            format!("This PaymentIntent could not be {operation} because it has a status of {status}."),
            self.render(),
        )
    }

    /// Refuses what is for the session's page and its expiry alone:
    /// <https://docs.stripe.com/api/payment_intents/cancel>.
    pub(crate) fn check_is_ours(&self) -> Result<(), ApiError> {
        if self.checkout_session.is_none() {
            return Ok(());
        }
        let message = "You cannot perform this action on PaymentIntents created by Checkout.";
        Err(ApiError::unexpected_state(message, self.render()))
    }

    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id, "object": "payment_intent", "amount": self.amount,
            "amount_capturable": self.amount_capturable, "amount_details": { "tip": {} },
            "amount_received": self.amount_received, "application": null, "application_fee_amount": null,
            "automatic_payment_methods": self.automatic_payment_methods, "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason, "capture_method": self.capture_method,
            "client_secret": self.client_secret, "confirmation_method": self.confirmation_method,
            "created": self.created, "currency": self.currency, "customer": null,
            "description": self.description, "invoice": null, "last_payment_error": self.last_payment_error,
            "latest_charge": self.latest_charge, "livemode": false, "metadata": self.metadata,
            "next_action": self.next_action, "on_behalf_of": null, "payment_method": self.payment_method,
            "payment_method_options": { "card": {
                "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic",
            } },
            "payment_method_types": self.payment_method_types, "processing": null,
            "receipt_email": self.receipt_email, "review": null, "setup_future_usage": null, "shipping": null,
            "source": null, "statement_descriptor": null, "statement_descriptor_suffix": null,
            "status": self.status.as_str(), "transfer_data": null, "transfer_group": null,
        })
    }
}

pub(crate) fn payment_method_types(params: &Params, automatic: bool) -> Result<Vec<String>, ApiError> {
    let card = || vec!["card".to_owned()];
    match params.list("payment_method_types") {
        Some(_) if automatic => Err(ApiError::invalid(
            "parameter_invalid",
            "payment_method_types",
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
        )),
        Some(types) if types == card() => Ok(types),
        Some(types) => {
            let message =
                format!("The payment method types {types:?} are not activated; this account takes card.");
            Err(ApiError::invalid("payment_intent_invalid_parameter", "payment_method_types", message))
        }
        None => Ok(card()),
    }
}

pub(crate) fn create(state: &mut State, params: &Params) -> Result<Value, ApiError> {
    params.check(CREATE)?;
    let mut intent = PaymentIntent::from_params(params)?;
    if let Some(given) = params.text("payment_method") {
        intent.payment_method = Some(payment_methods::resolve(state, given)?);
        intent.status = Status::RequiresConfirmation;
    }
    let id = intent.id.clone();
    let rendered = intent.render();
    state.payment_intents.insert(intent);
    state.emit("payment_intent.created", rendered.clone());
    if params.boolean("confirm") == Some(true) {
        return confirmation::confirm_with(state, &id, None, params.text("return_url"));
    }
    Ok(rendered)
}

pub(crate) fn find<'a>(state: &'a State, id: &str) -> Result<&'a PaymentIntent, ApiError> {
    state.payment_intents.get(id).ok_or_else(|| ApiError::not_found("payment_intent", id, "intent"))
}

/// Changes an intent that exists and answers with what it is then.
pub(crate) fn change(
    state: &mut State,
    id: &str,
    change: impl FnOnce(&mut PaymentIntent),
) -> Result<Value, ApiError> {
    let intent = state.payment_intents.get_mut(id);
    let intent = intent.ok_or_else(|| ApiError::not_found("payment_intent", id, "intent"))?;
    change(intent);
    Ok(intent.render())
}

pub(crate) fn retrieve(state: &State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(RETRIEVE)?;
    find(state, id).map(PaymentIntent::render)
}

pub(crate) fn list(state: &State, params: &Params) -> Result<Value, ApiError> {
    lists::check(params, &[])?;
    lists::page(&state.payment_intents, params, "/v1/payment_intents", |_| true, PaymentIntent::render)
}

pub(crate) fn update(state: &mut State, params: &Params, id: &str) -> Result<Value, ApiError> {
    params.check(UPDATE)?;
    let intent = find(state, id)?;
    if let Some(amount) = params.integer("amount") {
        amounts::chargeable(amount, &intent.currency, "amount")?;
        if !intent.status.is_open() {
            return Err(intent.unexpected("updated"));
        }
    }
    change(state, id, |intent| {
        intent.amount = params.integer("amount").unwrap_or(intent.amount);
        intent.description = params.owned("description").or(intent.description.take());
        intent.receipt_email = params.owned("receipt_email").or(intent.receipt_email.take());
        params.apply_metadata(&mut intent.metadata);
    })
}
