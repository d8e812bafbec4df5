//! A database that stops, restarts and freezes under the functions: they say so in time, and go on when it is back,
//! without a new process.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use anyhow::Result;
use stack::{Postgres, tools};
use stripe_stand_in::StandIn;
use test_support::{Gear, Provider, TestDatabase, settings, wait_until};
use uuid::Uuid;

use super::lambda::{Function, Lambda};
use super::product::{Product, Shop, id, start_payment};

const DATABASE: &str = "kitloop";
/// The functions' own limits, four seconds for an answer and three for a connection, with some to spare.
const IN_TIME: Duration = Duration::from_secs(6);

/// The product over a cluster that it does not share with other tests.
pub(crate) struct OwnCluster {
    // The functions end before the database that they use.
    product: Product,
    pub(crate) postgres: Postgres,
}

impl Deref for OwnCluster {
    type Target = Product;

    fn deref(&self) -> &Product {
        &self.product
    }
}

impl DerefMut for OwnCluster {
    fn deref_mut(&mut self) -> &mut Product {
        &mut self.product
    }
}

impl OwnCluster {
    pub(crate) async fn start() -> Result<Self> {
        let lambda = Lambda::start().await?;
        let postgres = Postgres::start(&lambda.run, &tools::postgres().await?, None).await?;
        postgres.create_database(DATABASE).await?;
        postgres.migrate(DATABASE).await?;
        let (database, stripe) = (look_into(&postgres).await?, StandIn::start(None).await?);
        let mut settings = settings(&database, &stripe)?;
        settings.insert("DATABASE_URL", postgres.endpoint.url(&postgres.app, DATABASE));
        settings.insert("DATABASE_CA_FILE", postgres.endpoint.authority.display().to_string());
        Ok(Self { product: Product { database, stripe, settings, lambda }, postgres })
    }

    /// Starts the server again, and the test's own look into it.
    async fn start_database_again(&mut self) -> Result<()> {
        self.postgres.start_again().await?;
        self.product.database = look_into(&self.postgres).await?;
        Ok(())
    }

    /// A shop with plenty of gear.
    pub(crate) async fn open_big_shop(&self) -> Result<Shop> {
        self.open_shop(&Provider::default(), &Gear::of(100)).await
    }
}

async fn look_into(postgres: &Postgres) -> Result<TestDatabase> {
    let url = postgres.endpoint.url(&postgres.admin, DATABASE);
    TestDatabase::of_own_cluster(&url, &postgres.endpoint.authority).await
}

/// Fails unless the function refuses a reservation in time, as one that can be tried again.
async fn assert_unavailable(reserve: &Function, shop: Shop) -> Result<()> {
    let started = Instant::now();
    let refused = reserve.call(&shop.reserve(Uuid::new_v4())?).await?;
    assert_eq!((refused.status, refused.error()), (503, "database_unavailable"), "{refused:?}");
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert!(refused.header("retry-after").is_some());
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
    Ok(())
}

pub(crate) async fn assert_reserves(reserve: &Function, shop: Shop) -> Result<()> {
    let reserved = reserve.call(&shop.reserve(Uuid::new_v4())?).await?;
    assert_eq!(reserved.status, 201, "{reserved:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_database_is_503_and_the_same_process_goes_on_when_it_is_back() -> Result<()> {
    let mut product = OwnCluster::start().await?;
    let shop = product.open_big_shop().await?;
    let mut reserve = product.run("reserve_gear").await?;
    assert_reserves(&reserve, shop).await?;
    product.postgres.stop();
    assert_unavailable(&reserve, shop).await?;
    product.start_database_again().await?;
    assert_reserves(&reserve, shop).await?;

    // Restarted between two calls, which then is nothing that a caller sees.
    product.start_database_again().await?;
    assert_reserves(&reserve, shop).await?;
    reserve.assert_alive()?;
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_is_503_in_time_and_the_same_process_goes_on_when_it_thaws() -> Result<()> {
    let product = OwnCluster::start().await?;
    let shop = product.open_big_shop().await?;
    let mut reserve = product.run("reserve_gear").await?;
    assert_reserves(&reserve, shop).await?;

    let frozen = product.postgres.freeze()?;
    // The first call waits for an answer, the second one for a connection.
    assert_unavailable(&reserve, shop).await?;
    assert_unavailable(&reserve, shop).await?;
    drop(frozen);
    assert_reserves(&reserve, shop).await?;
    reserve.assert_alive()?;
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_starts_without_a_database_works_when_there_is_one() -> Result<()> {
    let mut product = OwnCluster::start().await?;
    let shop = product.open_big_shop().await?;
    product.postgres.stop();
    let mut reserve = product.run("reserve_gear").await?;
    assert_unavailable(&reserve, shop).await?;
    product.start_database_again().await?;
    assert_reserves(&reserve, shop).await?;
    reserve.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_came_while_the_database_was_away_takes_effect_once() -> Result<()> {
    let mut product = OwnCluster::start().await?;
    let shop = product.open_big_shop().await?;
    let customer = Uuid::new_v4();
    let reserve = product.run("reserve_gear").await?;
    let reservation_id = id(&reserve.call(&shop.reserve(customer)?).await?, "reservation_id")?;
    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, customer)?).await?;
    let _webhook = product.run_webhook().await?;

    product.postgres.stop();
    product.pay(&payment.body, "pm_card_visa").await?;
    let failed_deliveries = async || {
        let mut deliveries = product.admin().deliveries().await?;
        deliveries
            .retain(|delivery| delivery.event_type == "payment_intent.succeeded" && !delivery.delivered);
        anyhow::Ok(deliveries)
    };
    wait_until("Stripe has been turned away", async || Ok(!failed_deliveries().await?.is_empty())).await?;
    assert_eq!(failed_deliveries().await?[0].status, Some(503));
    product.start_database_again().await?;
    product.wait_for_status(reservation_id, "confirmed").await?;
    let effects = "select count(*) from public.stripe_webhook_events
        where type = 'payment_intent.succeeded' and status = 'processed' and decision = 'confirmed'";
    wait_until("the event is logged", async || Ok(product.database.value::<i64>(effects, &[]).await? == 1))
        .await?;
    let captured = "select sum(captured_minor)::bigint from public.payments";
    assert_eq!(product.database.value::<i64>(captured, &[]).await?, 50_000);
    product.database.assert_consistent().await
}
