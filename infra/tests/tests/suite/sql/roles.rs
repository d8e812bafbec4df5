//! Who may do what in SQL itself, whatever the operations would say.

use anyhow::{Context, Result};
use kitloop::domain::{Fact, RefundStatus, ReservationStatus};
use serde_json::json;
use test_support::TestDatabase;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::money::disputed;
use super::shop::{Shop, refund};

/// Everything that the login role of the functions may do.
const OPERATIONS: &[&str] = &[
    "adjust_credits",
    "advance_reconciliation",
    "apply_stripe_event",
    "beat",
    "cancel_reservation",
    "check_consistency",
    "claim_job",
    "confirm_reservation",
    "create_job",
    "credits",
    "differences",
    "expire_holds",
    "export_reservations",
    "fail_stripe_event",
    "finish_cron_run",
    "finish_email",
    "finish_job",
    "finish_paid_job",
    "get_job",
    "mend_money",
    "missing_events",
    "open_checkout_sessions",
    "open_payment_intents",
    "ops_audit",
    "ops_counts",
    "ops_dead_letters",
    "ops_metrics",
    "ops_repair",
    "ops_reservation_stats",
    "ops_webhook_events",
    "readiness",
    "reconciliation_report",
    "record_checkout_session",
    "record_finding",
    "record_payment_intent",
    "refund_reservation",
    "replay_dead_letter",
    "request_event_replay",
    "reserve_gear",
    "retry_job",
    "settle_fact",
    "settle_payment_intent",
    "spend_checkout_key",
    "start_cron_run",
    "start_payment",
    "start_reconciliation",
    "start_topup",
];

/// What those may use who come with a token through PostgREST: how policies learn who they are.
const CLAIMS: [&str; 4] =
    ["claims_member_of", "claims_see_customer", "claims_see_reservation", "claims_user_id"];

/// The text of each row of one column, in order.
async fn texts(database: &TestDatabase, sql: &str) -> Result<Vec<String>> {
    let rows = database.admin.query(sql, &[]).await.with_context(|| sql.to_owned())?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Our own functions that a role may execute; those of extensions are theirs.
async fn executable(database: &TestDatabase, role: &str) -> Result<Vec<String>> {
    let sql = format!(
        "select proname::text from pg_proc p where pronamespace = 'kitloop'::regnamespace
            and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
            and has_function_privilege('{role}', p.oid, 'execute')
        order by proname"
    );
    texts(database, &sql).await
}

#[tokio::test]
async fn each_role_may_execute_what_it_needs_and_nothing_else() -> Result<()> {
    let database = TestDatabase::create().await?;
    assert_eq!(executable(&database, "kitloop_app").await?, OPERATIONS);
    assert_eq!(executable(&database, "authenticated").await?, CLAIMS);
    assert_eq!(executable(&database, "anon").await?, ["claims_user_id"]);
    Ok(())
}

#[tokio::test]
async fn the_login_role_of_the_functions_reaches_no_table() -> Result<()> {
    let database = TestDatabase::create().await?;
    let sql = "select c.oid::regclass::text from pg_class c
        where c.relnamespace in ('public'::regnamespace, 'kitloop'::regnamespace) and c.relkind in ('r', 'p', 'v', 'm')
            and (has_table_privilege('kitloop_app', c.oid, 'select, insert, update, delete, truncate, references, trigger')
                or has_any_column_privilege('kitloop_app', c.oid, 'select, insert, update, references'))";
    assert_eq!(texts(&database, sql).await?, Vec::<String>::new());
    let sql = "select rolname::text from pg_roles where rolname = 'kitloop_app'
            and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication)
        union all
        select roleid::regrole::text from pg_auth_members where member = 'kitloop_app'::regrole";
    assert_eq!(texts(&database, sql).await?, Vec::<String>::new(), "nor may it become somebody who does");
    Ok(())
}

#[tokio::test]
async fn the_login_role_of_the_functions_does_not_wait_for_ever() -> Result<()> {
    let database = TestDatabase::create().await?;
    let sql =
        "select unnest(setconfig) from pg_db_role_setting where setrole = 'kitloop_app'::regrole order by 1";
    let settings = ["idle_in_transaction_session_timeout=5s", "lock_timeout=2s", "statement_timeout=3s"];
    assert_eq!(texts(&database, sql).await?, settings);
    Ok(())
}

#[tokio::test]
async fn no_function_of_ours_is_open_to_everybody() -> Result<()> {
    let database = TestDatabase::create().await?;
    let sql = "select distinct p.oid::regprocedure::text from pg_proc p
        cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl
        where p.pronamespace in ('kitloop'::regnamespace, 'public'::regnamespace) and acl.grantee = 0
            and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')";
    assert_eq!(texts(&database, sql).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn every_function_of_ours_looks_names_up_nowhere() -> Result<()> {
    let database = TestDatabase::create().await?;
    let ours = "from pg_proc p where pronamespace = 'kitloop'::regnamespace
        and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')";
    let open = format!(
        "select p.oid::regprocedure::text {ours}
            and not coalesce(p.proconfig, '{{}}') @> array['search_path=pg_catalog, pg_temp']"
    );
    assert_eq!(texts(&database, &open).await?, Vec::<String>::new());
    let definers = format!("select proname::text {ours} and prosecdef and proname = any($1)");
    let rows = database.admin.query(&definers, &[&OPERATIONS]).await?;
    assert_eq!(rows.len(), OPERATIONS.len(), "every operation runs as the owner");
    let owners = format!("select distinct proowner::regrole::text {ours}");
    assert_eq!(texts(&database, &owners).await?, ["kitloop_owner"]);
    Ok(())
}

#[tokio::test]
async fn every_table_has_row_level_security_and_nobody_is_forced() -> Result<()> {
    let database = TestDatabase::create().await?;
    let sql = "select relname::text from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            and (not relrowsecurity or relforcerowsecurity)";
    assert_eq!(texts(&database, sql).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn those_who_come_with_a_token_write_nothing() -> Result<()> {
    let database = TestDatabase::create().await?;
    let sql = "select r.rolname || ' ' || c.relname from pg_class c, pg_roles r
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and r.rolname in ('anon', 'authenticated')
            and (has_table_privilege(r.oid, c.oid, 'insert, update, delete, truncate, references, trigger')
                or has_any_column_privilege(r.oid, c.oid, 'insert, update, references'))";
    assert_eq!(texts(&database, sql).await?, Vec::<String>::new());
    let sql =
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
        and has_any_column_privilege('anon', oid, 'select') order by relname";
    assert_eq!(texts(&database, sql).await?, ["gear_items", "providers"]);
    Ok(())
}

#[tokio::test]
async fn the_plan_of_a_shop_is_shown_to_nobody() -> Result<()> {
    let database = TestDatabase::create().await?;
    let sql = "select attname::text from pg_attribute a, pg_roles r
        where attrelid = 'public.providers'::regclass and attnum > 0 and r.rolname in ('anon', 'authenticated')
            and not has_column_privilege(r.oid, attrelid, attname, 'select')
        group by attname having count(*) = 2 order by attname";
    let hidden = [
        "plan",
        "plan_grace_days",
        "plan_past_due_since",
        "plan_status",
        "plan_status_at",
        "plan_subscription_id",
    ];
    assert_eq!(texts(&database, sql).await?, hidden);
    Ok(())
}

/// What PostgREST shows to a role with these claims: rows of each table, in this order.
async fn seen_by(database: &TestDatabase, role: &str, user_id: Option<Uuid>) -> Result<Vec<i64>> {
    let claims = user_id.map_or_else(String::new, |id| json!({"sub": id, "role": role}).to_string());
    database.admin.batch_execute(&format!("begin; set local role {role}")).await?;
    database.admin.query("select set_config('request.jwt.claims', $1, true)", &[&claims]).await?;
    let mut counts = Vec::new();
    for table in VISIBLE {
        counts.push(database.value(&format!("select count(*) from public.{table}"), &[]).await?);
    }
    database.admin.batch_execute("rollback").await?;
    Ok(counts)
}

const VISIBLE: [&str; 12] = [
    "providers",
    "gear_items",
    "provider_members",
    "customers",
    "reservations",
    "reservation_lines",
    "payments",
    "refunds",
    "disputes",
    "orders",
    "order_lines",
    "credit_notes",
];

#[tokio::test]
async fn everybody_sees_their_own_and_their_providers_rows() -> Result<()> {
    let shop = Shop::open_with(&test_support::Provider::default(), &test_support::Gear::of(9)).await?;
    let paying = shop.confirmed("pi_1").await?;
    let browsing = shop.hold().await?;
    shop.hear(&Fact::Refund(refund("re_1", "pi_1", 1, RefundStatus::Succeeded))).await?;
    shop.hear(&disputed("du_1", "pi_1", 1, "needs_response", 0)).await?;
    let elsewhere = test_support::Provider::default().insert(&shop.database).await?;
    let owner_elsewhere = Uuid::new_v4();
    shop.database.add_member(elsewhere, owner_elsewhere, "owner").await?;

    let seen = async |user| seen_by(&shop.database, "authenticated", Some(user)).await;
    let disputes_are_not_theirs = [2, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1];
    assert_eq!(seen(paying.customer).await?, disputes_are_not_theirs);
    assert_eq!(seen(browsing.customer).await?, [2, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(seen(shop.staff).await?, [2, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1]);
    assert_eq!(seen(owner_elsewhere).await?, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(seen(Uuid::new_v4()).await?, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(seen_by(&shop.database, "authenticated", None).await?, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    shop.database.execute("update public.gear_items set archived_at = now()", &[]).await?;
    assert_eq!(seen(shop.staff).await?[1], 0, "what is archived is not in the catalogue");
    Ok(())
}

#[tokio::test]
async fn anybody_sees_the_catalogue_alone() -> Result<()> {
    let shop = Shop::open().await?;
    shop.confirmed("pi_1").await?;
    for table in VISIBLE {
        shop.database.admin.batch_execute("begin; set local role anon").await?;
        let seen = shop.database.admin.query(&format!("select from public.{table}"), &[]).await;
        shop.database.admin.batch_execute("rollback").await?;
        match table {
            "providers" | "gear_items" => assert_eq!(seen?.len(), 1),
            _ => assert_eq!(
                seen.err().context("seen by anybody")?.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{table}"
            ),
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_audit_log_only_grows() -> Result<()> {
    let database = TestDatabase::create().await?;
    database.execute("insert into public.audit_logs (actor, action) values ('test', 'test')", &[]).await?;
    for sql in [
        "update public.audit_logs set actor = 'nobody'",
        "delete from public.audit_logs",
        "truncate public.audit_logs",
        "update public.audit_logs set actor = 'nobody' where false",
    ] {
        let error = database.admin.execute(sql, &[]).await.err().with_context(|| sql.to_owned())?;
        assert_eq!(error.code().map(SqlState::code), Some("KL002"), "{sql}");
    }
    Ok(())
}

/// Every step that the life of a reservation has.
const STEPS: [(&str, &[&str]); 8] = [
    ("hold", &["authorized", "confirmed", "expired", "cancelled"]),
    ("expired", &["authorized", "confirmed", "cancelled"]),
    ("authorized", &["confirmed", "cancelled"]),
    ("confirmed", &["active", "cancelled", "no_show"]),
    ("active", &["completed"]),
    ("completed", &[]),
    ("cancelled", &[]),
    ("no_show", &[]),
];

#[tokio::test]
async fn a_reservation_takes_no_step_that_its_life_does_not_have() -> Result<()> {
    let shop = Shop::open().await?;
    shop.hold().await?;
    for (from, allowed) in STEPS {
        for (to, _) in STEPS {
            // As a replica would, past the triggers, to where the step begins.
            shop.database.admin.batch_execute("set session_replication_role = replica").await?;
            shop.database.execute(&step_to(from), &[]).await?;
            shop.database.admin.batch_execute("reset session_replication_role").await?;
            let outcome = shop.database.admin.execute(&step_to(to), &[]).await;
            let code = outcome.err().and_then(|error| error.code().map(|code| code.code().to_owned()));
            let is_allowed = from == to || allowed.contains(&to);
            assert_eq!(code.as_deref(), (!is_allowed).then_some("KL001"), "from {from} to {to}");
        }
    }
    assert!(STEPS.iter().all(|(status, _)| ReservationStatus::parse(status).is_some()));
    Ok(())
}

fn step_to(status: &str) -> String {
    let reason = if status == "cancelled" { "'customer'" } else { "null" };
    format!("update public.reservations set status = '{status}', cancel_reason = {reason}")
}
