//! What goes wrong, and how the runbook gets out of it.

mod data;
mod deployment;
mod events;
mod jobs;
mod money;
mod reading;
mod schedules;
mod secrets;
mod webhook_secret;

use std::pin::Pin;

use anyhow::Result;

use super::stage::Stage;

/// A scenario under way.
type Playing<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Something that goes wrong, and the blocks that the operator runs because of it, in their order.
pub(super) struct Scenario {
    pub(super) title: &'static str,
    pub(super) blocks: &'static [&'static str],
    pub(super) play: for<'a> fn(&'a mut Stage<'_>) -> Playing<'a>,
}

/// In their order: data are restored last, which makes the schema and the data good again whatever went before.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        title: "Drill: an operator sits down",
        blocks: &["start"],
        play: |stage| Box::pin(reading::sit_down(stage)),
    },
    Scenario {
        title: "Drill: the webhook's secret changes while the product runs",
        blocks: &["rotate-webhook-secret", "webhook-secret-works", "settle-webhook-secret"],
        play: |stage| Box::pin(webhook_secret::changes(stage)),
    },
    Scenario {
        title: "Drill: an event fails, and Stripe does not send it again",
        blocks: &["failed-events", "replay-events", "no-failed-events"],
        play: |stage| Box::pin(events::one_fails(stage)),
    },
    Scenario {
        title: "Drill: an event never comes",
        blocks: &["reconcile"],
        play: |stage| Box::pin(events::one_never_comes(stage)),
    },
    Scenario {
        title: "Drill: the worker is dead for ten minutes, and money comes too late",
        blocks: &["worker-state", "worker-revive", "worker-lives", "late-payment", "money-went-back"],
        play: |stage| Box::pin(jobs::the_worker_is_dead(stage)),
    },
    Scenario {
        title: "Drill: Stripe refuses a capture, and the job is given up",
        blocks: &["dead-letters", "replay-dead-letter"],
        play: |stage| Box::pin(jobs::one_is_given_up(stage)),
    },
    Scenario {
        title: "Drill: the sweep does not run",
        blocks: &["schedules", "run-schedules", "schedules-run"],
        play: |stage| Box::pin(schedules::the_sweep_does_not_run(stage)),
    },
    Scenario {
        title: "Drill: a refund is decided, and its job is lost",
        blocks: &["consistency", "repair", "consistent"],
        play: |stage| Box::pin(money::a_refund_has_no_job(stage)),
    },
    Scenario {
        title: "Drill: somebody changes a balance of credits by hand",
        blocks: &["adjust-credits", "wrong-balances", "balances-again", "consistent"],
        play: |stage| Box::pin(money::a_balance_is_wrong(stage)),
    },
    Scenario {
        title: "Drill: a customer asks what became of a request",
        blocks: &["find-request", "recent-errors"],
        play: |stage| Box::pin(reading::find_a_request(stage)),
    },
    Scenario {
        title: "Drill: every secret leaked",
        blocks: &[
            "leaked-admin-token",
            "leaked-cron-secret",
            "leaked-webhook-secret",
            "leaked-stripe-key",
            "leaked-resend-key",
            "leaked-alert-webhook",
            "leaked-jwt-secret",
            "leaked-database-password",
        ],
        play: |stage| Box::pin(secrets::all_leaked(stage)),
    },
    Scenario {
        title: "Drill: a deployment is rolled back, and a migration",
        blocks: &["note-versions", "roll-back", "roll-forward", "migrate-down", "migrate"],
        play: |stage| Box::pin(deployment::is_rolled_back(stage)),
    },
    Scenario {
        title: "Drill: a table is dropped, and a backup restored",
        blocks: &["backup", "stop", "restore", "restored"],
        play: |stage| Box::pin(data::are_lost(stage)),
    },
];
