//! What share of the money a customer who cancels gets back: the policy of the provider, and rounding.

use anyhow::{Context, Result};
use kitloop::domain::{Fact, PaymentIntentFact, PaymentStatus};
use test_support::{Gear, Provider};
use tokio_postgres::error::SqlState;

use super::shop::Shop;

const HOUR: i32 = 3600;

async fn set_policy(shop: &Shop, policy: &str) -> Result<()> {
    let sql = "update public.providers set cancellation_policy = $1::text::jsonb";
    shop.database.execute(sql, &[&policy]).await.map(drop)
}

#[tokio::test]
async fn the_first_step_of_the_policy_that_is_early_enough_decides_to_the_instant() -> Result<()> {
    let shop = Shop::open().await?;
    let usual = r#"[{"hours_before": 24, "refund_percent": 100}, {"hours_before": 2, "refund_percent": 50}]"#;
    let in_halves =
        r#"[{"hours_before": 1.5, "refund_percent": 80.0}, {"hours_before": 0, "refund_percent": 5}]"#;
    for (policy, ahead, percent) in [
        (usual, "1000 hours", 100),
        (usual, "24 hours", 100),
        (usual, "24 hours -1 microsecond", 50),
        (usual, "2 hours", 50),
        (usual, "2 hours -1 microsecond", 0),
        (usual, "-1 hour", 0),
        ("[]", "1000 hours", 0),
        (r#"[{"hours_before": 48, "refund_percent": 75}]"#, "48 hours", 75),
        (r#"[{"hours_before": 48, "refund_percent": 75}]"#, "48 hours -1 microsecond", 0),
        (in_halves, "90 minutes", 80),
        (in_halves, "90 minutes -1 microsecond", 5),
        (in_halves, "0", 5),
        (in_halves, "-1 microsecond", 0),
    ] {
        let sql = "select kitloop.refund_percent($1::text::jsonb, now() + $2::text::interval, now())";
        let found: i32 = shop.database.value(sql, &[&policy, &ahead]).await?;
        assert_eq!(found, percent, "{ahead} ahead of the start under {policy}");
    }
    Ok(())
}

#[tokio::test]
async fn a_share_is_rounded_up_to_what_the_currency_has() -> Result<()> {
    let shop = Shop::open().await?;
    for (amount_minor, percent, currency, share_minor) in [
        (33_333_i64, 50_i32, "CZK", 16_667),
        (1, 1, "CZK", 1),
        (999, 50, "JPY", 500),
        (12_350, 50, "KWD", 6_180),
        (12_340, 33, "KWD", 4_080),
        (150_000, 33, "ISK", 49_500),
        (150_100, 33, "ISK", 49_600),
        (100, 1, "UGX", 100),
        (99_999_999, 100, "CZK", 99_999_999),
        (12_340, 0, "KWD", 0),
    ] {
        let sql = "select kitloop.share_minor($1, $2, $3)";
        let found: i64 = shop.database.value(sql, &[&amount_minor, &percent, &currency]).await?;
        assert_eq!(found, share_minor, "{percent} % of {currency} {amount_minor}");
    }
    Ok(())
}

#[tokio::test]
async fn half_of_an_odd_amount_in_thousandths_ends_in_zero() -> Result<()> {
    let gear = Gear { day_price_minor: 12_350, ..Gear::default() };
    let shop = Shop::open_with(&Provider { currency: "KWD", ..Provider::default() }, &gear).await?;
    let hold = shop.hold().await?;
    let paid = shop.intent(&hold, "pi_1", PaymentStatus::Succeeded);
    shop.hear(&Fact::PaymentIntent(PaymentIntentFact { currency: "KWD".to_owned(), ..paid })).await?;
    shop.starts_in(&hold, 3 * HOUR).await?;
    let cancelled = shop.cancel_by(hold.customer, &hold).await?;
    assert_eq!((cancelled.refund_minor, cancelled.currency.as_str()), (6_180, "KWD"));
    assert_eq!(shop.books(&hold).await?, [6_180, 6_170, 0]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_table_refuses_a_policy_that_is_none() -> Result<()> {
    let shop = Shop::open().await?;
    let steps = |steps: &[(&str, &str)]| {
        let steps: Vec<String> = steps
            .iter()
            .map(|(hours, percent)| format!(r#"{{"hours_before": {hours}, "refund_percent": {percent}}}"#))
            .collect();
        format!("[{}]", steps.join(", "))
    };
    let eleven: Vec<(String, String)> =
        (0..11).map(|i| ((20 - i).to_string(), (90 - i).to_string())).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|(h, p)| (h.as_str(), p.as_str())).collect();
    for wrong in [
        steps(&[("24", "50"), ("2", "100")]),
        steps(&[("2", "100"), ("24", "50")]),
        steps(&[("24", "100"), ("24", "50")]),
        steps(&[("-1", "100")]),
        steps(&[("8761", "100")]),
        steps(&[("24", "101")]),
        steps(&[("24", "-1")]),
        steps(&[("24", "33.3")]),
        steps(&[("\"24\"", "100")]),
        steps(&[("24", "\"100\"")]),
        steps(&[("null", "100")]),
        steps(&[("[24, 2]", "100")]),
        steps(&eleven),
        format!("[{}]", steps(&[("24", "100")])),
        "[{}]".to_owned(),
        "[1]".to_owned(),
        "[null]".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        "100".to_owned(),
        r#"[{"refund_percent": 50}]"#.to_owned(),
    ] {
        let sql = "update public.providers set cancellation_policy = $1::text::jsonb";
        let error = shop.database.admin.execute(sql, &[&wrong]).await.err().with_context(|| wrong.clone())?;
        assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION), "{wrong}");
    }
    for right in [steps(&eleven[1..]), steps(&[("24", "100"), ("2.5", "100")]), "[]".to_owned()] {
        set_policy(&shop, &right).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_of_the_providers_own_holds_from_the_moment_it_is_set() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(3)).await?;
    for (intent_id, policy, percent) in [
        ("pi_1", "[]", 0),
        ("pi_2", r#"[{"hours_before": 0, "refund_percent": 90}]"#, 90),
        ("pi_3", r#"[{"hours_before": 8760, "refund_percent": 90}]"#, 0),
    ] {
        let hold = shop.confirmed(intent_id).await?;
        set_policy(&shop, policy).await?;
        assert_eq!(shop.cancel_by(hold.customer, &hold).await?.refund_percent, percent, "{policy}");
    }
    shop.database.assert_consistent().await
}
