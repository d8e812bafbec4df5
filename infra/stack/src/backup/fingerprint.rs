//! What a table holds, in two numbers.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::migrations::Connection;
use crate::progress::Step;

/// How many rows a table has, and a sum over their hashes, in which their order makes no difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many rows there are.
    pub rows: i64,
    /// The sum of the first 64 bits of each row's SHA-256, as a decimal number.
    pub checksum: String,
}

/// Every table of ours by its name, as SQL writes it.
pub(super) type Fingerprints = BTreeMap<String, Fingerprint>;

/// A row is hashed as text, which these settings of a session or a role would change.
const PLAIN_TEXT: &str = "
    set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres'; set local timezone = 'UTC';
    set local extra_float_digits = 1; set local bytea_output = 'hex';
    set local row_security = off; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0";

/// Begins a transaction that sees one snapshot, whatever others write and however long it takes.
pub(super) async fn begin_snapshot(connection: &mut Connection) -> Result<()> {
    sqlx::raw_sql("begin isolation level repeatable read read only").execute(&mut *connection).await?;
    sqlx::raw_sql(PLAIN_TEXT).execute(&mut *connection).await?;
    Ok(())
}

/// Reads every table of the schemas `kitloop` and `public`, inside the transaction of [`begin_snapshot`].
pub(super) async fn take(connection: &mut Connection, what: &str) -> Result<Fingerprints> {
    let tables = "select format('%I.%I', n.nspname, c.relname)
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('kitloop', 'public') and c.relkind = 'r' and not exists (
            select from pg_catalog.pg_depend d
            where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
        )
        order by 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *connection).await?;
    let step = Step::begin_counted(what, tables.len());
    let mut all = Fingerprints::new();
    for table in tables {
        let fingerprint =
            of_table(connection, &table).await.with_context(|| format!("cannot read {table}"))?;
        all.insert(table, fingerprint);
        step.advance();
    }
    step.done();
    Ok(all)
}

async fn of_table(connection: &mut Connection, table: &str) -> Result<Fingerprint> {
    let hash =
        "('x' || left(encode(sha256(convert_to(hashed_row::text, 'UTF8')), 'hex'), 16))::bit(64)::bigint";
    let sql = format!("select count(*), coalesce(sum({hash}), 0)::text from {table} hashed_row");
    // The name comes quoted from the catalogue.
    let (rows, checksum) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(connection).await?;
    Ok(Fingerprint { rows, checksum })
}
