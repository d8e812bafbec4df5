//! What customers, banks and networks do at Stripe, and how time passes.

use anyhow::Result;
use kitloop_tests::{Failure, Pick, picked};
use serde_json::Value;
use stripe_stand_in::{Fault, NewDispute, Outcome, RequestMatch, Switches};

use super::shop::{Booked, Shop, id_of};
use super::steps::{Card, Deed, Passing, Request};

impl Shop<'_> {
    /// Does it, if there is anything to do it to. What Stripe refuses has not happened.
    pub(super) async fn happen_at_stripe(&mut self, deed: Deed) -> Result<()> {
        self.note(format!("{deed:?}"));
        match deed {
            Deed::Pay { of, intent, card } => match picked(&self.intents_of(of), intent) {
                Some(intent) => self.pay(intent, card).await,
                None => Ok(()),
            },
            Deed::PayBeside { of, is_wrong } => match self.booked(of) {
                Some(booked) => self.pay_beside(booked, is_wrong).await,
                None => Ok(()),
            },
            Deed::Settle { intent, succeeds } => {
                self.settle(|intents| picked(intents, intent).cloned(), succeeds).await
            }
            Deed::ExpireAuthorisation { intent } => {
                if let Some(intent) = picked(&self.intents_in("requires_capture"), intent) {
                    self.stand_in.admin().expire_authorisation(intent).await?;
                }
                Ok(())
            }
            Deed::RefundBeside { intent, is_half } => self.refund_beside(intent, is_half).await,
            Deed::RefundsPend(refunds_pending) => {
                self.stand_in.admin().set_switches(Switches { refunds_pending, ..Switches::default() }).await
            }
            Deed::MoveRefund { refund, to } => {
                if let Some(refund) = picked(&self.stripe_list("refunds").await?, refund) {
                    self.note_refusal(self.stand_in.admin().move_refund(id_of(refund), to).await);
                }
                Ok(())
            }
            Deed::OpenDispute { intent, is_inquiry, is_half } => {
                self.dispute(intent, is_inquiry, is_half).await
            }
            Deed::MoveDispute { dispute, to } => {
                if let Some(dispute) = picked(&self.stripe_list("disputes").await?, dispute) {
                    self.note_refusal(self.stand_in.admin().update_dispute(id_of(dispute), to).await);
                }
                Ok(())
            }
            Deed::CloseDispute { dispute, is_won } => {
                let outcome = if is_won { Outcome::Succeed } else { Outcome::Fail };
                if let Some(dispute) = picked(&self.stripe_list("disputes").await?, dispute) {
                    self.note_refusal(self.stand_in.admin().close_dispute(id_of(dispute), outcome).await);
                }
                Ok(())
            }
            Deed::Fail { request, failure } => {
                self.stand_in.admin().add_fault(&fault(request, failure)).await
            }
            Deed::Lose(event) => {
                self.settle_event(event);
                Ok(())
            }
        }
    }

    fn note_refusal(&self, outcome: Result<Value>) {
        if let Err(error) = outcome {
            self.note(format!("  Stripe: {error:#}"));
        }
    }

    async fn pay(&self, intent: &str, card: Card) -> Result<()> {
        let admin = self.stand_in.admin();
        let number = match card {
            Card::Good | Card::Slow => "pm_card_visa",
            Card::Declined => "pm_card_chargeDeclined",
            Card::Authenticated | Card::NotAuthenticated => "pm_card_authenticationRequired",
        };
        let payments_processing = matches!(card, Card::Slow);
        if payments_processing {
            admin.set_switches(Switches { payments_processing, ..Switches::default() }).await?;
        }
        self.stripe_post(&format!("payment_intents/{intent}/confirm"), &[("payment_method", number)]).await?;
        if payments_processing {
            admin.set_switches(Switches::default()).await?;
        }
        match card {
            Card::Authenticated => {
                self.note_refusal(admin.end_authentication(intent, Outcome::Succeed).await)
            }
            Card::NotAuthenticated => {
                self.note_refusal(admin.end_authentication(intent, Outcome::Fail).await)
            }
            _ => {}
        }
        Ok(())
    }

    async fn pay_beside(&self, booked: Booked, is_wrong: bool) -> Result<()> {
        let amount = if is_wrong { booked.amount_minor / 2 } else { booked.amount_minor };
        let method = if self.rules.is_manual { "manual" } else { "automatic" };
        let form = [
            ("amount", &amount.to_string() as &str),
            ("currency", "czk"),
            ("capture_method", method),
            ("payment_method_types[]", "card"),
            ("metadata[reservation_id]", &booked.id.to_string()),
            ("metadata[provider_id]", &self.provider.to_string()),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
        ];
        self.stripe_post("payment_intents", &form).await
    }

    /// A payment that is being processed ends.
    pub(super) async fn settle(
        &self,
        choose: impl FnOnce(&[String]) -> Option<String>,
        succeeds: bool,
    ) -> Result<()> {
        let outcome = if succeeds { Outcome::Succeed } else { Outcome::Fail };
        if let Some(intent) = choose(&self.intents_in("processing")) {
            self.stand_in.admin().settle_payment(&intent, outcome).await?;
        }
        Ok(())
    }

    /// The intents with this status, oldest first.
    pub(super) fn intents_in(&self, status: &str) -> Vec<String> {
        let money = self.stand_in.money().into_iter();
        money.filter(|intent| intent.status == status).map(|intent| intent.id).collect()
    }

    async fn refund_beside(&self, pick: Pick, is_half: bool) -> Result<()> {
        let paid = self.intents_in("succeeded");
        let Some(intent) = picked(&paid, pick) else { return Ok(()) };
        let money = self.stand_in.money().into_iter().find(|money| money.id == *intent);
        let left = money.map_or(0, |money| money.captured_minor - money.refunded_minor);
        let amount = if is_half { left / 2 } else { left };
        let form = [("payment_intent", intent.as_str()), ("amount", &amount.to_string())];
        self.stripe_post("refunds", &form).await
    }

    async fn dispute(&self, pick: Pick, inquiry: bool, is_half: bool) -> Result<()> {
        let charges = self.stripe_list("charges").await?;
        let captured: Vec<&Value> = charges.iter().filter(|charge| charge["captured"] == true).collect();
        let Some(charge) = picked(&captured, pick) else { return Ok(()) };
        let left =
            charge["amount_captured"].as_i64().unwrap_or(0) - charge["amount_refunded"].as_i64().unwrap_or(0);
        let new = NewDispute {
            charge: id_of(charge).to_owned(),
            amount_minor: is_half.then_some(left / 2),
            reason: None,
            inquiry,
        };
        self.note_refusal(self.stand_in.admin().open_dispute_with(&new).await);
        Ok(())
    }

    pub(super) async fn pass(&mut self, passing: Passing) -> Result<()> {
        self.note(format!("{passing:?}"));
        let database = &self.market.database;
        match passing {
            Passing::Lapse(of) => match self.booked(of) {
                Some(booked) => database.lapse(booked.id.0).await,
                None => Ok(()),
            },
            Passing::Unanswered(of) => {
                let sql = "update public.payments set authorized_at = clock_timestamp() - interval '25 hours'
                    where reservation_id = $1 and status = 'requires_capture'";
                match self.booked(of) {
                    Some(booked) => database.execute(sql, &[&booked.id.0]).await.map(drop),
                    None => Ok(()),
                }
            }
            Passing::Pauses => self.end_pauses().await,
        }
    }

    /// Pauses of jobs, leases and claims end.
    pub(super) async fn end_pauses(&self) -> Result<()> {
        let sql = "update public.jobs set run_after = clock_timestamp() - interval '1 second',
                lease_until = case status when 'running' then clock_timestamp() - interval '1 second' end
            where status in ('queued', 'running');
            update public.payments set claimed_until = clock_timestamp() where claimed_until is not null;
            update public.reconciliations set lease_until = null where lease_until is not null";
        Ok(self.market.database.admin.batch_execute(sql).await?)
    }
}

fn fault(request: Request, failure: Failure) -> Fault {
    let (method, path_suffix) = match request {
        Request::CreateIntent => ("POST", Some("/payment_intents")),
        Request::Cancel => ("POST", Some("/cancel")),
        Request::Capture => ("POST", Some("/capture")),
        Request::Refund => ("POST", Some("/refunds")),
        Request::Read => ("GET", None),
    };
    // Lists are what the sequence itself looks at.
    let path_prefix = match request {
        Request::Read => "/v1/payment_intents/",
        _ => "/v1/",
    };
    Fault {
        request: RequestMatch {
            method: Some(method.to_owned()),
            path_prefix: Some(path_prefix.to_owned()),
            path_suffix: path_suffix.map(str::to_owned),
        },
        times: 1,
        kind: failure.kind(),
    }
}
