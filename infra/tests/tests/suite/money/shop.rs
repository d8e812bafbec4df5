//! The shop that a sequence takes place in: everything real but Stripe, which is the stand-in.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kitloop::config::StripeConfig;
use kitloop::db::Db;
use kitloop::domain::{Booking, Period, ReservationId};
use kitloop::error::Error;
use kitloop::network::Network;
use kitloop::stripe::Stripe;
use kitloop_tests::{Inbox, Mistake, Pick, Sandboxes, Stage, clearing, database_with, picked};
use proptest::strategy::Strategy;
use serde_json::Value;
use stripe_stand_in::StandIn;
use test_support::{Gear, Provider, TestDatabase, booking, in_days, reserve};
use tokio::time::timeout;
use uuid::Uuid;

use super::lives::lives;
use super::steps::{Life, Rules, Starts, Step};
use super::{acts, rest, verdict};

/// A sequence that takes longer hangs.
const TIME_TO_LIVE: Duration = Duration::from_secs(60);

/// Where one sequence after another takes place.
pub(super) struct Market {
    pub(super) database: TestDatabase,
    db: Db,
    network: Network,
    http: reqwest::Client,
    /// Empties every table.
    clear: String,
}

/// A reservation of the sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Booked {
    pub(super) id: ReservationId,
    pub(super) customer: Uuid,
    pub(super) starts: Starts,
    pub(super) amount_minor: i64,
}

/// A shop, for one sequence.
pub(super) struct Shop<'a> {
    pub(super) market: &'a Market,
    pub(super) rules: Rules,
    pub(super) db: Db,
    pub(super) stripe: Stripe,
    pub(super) stand_in: StandIn,
    pub(super) provider: Uuid,
    gear: Uuid,
    pub(super) staff: Uuid,
    customers: [Uuid; 2],
    pub(super) booked: Vec<Booked>,
    pub(super) inbox: Inbox,
    pub(super) sandboxes: Sandboxes,
    /// What came of each step, for whoever has to find out why a promise was broken.
    pub(super) story: RefCell<Vec<String>>,
}

impl Stage for Market {
    type Life = Life;

    fn lives() -> impl Strategy<Value = Life> {
        lives()
    }

    async fn open(mistake: Option<&Mistake>) -> Result<Self> {
        let database = database_with(mistake).await?;
        let db = database.db()?;
        // Whoever is frozen while it connects keeps everybody else from it.
        db.connect_in_init().await;
        Ok(Self {
            db,
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
            rest::come_to_rest(&mut shop).await?;
            verdict::judge(&shop).await
        };
        let judged = timeout(TIME_TO_LIVE, judged).await.context("it never ends").flatten();
        judged.with_context(|| format!("{:#?}", shop.story.borrow()))
    }
}

impl Market {
    async fn open_shop(&self, rules: Rules) -> Result<Shop<'_>> {
        let provider = if rules.is_manual { Provider::manual() } else { Provider::default() };
        let provider = provider.insert(&self.database).await?;
        let gear = Gear::of(rules.stock).insert(&self.database, provider).await?;
        let staff = Uuid::new_v4();
        self.database.add_member(provider, staff, "staff").await?;
        let stand_in = StandIn::start(None).await?;
        let config = StripeConfig {
            api_base: stand_in.base_url().to_owned(),
            secret_key: acts::STRIPE_KEY.to_owned().into(),
            attempt_timeout: Duration::from_secs(5),
        };
        Ok(Shop {
            market: self,
            rules,
            db: self.db.clone(),
            stripe: Stripe::new(config, &self.network)?,
            stand_in,
            provider,
            gear,
            staff,
            customers: [Uuid::new_v4(), Uuid::new_v4()],
            booked: Vec::new(),
            inbox: Inbox::default(),
            sandboxes: Sandboxes::default(),
            story: RefCell::default(),
        })
    }
}

impl Shop<'_> {
    async fn take(&mut self, step: &Step) -> Result<()> {
        match *step {
            Step::Reserve { customer, starts } => self.reserve(customer, starts).await?,
            Step::Ours(act, interruption) => self.act(act, interruption).await?,
            Step::Thaw => self.thaw().await?,
            Step::AtStripe(deed) => self.happen_at_stripe(deed).await?,
            Step::Time(passing) => self.pass(passing).await?,
        }
        self.inbox.hear(&self.stand_in, self.rules.lists_lost_events);
        Ok(())
    }

    async fn reserve(&mut self, customer: Pick, starts: Starts) -> Result<()> {
        let customer = *picked(&self.customers, customer).context("nobody")?;
        let reserved = reserve(&self.db, customer, &self.booking(starts)?).await;
        match &reserved {
            Ok(reserved) => self.booked.push(Booked {
                id: reserved.reservation_id,
                customer,
                starts,
                amount_minor: reserved.amount_total_minor,
            }),
            Err(error) => self.note_error("reserve", error)?,
        }
        Ok(())
    }

    fn booking(&self, starts: Starts) -> Result<Booking> {
        let start = match starts {
            Starts::FarAhead => in_days(30),
            Starts::WithinADay => in_days(0).checked_add(SignedDuration::from_hours(5))?,
            Starts::WithinTwoHours => in_days(0).checked_add(SignedDuration::from_hours(1))?,
        };
        let period = Period::new(start, start.checked_add(SignedDuration::from_hours(24))?)?;
        Ok(Booking { period, ..booking(self.provider, self.gear, 1)? })
    }

    /// Any of the reservations.
    pub(super) fn booked(&self, pick: Pick) -> Option<Booked> {
        picked(&self.booked, pick).copied()
    }

    /// A call to Stripe that is not ours; what became of it, it tells in its events.
    pub(super) async fn stripe_post(&self, path: &str, form: &[(&str, &str)]) -> Result<()> {
        let url = format!("{}/v1/{path}", self.stand_in.base_url());
        let request = self.market.http.post(url).bearer_auth(acts::STRIPE_KEY).form(form);
        let answer: Value = serde_json::from_str(&request.send().await?.text().await?).unwrap_or_default();
        let code = answer.pointer("/error/code").or_else(|| answer.get("status"));
        self.note(format!("  Stripe: {}", code.and_then(Value::as_str).unwrap_or("an error")));
        Ok(())
    }

    /// Everything on one of Stripe's lists, newest first.
    pub(super) async fn stripe_list(&self, collection: &str) -> Result<Vec<Value>> {
        let url = format!("{}/v1/{collection}?limit=100", self.stand_in.base_url());
        let request = self.market.http.get(url).bearer_auth(acts::STRIPE_KEY);
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

    /// Notes an error of a use case that may happen; those that may not end the sequence.
    pub(super) fn note_error(&self, what: &str, error: &Error) -> Result<()> {
        self.note(format!("{what}: {error}"));
        let is_expected =
            matches!(error, Error::Refused(_) | Error::StripeUnavailable(_) | Error::StripeRefused(_));
        ensure!(is_expected, "{what}: {error}");
        Ok(())
    }
}

/// A window that holds all of the sequence.
pub(super) fn window() -> Result<Period> {
    let hour = SignedDuration::from_hours(1);
    Ok(Period::new(Timestamp::now().checked_sub(hour)?, Timestamp::now().checked_add(hour)?)?)
}

pub(super) fn id_of(object: &Value) -> &str {
    object.get("id").and_then(Value::as_str).unwrap_or_default()
}
