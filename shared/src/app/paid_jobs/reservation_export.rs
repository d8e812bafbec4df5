//! `reservation_export`: a user's own reservations, or those of a shop they work for, as a file.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::PaidJobKind;
use crate::db::{self, Db, ExportRequest};
use crate::domain::{JobInput, JobInputRule, PaidJob};
use crate::error::{Code, Error, Refusal};

pub(super) const KIND: PaidJobKind = PaidJobKind {
    name: "reservation_export",
    credits: 1,
    max_attempts: 5,
    input: &[
        JobInput { name: "format", rule: JobInputRule::Choice(&["csv", "json"]) },
        JobInput { name: "provider_id", rule: JobInputRule::Provider },
        JobInput { name: "from", rule: JobInputRule::Instant },
        JobInput { name: "to", rule: JobInputRule::InstantAfter("from") },
    ],
    perform: |db, job| Box::pin(export(db, job)),
};

/// Reservations in one export.
const MOST_RESERVATIONS: i32 = 5_000;
/// In bytes, as Lambda sends it: its answers end at 6 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const LARGEST_RESULT: usize = 5_500_000;

#[derive(Debug, Deserialize)]
struct Input {
    format: Format,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Csv,
    Json,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "reservations.csv",
            Self::Json => "reservations.json",
        }
    }

    fn content(self, reservations: &[Value]) -> Result<String, Error> {
        match self {
            Self::Csv => csv(reservations),
            Self::Json => serde_json::to_string(reservations).map_err(broken),
        }
    }
}

/// Gives back the file: `{file_name, content_type, reservations, content}`.
async fn export(db: &Db, job: &PaidJob) -> Result<Value, Error> {
    let input = Input::deserialize(&job.input).map_err(broken)?;
    let request = ExportRequest {
        job_id: job.claim.id,
        user_id: job.user_id,
        provider_id: job.provider_id,
        from: input.from,
        to: input.to,
        limit: MOST_RESERVATIONS,
    };
    let reservations = db::export_reservations(db, &request).await?;
    let result = json!({
        "file_name": input.format.file_name(),
        "content_type": input.format.content_type(),
        "reservations": reservations.len(),
        "content": input.format.content(&reservations)?,
    });
    // The body of an answer is a text inside Lambda's own document, so that what is quoted is quoted once more.
    if json!(result.to_string()).to_string().len() > LARGEST_RESULT {
        return Err(Refusal::of(Code::ExportTooLarge).into());
    }
    Ok(result)
}

/// Members of an exported reservation, of which `lines` is written as one text.
const COLUMNS: [&str; 19] = [
    "reservation_id",
    "provider_id",
    "provider_name",
    "status",
    "cancel_reason",
    "start_date",
    "end_date",
    "lines",
    "amount_total_minor",
    "currency",
    "captured_minor",
    "credited_minor",
    "paid_at",
    "order_number",
    "customer_name",
    "customer_email",
    "customer_phone",
    "notes",
    "created_at",
];

/// RFC 4180, the first line naming the columns.
fn csv(reservations: &[Value]) -> Result<String, Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(broken)?;
    for reservation in reservations {
        let cells = COLUMNS.map(|column| cell(reservation.get(column).unwrap_or(&Value::Null)));
        writer.write_record(cells).map_err(broken)?;
    }
    let bytes = writer.into_inner().map_err(broken)?;
    String::from_utf8(bytes).map_err(broken)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => inert(text),
        Value::Array(lines) => lines.iter().map(line).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// Such as `2 x Touring skis`.
fn line(line: &Value) -> String {
    let name = line.get("name").and_then(Value::as_str).unwrap_or_default();
    let quantity = line.get("quantity").and_then(Value::as_i64).unwrap_or_default();
    format!("{quantity} x {name}")
}

/// What somebody wrote, so that a spreadsheet does not take it for a formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn inert(text: &str) -> String {
    let is_formula = text
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("export: {error}"))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn exported(notes: &str) -> Value {
        json!({
            "reservation_id": Uuid::nil(), "provider_id": Uuid::nil(), "provider_name": "Alpine, Ltd",
            "status": "confirmed", "cancel_reason": null,
            "start_date": "2026-01-31T09:00:00+00:00", "end_date": "2026-02-01T09:00:00+00:00",
            "lines": [
                {"gear_id": Uuid::nil(), "name": "Poles", "quantity": 1},
                {"gear_id": Uuid::nil(), "name": "Skis", "quantity": 2}
            ],
            "amount_total_minor": 90000, "currency": "CZK", "captured_minor": 90000, "credited_minor": 0,
            "paid_at": null, "order_number": 7, "customer_name": "Ann \"Nan\" Lee", "customer_email": null,
            "customer_phone": "+420 1", "notes": notes, "created_at": "2026-01-01T09:00:00+00:00"
        })
    }

    #[test]
    fn what_people_wrote_stays_in_its_cell_and_is_no_formula() {
        let table = csv(&[exported("=1+1\nsecond line")]).unwrap();
        let row = table.split_once("\r\n").unwrap().1;
        let nil = Uuid::nil();
        assert_eq!(
            row,
            format!(
                "{nil},{nil},\"Alpine, Ltd\",confirmed,,2026-01-31T09:00:00+00:00,2026-02-01T09:00:00+00:00,\
                 1 x Poles; 2 x Skis,90000,CZK,90000,0,,7,\"Ann \"\"Nan\"\" Lee\",,'+420 1,\
                 \"'=1+1\nsecond line\",2026-01-01T09:00:00+00:00\r\n"
            )
        );
    }

    #[test]
    fn an_export_of_nothing_names_its_columns_all_the_same() {
        assert_eq!(csv(&[]).unwrap(), format!("{}\r\n", COLUMNS.join(",")));
        assert_eq!(Format::Json.content(&[]).unwrap(), "[]");
    }
}
