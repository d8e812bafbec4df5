use serde_json::json;

use super::*;

fn fields(value: Value) -> Fields {
    let Value::Object(members) = value else { panic!("not an object") };
    Fields::new(members, None)
}

/// The wrong fields, in the order in which they were found.
fn invalid(fields: Fields) -> Vec<(String, String)> {
    match fields.finish(|| Some(())) {
        Ok(()) => Vec::new(),
        Err(Error::Refused(refusal)) => {
            assert_eq!(refusal.code, Code::InvalidRequest);
            refusal.invalid_fields.into_iter().map(|field| (field.field, field.reason)).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

fn names(fields: Fields) -> Vec<String> {
    invalid(fields).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn all_wrong_fields_are_named_at_once() {
    let mut fields = fields(json!({
        "provider_id": "not-a-uuid",
        "start_date": "2026-01-01",
        "notes": "x".repeat(1001),
        "lines": [
            {"gear_id": Uuid::nil(), "quantity": 0},
            {"quantity": "2"},
            7
        ],
        "customer": {"email": 5},
        "action": "maybe",
    }));
    fields.uuid("provider_id");
    fields.timestamp("start_date");
    fields.timestamp("end_date");
    fields.optional_text("notes", 1000);
    fields.optional_array("lines", 1..=50, |line| {
        let gear = line.uuid("gear_id");
        let quantity = line.integer("quantity", 1..=1000_i32);
        Some((gear?, quantity?))
    });
    fields.optional_object("customer", |customer| customer.text("email", 320));
    fields.optional_choice("action", &["confirm", "decline"]);
    fields.idempotency_key();
    assert_eq!(
        names(fields),
        [
            "provider_id",
            "start_date",
            "end_date",
            "notes",
            "lines[0].quantity",
            "lines[1].gear_id",
            "lines[1].quantity",
            "lines[2]",
            "customer.email",
            "action",
            "idempotency_key"
        ]
    );
}

#[test]
fn right_fields_become_plain_values() {
    let mut fields = fields(json!({
        "id": "018f3b1e-0000-7000-8000-000000000001",
        "start_date": "2026-01-31T09:00:00+01:00",
        "lines": [{"quantity": 2}, {"quantity": 3}],
        "customer": {"name": "Ema"},
        "notes": null,
        "action": "confirm",
        "unknown": {"ignored": true},
        "idempotency_key": "k-1",
    }));
    let id = fields.uuid("id");
    let start = fields.timestamp("start_date");
    let lines = fields.optional_array("lines", 1..=50, |line| line.integer("quantity", 1..=9_i64));
    let name = fields.optional_object("customer", |customer| customer.text("name", 100));
    let notes = fields.optional_text("notes", 10);
    let action = fields.optional_choice("action", &["confirm", "decline"]);
    let key = fields.idempotency_key();
    let built = fields.finish(|| Some((id?, start?, lines?, name?, notes, action?, key?))).unwrap();
    assert_eq!(built.1.to_string(), "2026-01-31T08:00:00Z");
    assert_eq!(built.2, [2, 3]);
    assert_eq!((built.3.as_str(), built.4, built.5, built.6.as_str()), ("Ema", None, "confirm", "k-1"));
}

#[test]
fn an_instant_needs_an_offset_and_one_spelling() {
    for text in [
        "2026-01-31T09:00:00+01:00",
        "2026-01-31T09:00:00Z",
        "2026-01-31t09:00:00.123456z",
        "2026-01-31 09:00:00-11:30",
    ] {
        let mut fields = fields(json!({ "at": text }));
        fields.timestamp("at");
        assert!(invalid(fields).is_empty(), "{text}");
    }
    for text in [
        "2026-01-31",
        "2026-01-31T09:00:00",
        "2026-01-31T09:00Z",
        "20260131T090000Z",
        "2026-02-30T09:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T09:00:00+01",
        "2026-01-31T09:00:00+01:00[Europe/Prague]",
        "-002026-01-31T09:00:00Z",
        "tomorrow",
        "",
    ] {
        let mut fields = fields(json!({ "at": text }));
        fields.timestamp("at");
        assert_eq!(names(fields), ["at"], "{text}");
    }
}

#[test]
fn a_number_is_whole_and_in_range() {
    for value in
        [json!(0), json!(-1), json!(2_147_483_648_i64), json!(1.0), json!("1"), json!(true), json!([1])]
    {
        let mut fields = fields(json!({ "quantity": value }));
        assert_eq!(fields.optional_integer("quantity", 1..=i32::MAX), None);
        assert_eq!(names(fields), ["quantity"], "{value}");
    }
}

#[test]
fn a_text_is_counted_in_characters_and_has_no_nul() {
    let mut taken = fields(json!({ "notes": "ž".repeat(10) }));
    assert!(taken.optional_text("notes", 10).is_some());
    for value in [json!("ž".repeat(11)), json!("a\u{0}b"), json!(5)] {
        let mut fields = fields(json!({ "notes": value }));
        fields.optional_text("notes", 10);
        assert_eq!(names(fields), ["notes"]);
    }
    let mut empty = fields(json!({ "name": "" }));
    empty.text("name", 10);
    assert_eq!(names(empty), ["name"]);
}

#[test]
fn an_array_has_a_length() {
    for value in [json!([]), json!([{}, {}, {}]), json!({}), json!("x")] {
        let mut fields = fields(json!({ "lines": value }));
        assert!(fields.optional_array("lines", 1..=2, |_| Some(())).is_none());
        assert_eq!(names(fields), ["lines"]);
    }
}

#[test]
fn a_field_is_missing_only_once() {
    let mut fields = fields(json!({ "id": 5 }));
    fields.uuid("id");
    assert_eq!(invalid(fields), [("id".to_owned(), "must be a UUID".to_owned())]);
}

#[test]
fn the_hash_is_of_the_body_without_the_idempotency_key() {
    let hash = fields(json!({"a": 1, "b": {"c": 2}})).hash();
    assert_eq!(hash.len(), 64);
    assert_eq!(fields(json!({"b": {"c": 2}, "a": 1, "idempotency_key": "x"})).hash(), hash);
    assert_ne!(fields(json!({"a": 2, "b": {"c": 2}})).hash(), hash);
}

#[test]
fn the_header_may_bring_the_idempotency_key() {
    let mut fields = Fields::new(Map::new(), Some("from-header"));
    assert_eq!(fields.idempotency_key().as_deref(), Some("from-header"));
}
