//! Secrets that change in the Parameter Store while functions run: the same processes take the new ones.

use anyhow::{Result, ensure};
use kitloop::clock;
use resend_stand_in::ResendStandIn;
use serde_json::json;
use test_support::{
    Gear, HttpCall, JWT_SECRET, Parameter, Provider, Reply, StripeEvent, Token, WEBHOOK_SECRET,
    email_settings, sign, wait_until,
};
use uuid::Uuid;

use super::database_away::{OwnCluster, assert_reserves};
use super::lambda::Function;
use super::product::{Product, Shop, scheduled_event, start_payment};

/// An event that nothing is done about, signed with this secret.
async fn deliver(webhook: &Function, secret: &str) -> Result<Reply> {
    let event = StripeEvent::new("customer.created", json!({"object": "customer", "id": "cus_1"}));
    let body = event.payload.to_string();
    let signature = sign(&body, secret, clock::now())?;
    webhook
        .call(&HttpCall::new("POST", "/stripe_webhook").body(&body).header("stripe-signature", &signature))
        .await
}

/// Waits until the function reserves: who asks at the very moment at which the connection ends may hear of that.
async fn reserves_again(reserve: &Function, shop: Shop) -> Result<()> {
    wait_until("the function reserves again", async || {
        Ok(reserve.call(&shop.reserve(Uuid::new_v4())?).await?.status == 201)
    })
    .await
}

async fn small_shop(product: &Product) -> Result<Shop> {
    product.open_shop(&Provider::default(), &Gear::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_webhook_secret_is_taken_beside_the_old_one() -> Result<()> {
    let mut product = Product::start().await?;
    let secret = Parameter::of(WEBHOOK_SECRET).await?;
    product.settings.extend(secret.settings("STRIPE_WEBHOOK_SECRET"));
    let mut webhook = product.run("stripe_webhook").await?;
    assert_eq!(deliver(&webhook, WEBHOOK_SECRET).await?.status, 200);

    secret.put(&json!({"current": "whsec_new", "previous": WEBHOOK_SECRET}).to_string()).await?;
    assert_eq!(deliver(&webhook, "whsec_new").await?.status, 200);
    assert_eq!(deliver(&webhook, WEBHOOK_SECRET).await?.status, 200);
    assert_eq!(deliver(&webhook, "whsec_guessed").await?.status, 400);
    ensure!(!webhook.output()?.contains("whsec_"), "a secret is in the log");
    webhook.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stripe_key_is_taken_at_the_first_refusal() -> Result<()> {
    let mut product = Product::start().await?;
    let key = Parameter::of("revoked").await?;
    product.settings.extend(key.settings("STRIPE_SECRET_KEY"));
    let mut pay = product.run("create_payment_intent").await?;
    let (shop, user) = (small_shop(&product).await?, Uuid::new_v4());
    let reservation_id = product.hold(shop, user).await?;

    key.put("sk_test_new").await?;
    let started = pay.call(&start_payment(reservation_id, user)?).await?;
    assert_eq!(started.status, 200, "{started:?}");
    pay.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_resend_key_is_taken_at_the_first_refusal() -> Result<()> {
    let (mut product, resend) = (Product::start().await?, ResendStandIn::start(None).await?);
    product.settings.extend(email_settings(&resend));
    let key = Parameter::of("revoked").await?;
    product.settings.extend(key.settings("RESEND_API_KEY"));
    let worker = product.run("run_jobs").await?;
    let shop = small_shop(&product).await?;
    let reservation_id = product.hold(shop, Uuid::new_v4()).await?;
    product.database.execute("update public.customers set email = 'jana@example.com'", &[]).await?;
    let sql = "select kitloop.notify($1, 'declined')";
    product.database.execute(sql, &[&reservation_id]).await?;

    key.put("re_new").await?;
    worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    assert_eq!(resend.emails().len(), 1, "{}", worker.output()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_password_is_taken_when_the_connection_is_made_again() -> Result<()> {
    let mut cluster = OwnCluster::start().await?;
    let old = cluster.settings["DATABASE_URL"].clone();
    let url = Parameter::of(&old).await?;
    cluster.settings.extend(url.settings("DATABASE_URL"));
    let mut reserve = cluster.run("reserve_gear").await?;
    let shop = cluster.open_big_shop().await?;
    assert_reserves(&reserve, shop).await?;

    url.put(&old.replace(&cluster.postgres.app.password, "changed")).await?;
    cluster.database.execute("alter role kitloop_app password 'changed'", &[]).await?;
    assert_reserves(&reserve, shop).await?;
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kitloop_app'";
    cluster.database.execute(sql, &[]).await?;
    reserves_again(&reserve, shop).await?;
    reserve.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_of_operators_is_taken_and_the_old_one_let_go() -> Result<()> {
    let mut product = Product::start().await?;
    let token = Parameter::of("the-first-admin-token").await?;
    product.settings.extend(token.settings("ADMIN_TOKEN"));
    let mut ops = product.run("ops").await?;
    let ask = async |token: &str| {
        anyhow::Ok(ops.call(&HttpCall::new("GET", "/ops/counts").bearer(token)).await?.status)
    };
    assert_eq!(ask("the-first-admin-token").await?, 200);

    token.put("the-second-admin-token").await?;
    assert_eq!(ask("the-second-admin-token").await?, 200);
    assert_eq!(ask("the-first-admin-token").await?, 401);
    ops.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_of_schedules_is_taken_beside_the_old_one() -> Result<()> {
    let mut product = Product::start().await?;
    let secret = Parameter::of("the-first-cron-secret").await?;
    product.settings.extend(secret.settings("CRON_SECRET"));
    let mut sweep = product.run("cleanup_reservation_holds").await?;
    let run = async |secret: &str| {
        let call = HttpCall::post("/cleanup_reservation_holds", &json!({})).bearer(secret);
        anyhow::Ok(sweep.call(&call).await?.status)
    };
    let both = json!({"current": "the-second-cron-secret", "previous": "the-first-cron-secret"});
    secret.put(&both.to_string()).await?;
    assert_eq!(run("the-second-cron-secret").await?, 200);
    assert_eq!(run("the-first-cron-secret").await?, 200);
    assert_eq!(run("a-guessed-cron-secret").await?, 401);
    sweep.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_signed_with_a_new_secret_are_taken_beside_those_of_the_old_one() -> Result<()> {
    let mut product = Product::start().await?;
    let secret = Parameter::of(JWT_SECRET).await?;
    product.settings.extend(secret.settings("SUPABASE_JWT_SECRET"));
    let mut reserve = product.run("reserve_gear").await?;
    let shop = product.open_shop(&Provider::default(), &Gear::of(10)).await?;
    let signed_with = async |secret: &str| {
        let user_id = Uuid::new_v4();
        let call = shop.reserve(user_id)?.bearer(&Token::of(user_id).signed_with(secret).encode()?);
        anyhow::Ok(reserve.call(&call).await?.status)
    };
    let new = format!("new-{JWT_SECRET}");
    assert_eq!(signed_with(JWT_SECRET).await?, 201);
    secret.put(&json!({"current": new, "previous": JWT_SECRET}).to_string()).await?;
    assert_eq!(signed_with(&new).await?, 201);
    assert_eq!(signed_with(JWT_SECRET).await?, 201);
    assert_eq!(signed_with(&format!("guessed-{JWT_SECRET}")).await?, 401);
    reserve.assert_alive()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_the_database_that_makes_no_sense_is_not_taken() -> Result<()> {
    let mut cluster = OwnCluster::start().await?;
    let good = cluster.settings["DATABASE_URL"].clone();
    let url = Parameter::of(&good).await?;
    cluster.settings.extend(url.settings("DATABASE_URL"));
    let mut reserve = cluster.run("reserve_gear").await?;
    let shop = cluster.open_big_shop().await?;
    assert_reserves(&reserve, shop).await?;

    url.put("postgres://kitloop_app:secret@127.0.0.1:port/kitloop").await?;
    cluster.database.execute("alter role kitloop_app connection limit 0", &[]).await?;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kitloop_app'";
    cluster.database.execute(end, &[]).await?;
    // The first one may still be on its way over the connection that ends.
    wait_until("somebody is told", async || {
        let refused = reserve.call(&shop.reserve(Uuid::new_v4())?).await?;
        assert_eq!((refused.status, refused.error()), (503, "database_unavailable"), "{refused:?}");
        Ok(reserve.output()?.contains("secret.malformed"))
    })
    .await?;
    cluster.database.execute("alter role kitloop_app connection limit -1", &[]).await?;
    reserves_again(&reserve, shop).await?;
    reserve.assert_alive()
}
