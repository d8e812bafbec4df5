//! The promises, and mending what can be mended.

use anyhow::Result;
use serde_json::json;
use test_support::{HttpCall, Shop};

use super::{answer, audited, see};

#[tokio::test]
async fn a_product_in_order_is_consistent() -> Result<()> {
    let shop = Shop::open().await?;
    shop.hold_with_intent().await?;
    assert_eq!(see(&shop, "/ops/consistency").await?, json!({"consistent": true, "violations": []}));
    Ok(())
}

#[tokio::test]
async fn a_promise_that_is_broken_is_named() -> Result<()> {
    let shop = Shop::open().await?;
    let reservation_id = shop.hold().await?;
    let sql = "update public.reservation_lines set blocks_until = 'infinity'";
    shop.database.execute(sql, &[]).await?;
    let details = json!({"reservation_id": reservation_id, "gear_id": shop.gear_id});
    assert_eq!(
        see(&shop, "/ops/consistency").await?,
        json!({"consistent": false, "violations": [{"violation": "wrong_blocks_until", "details": details}]})
    );
    Ok(())
}

#[tokio::test]
async fn money_whose_job_is_gone_is_sent_again_in_the_operators_name() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_with_intent().await?;
    shop.database.lapse(reservation_id).await?;
    shop.database.execute("select kitloop.expire_holds(10)", &[]).await?;
    shop.database.execute("delete from public.jobs", &[]).await?;

    let repair = HttpCall::sample("ops/repair.json", &[])?.bearer(test_support::ADMIN_TOKEN);
    let reply = answer(&shop, &repair).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.at("/payments/0/decision"), "cancel_resent");
    assert_eq!(reply.at("/payments/0/reservation_id"), &json!(reservation_id));
    assert_eq!(shop.jobs().await?, [("cancel_payment_intent".to_owned(), "queued".to_owned())]);
    assert_eq!(answer(&shop, &repair).await?.body, json!({"payments": []}), "once is enough");
    assert_eq!(
        audited(&shop).await?,
        json!([
            ["operator:Ada", "consistency_repair", {"payments": 1}],
            ["operator:Ada", "consistency_repair", {"payments": 0}]
        ])
    );
    Ok(())
}
