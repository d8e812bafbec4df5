//! The shop that a sequence takes place in: everything real but Stripe, which is the stand-in.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kitloop::config::StripeConfig;
use kitloop::db::Db;
use kitloop::domain::Period;
use kitloop::network::Network;
use kitloop::stripe::Stripe;
use kitloop_tests::{Inbox, Interruption, Mistake, Sandboxes, Stage, clearing, database_with};
use proptest::strategy::Strategy;
use serde_json::Value;
use stripe_stand_in::StandIn;
use test_support::{Provider, TestDatabase};
use tokio::time::timeout;
use uuid::Uuid;

use super::requests::Requests;
use super::scenes::lives;
use super::steps::{Act, Life, Rules, Step};
use super::{rest, verdict};

/// The key that our client has at Stripe.
const STRIPE_KEY: &str = "sk_test_kitloop";
/// A sequence that takes longer hangs.
const TIME_TO_LIVE: Duration = Duration::from_secs(60);

/// Where one sequence after another takes place.
pub(super) struct Market {
    pub(super) database: TestDatabase,
    /// Two sandboxes' connections.
    dbs: [Db; 2],
    network: Network,
    http: reqwest::Client,
    /// Empties every table.
    clear: String,
}

/// A shop, for one sequence.
pub(super) struct Shop<'a> {
    pub(super) market: &'a Market,
    pub(super) rules: Rules,
    pub(super) db: Db,
    pub(super) other_db: Db,
    pub(super) stripe: Stripe,
    pub(super) stand_in: StandIn,
    pub(super) provider: Uuid,
    /// Who has credits; the last of them works at the shop.
    pub(super) users: [Uuid; 3],
    pub(super) requests: Requests,
    pub(super) inbox: Inbox,
    pub(super) sandboxes: Sandboxes,
    /// What came of each step, for whoever has to find out why a promise was broken.
    story: RefCell<Vec<String>>,
}

impl Stage for Market {
    type Life = Life;

    fn lives() -> impl Strategy<Value = Life> {
        lives()
    }

    async fn open(mistake: Option<&Mistake>) -> Result<Self> {
        let database = database_with(mistake).await?;
        let dbs = [database.db()?, database.db()?];
        for db in &dbs {
            // Whoever is frozen while it connects keeps everybody else from it.
            db.connect_in_init().await;
        }
        Ok(Self {
            dbs,
            clear: clearing(&database).await?,
            database,
            network: Network::default(),
            // Stripe is local here: a proxy of the environment could not reach it.
            http: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    async fn live(&self, life: &Life) -> Result<()> {
        self.database.admin.batch_execute(&self.clear).await?;
        let mut shop = self.open_shop(life.rules).await?;
        let judged = async {
            for step in &life.steps {
                shop.take(step).await.with_context(|| format!("{step:?}"))?;
            }
            verdict::judge_so_far(&shop).await.context("before the end")?;
            rest::come_to_rest(&mut shop).await?;
            verdict::judge(&shop).await
        };
        let judged = timeout(TIME_TO_LIVE, judged).await.context("it never ends").flatten();
        judged.with_context(|| format!("{:#?}", shop.story.borrow()))
    }
}

impl Market {
    /// With credits for everybody, and somebody who works there.
    async fn open_shop(&self, rules: Rules) -> Result<Shop<'_>> {
        let stand_in = StandIn::start(None).await?;
        let config = StripeConfig {
            api_base: stand_in.base_url().to_owned(),
            secret_key: STRIPE_KEY.to_owned().into(),
            attempt_timeout: Duration::from_secs(5),
        };
        let [db, other_db] = self.dbs.clone();
        let mut shop = Shop {
            market: self,
            rules,
            db,
            other_db,
            stripe: Stripe::new(config, &self.network)?,
            stand_in,
            provider: Provider::default().insert(&self.database).await?,
            users: [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()],
            requests: Requests::default(),
            inbox: Inbox::default(),
            sandboxes: Sandboxes::default(),
            story: RefCell::default(),
        };
        let customers = "insert into public.customers (user_id) select unnest($1::uuid[])";
        self.database.execute(customers, &[&shop.users.as_slice()]).await?;
        shop.staff(true).await?;
        for customer in 0..3 {
            let gift = Act::Adjust { customer, amount: rules.credits };
            shop.act(gift, Interruption::Nothing).await?;
        }
        Ok(shop)
    }
}

impl Shop<'_> {
    async fn take(&mut self, step: &Step) -> Result<()> {
        match *step {
            Step::Ours(act, interruption) => self.act(act, interruption).await?,
            Step::AtOnce(first, second) => self.act_twice(first, second).await?,
            Step::Thaw => self.thaw().await?,
            Step::AtStripe(deed) => self.happen_at_stripe(deed).await?,
            Step::Pauses => self.end_pauses().await?,
            Step::Staff { is_there } => self.staff(is_there).await?,
        }
        self.inbox.hear(&self.stand_in, self.rules.lists_lost_events);
        Ok(())
    }

    /// The last of the users works at the shop, or does not.
    async fn staff(&self, is_there: bool) -> Result<()> {
        self.note(format!("staff: {is_there}"));
        let sql = if is_there {
            "insert into public.provider_members (provider_id, user_id, role) values ($1, $2, 'staff')
            on conflict do nothing"
        } else {
            "delete from public.provider_members where provider_id = $1 and user_id = $2"
        };
        let [_, _, staff] = self.users;
        self.market.database.execute(sql, &[&self.provider, &staff]).await.map(drop)
    }

    /// Pauses of jobs and leases end, and all that would be over by then.
    pub(super) async fn end_pauses(&self) -> Result<()> {
        self.note("pauses end".to_owned());
        let sql = "update public.jobs set run_after = clock_timestamp() - interval '1 second',
                lease_until = case status when 'running' then clock_timestamp() - interval '1 second' end
            where status in ('queued', 'running');
            update public.reconciliations set lease_until = null where lease_until is not null";
        Ok(self.market.database.admin.batch_execute(sql).await?)
    }

    /// A call to Stripe that is not ours; what became of it, it tells in its events.
    pub(super) async fn stripe_post(&self, path: &str, form: &[(&str, &str)]) -> Result<()> {
        let url = format!("{}/v1/{path}", self.stand_in.base_url());
        let request = self.market.http.post(url).bearer_auth(STRIPE_KEY).form(form);
        let answer: Value = serde_json::from_str(&request.send().await?.text().await?).unwrap_or_default();
        let code = answer.pointer("/error/code").or_else(|| answer.get("status"));
        self.note(format!("  Stripe: {}", code.and_then(Value::as_str).unwrap_or("an error")));
        Ok(())
    }

    /// Everything on one of Stripe's lists, newest first.
    pub(super) async fn stripe_list(&self, collection: &str) -> Result<Vec<Value>> {
        let url = format!("{}/v1/{collection}?limit=100", self.stand_in.base_url());
        let request = self.market.http.get(url).bearer_auth(STRIPE_KEY);
        let mut page: Value = request.send().await?.json().await?;
        ensure!(
            page.get("has_more") == Some(&Value::Bool(false)),
            "more than a page of {collection}: {page}"
        );
        match page.get_mut("data").map(Value::take) {
            Some(Value::Array(objects)) => Ok(objects),
            _ => anyhow::bail!("not a list: {page}"),
        }
    }

    pub(super) fn note(&self, line: String) {
        self.story.borrow_mut().push(line);
    }
}

/// A window that holds all of the sequence.
pub(super) fn window() -> Result<Period> {
    let hour = SignedDuration::from_hours(1);
    Ok(Period::new(Timestamp::now().checked_sub(hour)?, Timestamp::now().checked_add(hour)?)?)
}

/// A text member of an object of Stripe's.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
