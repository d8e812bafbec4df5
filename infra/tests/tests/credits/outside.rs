//! What customers, banks and networks do at Stripe.

use anyhow::Result;
use kitloop_tests::{Pick, picked};
use serde_json::Value;
use stripe_stand_in::{CheckoutPayment, Fault, NewDispute, Outcome, RequestMatch, Switches};

use super::shop::{Shop, text};
use super::steps::{Deed, Payment, Request};

impl Shop<'_> {
    /// Does it, if there is anything to do it to. What Stripe refuses has not happened.
    pub(super) async fn happen_at_stripe(&mut self, deed: Deed) -> Result<()> {
        self.note(format!("{deed:?}"));
        let admin = self.stand_in.admin();
        match deed {
            Deed::Pay { session, how } => {
                if let Some(session) = picked(&self.stripe_list("checkout/sessions").await?, session) {
                    self.pay(session, how).await;
                }
            }
            Deed::Settle { intent, succeeds } => {
                if let Some(intent) = picked(&self.intents_in("processing"), intent) {
                    self.note_refusal(admin.settle_payment(intent, outcome(succeeds)).await);
                }
            }
            Deed::Expire { session } => {
                if let Some(session) = picked(&self.stripe_list("checkout/sessions").await?, session) {
                    self.stripe_post(&format!("checkout/sessions/{}/expire", text(session, "/id")), &[])
                        .await?;
                }
            }
            Deed::Refund { intent, parts } => self.refund(intent, parts).await?,
            Deed::RefundsPend(refunds_pending) => {
                admin.set_switches(Switches { refunds_pending, ..Switches::default() }).await?;
            }
            Deed::MoveRefund { refund, to } => {
                if let Some(refund) = picked(&self.stripe_list("refunds").await?, refund) {
                    self.note_refusal(admin.move_refund(text(refund, "/id"), to).await);
                }
            }
            Deed::OpenDispute { intent, is_inquiry, is_half } => {
                self.dispute(intent, is_inquiry, is_half).await?;
            }
            Deed::MoveDispute { dispute, to } => {
                if let Some(dispute) = picked(&self.stripe_list("disputes").await?, dispute) {
                    self.note_refusal(admin.update_dispute(text(dispute, "/id"), to).await);
                }
            }
            Deed::CloseDispute { dispute, is_won } => {
                if let Some(dispute) = picked(&self.stripe_list("disputes").await?, dispute) {
                    self.note_refusal(admin.close_dispute(text(dispute, "/id"), outcome(is_won)).await);
                }
            }
            Deed::Fail { request, failure } => {
                admin
                    .add_fault(&Fault { request: request.matched(), times: 1, kind: failure.kind() })
                    .await?;
            }
            Deed::Lose(event) => {
                let place = picked(&self.inbox.undelivered(), event).copied();
                for event in self.inbox.settle(place) {
                    self.note(format!("  lost: {}", text(&event, "/type")));
                }
            }
        }
        Ok(())
    }

    fn note_refusal(&self, outcome: Result<Value>) {
        if let Err(error) = outcome {
            self.note(format!("  Stripe: {error:#}"));
        }
    }

    async fn pay(&self, session: &Value, how: Payment) {
        let card = match how {
            Payment::Declined => "pm_card_chargeDeclined",
            Payment::Card | Payment::Debit | Payment::Misreported => "pm_card_visa",
        };
        let payment = CheckoutPayment {
            card: card.to_owned(),
            unpaid: matches!(how, Payment::Debit),
            told_amount_minor: matches!(how, Payment::Misreported).then_some(1),
            told_currency: None,
        };
        let paid = self.stand_in.admin().complete_checkout_with(text(session, "/id"), &payment).await;
        self.note_refusal(paid);
    }

    /// The intents with this status, oldest first.
    pub(super) fn intents_in(&self, status: &str) -> Vec<String> {
        let money = self.stand_in.money().into_iter();
        money.filter(|intent| intent.status == status).map(|intent| intent.id).collect()
    }

    async fn refund(&self, pick: Pick, parts: i64) -> Result<()> {
        let paid = self.intents_in("succeeded");
        let Some(intent) = picked(&paid, pick) else { return Ok(()) };
        let money = self.stand_in.money().into_iter().find(|money| money.id == *intent);
        let left = money.map_or(0, |money| money.captured_minor - money.refunded_minor);
        let form = [("payment_intent", intent.as_str()), ("amount", &(left / parts).to_string())];
        self.stripe_post("refunds", &form).await
    }

    async fn dispute(&self, pick: Pick, inquiry: bool, is_half: bool) -> Result<()> {
        let charges = self.stripe_list("charges").await?;
        let captured: Vec<&Value> = charges.iter().filter(|charge| charge["captured"] == true).collect();
        let Some(charge) = picked(&captured, pick) else { return Ok(()) };
        let left =
            charge["amount_captured"].as_i64().unwrap_or(0) - charge["amount_refunded"].as_i64().unwrap_or(0);
        let new = NewDispute {
            charge: text(charge, "/id").to_owned(),
            amount_minor: is_half.then_some(left / 2),
            reason: None,
            inquiry,
        };
        self.note_refusal(self.stand_in.admin().open_dispute_with(&new).await);
        Ok(())
    }
}

pub(super) const fn outcome(succeeds: bool) -> Outcome {
    if succeeds { Outcome::Succeed } else { Outcome::Fail }
}

impl Request {
    /// Lists are what the sequence itself looks at.
    fn matched(self) -> RequestMatch {
        let (method, path_prefix) = match self {
            Self::CreateSession => ("POST", "/v1/checkout/sessions"),
            Self::Read => ("GET", "/v1/checkout/sessions/"),
        };
        RequestMatch {
            method: Some(method.to_owned()),
            path_prefix: Some(path_prefix.to_owned()),
            path_suffix: matches!(self, Self::CreateSession).then(|| "/sessions".to_owned()),
        }
    }
}
