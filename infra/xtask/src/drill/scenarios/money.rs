//! Money that should move, and nobody moves it.

use anyhow::Result;
use serde_json::json;

use crate::drill::stage::Stage;

pub(super) async fn a_refund_has_no_job(stage: &mut Stage<'_>) -> Result<()> {
    let jana = stage.scene.jana.clone();
    let (booking, intent, _) = stage.scene.begin_paying(&jana, "drill: no job", "Ice axe", 1).await?;
    stage.scene.pay(&jana, &intent, "pm_card_visa").await?.expect(200, "succeeded")?;
    stage.scene.webhook(&booking, "payment_intent.succeeded", &["confirmed"]).await?;
    stage.database("fate", "loses jobs that refund", LOSE_JOBS).await?;
    let request = json!({ "reservation_id": booking.id });
    stage.scene.call(&jana, "cancels", "cancel_reservation", &request).await?.expect(200, "100 % back")?;
    stage.database("developer", "mends the cause", "drop function public.lose_job() cascade").await?;

    let printed = stage.operator("consistency").await?;
    for text in [r#""consistent": false"#, "refund_owed", &booking.id] {
        stage.must_print(&printed, text)?;
    }
    let printed = stage.operator("repair").await?;
    stage.must_print(&printed, &booking.id)?;
    let refunded = "select f.status from public.refunds f join public.payments p on p.id = f.payment_id
        where p.reservation_id = $1::uuid";
    stage.comes("the refund is made", refunded, &booking, "succeeded").await?;
    stage.operator("consistent").await.map(drop)
}

pub(super) async fn a_balance_is_wrong(stage: &mut Stage<'_>) -> Result<()> {
    stage.know("USER_ID", &stage.scene.file.users.customer.id.to_string())?;
    stage.know("AMOUNT", "100")?;
    stage.know("REASON", "A stove that did not burn")?;
    let printed = stage.operator("adjust-credits").await?;
    stage.must_print(&printed, r#""balance": 100"#)?;
    let change = "update public.credit_accounts set balance = balance + 50";
    stage.database("fate", "changes a balance by hand", change).await?;

    let printed = stage.operator("wrong-balances").await?;
    stage.must_print(&printed, r#""balance":150"#)?;
    stage.operator("balances-again").await?;
    stage.operator("consistent").await.map(drop)
}

/// As by a mistake in a migration.
const LOSE_JOBS: &str = "
    create function public.lose_job() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger lose_refunds before insert on public.jobs
    for each row when (new.kind = 'refund_payment') execute function public.lose_job()";
