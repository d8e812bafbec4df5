use insta::{Settings, assert_snapshot};
use serde_json::{Value, json};

use super::Message;
use crate::domain::{CancelReason, Notification, NotificationKind};

const KINDS: [NotificationKind; 9] = [
    NotificationKind::Confirmation,
    NotificationKind::Cancellation,
    NotificationKind::Declined,
    NotificationKind::ConflictApology,
    NotificationKind::ConflictNotice,
    NotificationKind::InquiryOpened,
    NotificationKind::DisputeOpened,
    NotificationKind::DisputeClosed,
    NotificationKind::RefundFailed,
];

/// A paid booking of two items, as SQL tells of it, with `changes`.
fn notification(kind: NotificationKind, changes: &Value) -> Notification {
    let mut document = json!({
        "kind": kind, "to": "jana@example.com", "provider_name": "Alpine Hire",
        "contact_email": "hire@example.com", "customer_name": "Jana Nováková",
        "reservation_id": "0190a5b2-0000-4000-8000-000000000001", "starts_at": "2027-02-10 09:00",
        "ends_at": "2027-02-12 17:00", "time_zone": "Europe/Prague",
        "lines": [{"name": "Touring skis", "quantity": 2}, {"name": "Boots", "quantity": 1}],
        "amount_total_minor": 249_000, "currency": "CZK", "order_number": null, "tax_minor": null,
        "paid_minor": 249_000, "refund_minor": 0, "kept_minor": 0, "cancel_reason": null, "cancel_note": null,
        "owed_minor": 0, "dispute": null,
    });
    let members = document.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    serde_json::from_value(document).unwrap()
}

/// A message, which outlives the notification it was made of.
struct Rendered {
    subject: String,
    html: String,
    text: String,
}

fn message(kind: NotificationKind, changes: &Value) -> Rendered {
    let notification = notification(kind, changes);
    let Message { subject, html, text, .. } = Message::of(&notification).unwrap();
    Rendered { subject, html, text }
}

fn dispute(status: &str) -> Value {
    json!({"dispute": {
        "amount_minor": 249_000, "currency": "CZK", "status": status, "reason": "product_not_received",
        "evidence_due_by": "2027-03-01 23:59",
    }})
}

/// What a kind usually comes with.
fn usual(kind: NotificationKind) -> Value {
    match kind {
        NotificationKind::Confirmation => json!({"order_number": 17, "tax_minor": 43_215}),
        NotificationKind::Cancellation => json!({
            "cancel_reason": "customer", "cancel_note": "We are ill.", "refund_minor": 124_500, "kept_minor": 124_500,
        }),
        NotificationKind::Declined => {
            json!({"cancel_reason": "declined", "cancel_note": "The skis are in repair.", "paid_minor": 0})
        }
        NotificationKind::ConflictApology | NotificationKind::ConflictNotice => {
            json!({"cancel_reason": "conflict", "refund_minor": 249_000})
        }
        NotificationKind::InquiryOpened => dispute("warning_needs_response"),
        NotificationKind::DisputeOpened => dispute("needs_response"),
        NotificationKind::DisputeClosed => dispute("won"),
        NotificationKind::RefundFailed => json!({"refund_minor": 249_000, "owed_minor": 249_000}),
    }
}

/// What a reader of the HTML sees: without tags, on one line.
fn visible(html: &str) -> String {
    let body = html.split_once("<body").unwrap().1;
    let texts = body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
    texts.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_kind_reads_as_it_should() {
    for kind in KINDS {
        let Rendered { subject, html, text } = message(kind, &usual(kind));
        let mut settings = Settings::clone_current();
        settings.set_snapshot_suffix(kind.as_str());
        settings.set_omit_expression(true);
        settings.bind(|| assert_snapshot!("text", format!("Subject: {subject}\n\n{text}")));
        settings.bind(|| assert_snapshot!("html", html));
    }
}

#[test]
fn every_mail_says_shop_dates_with_their_zone_items_money_and_reservation() {
    for kind in KINDS {
        let Rendered { html, text, .. } = message(kind, &usual(kind));
        for fact in [
            "Alpine Hire",
            "2027-02-10 09:00 (Europe/Prague)",
            "2027-02-12 17:00 (Europe/Prague)",
            "2 × Touring skis",
            "1 × Boots",
            "CZK 2,490.00",
            "0190a5b2-0000-4000-8000-000000000001",
        ] {
            assert!(text.contains(fact), "{kind:?}: no {fact} in the text");
            assert!(visible(&html).contains(fact), "{kind:?}: no {fact} in the HTML");
        }
    }
}

#[test]
fn the_html_says_what_the_text_says() {
    for kind in KINDS {
        let Rendered { html, text, .. } = message(kind, &usual(kind));
        let plain = |text: &str| text.replace(':', "");
        assert_eq!(plain(&visible(&html)), plain(&on_one_line(&text)), "{kind:?}");
    }
}

#[test]
fn a_cancellation_says_what_goes_back_and_what_is_kept() {
    let text = |changes: Value| message(NotificationKind::Cancellation, &changes).text;
    let by_card = text(json!({"refund_minor": 124_500, "kept_minor": 124_500}));
    assert!(by_card.contains("CZK 1,245.00 goes back to the card you paid with. Cards take 5 to 10 days"));
    assert!(by_card.contains("Alpine Hire keeps CZK 1,245.00"), "{by_card}");
    assert!(!by_card.contains("hand back"), "{by_card}");
    let at_the_counter = text(json!({"refund_minor": 249_000, "owed_minor": 249_000}));
    assert!(at_the_counter.contains("Alpine Hire will hand back CZK 2,490.00."), "{at_the_counter}");
    assert!(!at_the_counter.contains("card") && !at_the_counter.contains("keeps"), "{at_the_counter}");
    let unpaid = text(json!({"paid_minor": 0}));
    assert!(unpaid.contains("No money is kept."), "{unpaid}");
    assert!(!unpaid.contains("goes back to the card"), "{unpaid}");
}

#[test]
fn a_cancellation_says_who_cancelled_and_what_they_wrote() {
    for (reason, opening, note) in [
        (json!(CancelReason::Customer), "is cancelled, as you wished.", "You wrote: Sorry!"),
        (json!(CancelReason::Provider), "Alpine Hire had to cancel your booking.", "They wrote: Sorry!"),
        (json!(CancelReason::PaymentCanceled), "because its payment was called off.", ""),
        (json!(null), "Your booking at Alpine Hire is cancelled.", "The reason given: Sorry!"),
    ] {
        let changes = json!({"cancel_reason": reason, "cancel_note": "Sorry!"});
        let Rendered { html, text, .. } = message(NotificationKind::Cancellation, &changes);
        for said in [opening, note] {
            assert!(text.contains(said), "{reason}: {text}");
            assert!(visible(&html).contains(said), "{reason}: {html}");
        }
    }
}

#[test]
fn a_request_that_nobody_answered_is_told_from_one_turned_down() {
    let unanswered = json!({"cancel_reason": "unanswered", "paid_minor": 0});
    let Rendered { html, text, .. } = message(NotificationKind::Declined, &unanswered);
    for body in [text, visible(&html)] {
        assert!(body.contains("did not answer your booking request in time"), "{body}");
        assert!(!body.contains("cannot take"), "{body}");
    }
}

#[test]
fn a_dispute_says_how_it_ended() {
    for (status, said) in [
        ("won", "the money stays with you"),
        ("lost", "the cardholder, who keeps the money"),
        ("warning_closed", "no money was taken from you"),
        ("under_review", "Stripe says: under review."),
    ] {
        let Rendered { html, text, .. } = message(NotificationKind::DisputeClosed, &dispute(status));
        assert!(text.contains(said) && visible(&html).contains(said), "{status}: {text}");
    }
}

#[test]
fn an_inquiry_takes_nothing_and_forbids_no_refund() {
    let Rendered { html, text, .. } =
        message(NotificationKind::InquiryOpened, &dispute("warning_needs_response"));
    for body in [on_one_line(&text), visible(&html)] {
        assert!(
            body.contains("asks about CZK 2,490.00 of the booking below. So far it has taken no money"),
            "{body}"
        );
        assert!(body.contains("by 2027-03-01 23:59"), "{body}");
        assert!(!body.contains("can be refunded"), "{body}");
    }
}

#[test]
fn evidence_is_asked_for_as_long_as_it_is_wanted() {
    for (status, is_wanted) in [("needs_response", true), ("under_review", false), ("lost", false)] {
        let text = message(NotificationKind::DisputeOpened, &dispute(status)).text;
        assert_eq!(text.contains("send your evidence"), is_wanted, "{status}: {text}");
    }
}

#[test]
fn a_failed_refund_that_went_another_way_asks_for_nothing() {
    let Rendered { html, text, .. } =
        message(NotificationKind::RefundFailed, &json!({"refund_minor": 249_000}));
    for body in [on_one_line(&text), visible(&html)] {
        assert!(body.contains("Meanwhile it went another way"), "{body}");
        assert!(!body.contains("Please"), "{body}");
    }
}

#[test]
fn of_a_booking_that_cost_nothing_no_money_is_talked_of() {
    let free = json!({"amount_total_minor": 0, "paid_minor": 0, "cancel_reason": "customer"});
    let text = message(NotificationKind::Cancellation, &free).text;
    assert!(!text.contains("money") && !text.contains("card"), "{text}");
}

#[test]
fn a_dispute_of_which_little_is_known_is_told_all_the_same() {
    let bare = json!({"dispute": {"amount_minor": 500, "currency": "EUR", "status": "needs_response",
        "reason": null, "evidence_due_by": null}});
    let text = message(NotificationKind::DisputeOpened, &bare).text;
    assert!(text.contains("disputes EUR 5.00 of the booking below.\n\nUntil it is decided"), "{text}");
    let text = message(NotificationKind::DisputeOpened, &json!({})).text;
    assert!(text.contains("disputes the payment of the booking below.\n\nUntil it is decided"), "{text}");
}

#[test]
fn what_somebody_typed_is_escaped_in_html_and_left_alone_in_text() {
    let typed = json!({
        "customer_name": "<b>&", "provider_name": "Rock & \"Roll\"", "cancel_reason": "provider",
        "cancel_note": "<script>alert(1)</script>", "lines": [{"name": "<img src=x>", "quantity": 1}],
    });
    let Rendered { subject, html, text } = message(NotificationKind::Cancellation, &typed);
    assert_eq!(subject, "Your booking at Rock & \"Roll\" is cancelled");
    assert!(text.contains("Hello <b>&,"), "{text}");
    assert!(text.contains("They wrote: <script>alert(1)</script>"), "{text}");
    for tag in ["<b>", "<script", "<img", "Rock & "] {
        assert!(!html.contains(tag), "{tag} in {html}");
    }
}

#[test]
fn nothing_typed_can_begin_a_line_of_its_own() {
    let typed = json!({
        "provider_name": "Shop\r\nBcc: everybody@example.com", "customer_name": "Jana\u{2028}Paid: 0\u{0}",
        "cancel_reason": "provider", "cancel_note": "Sorry!\n\nTotal: CZK 1.00",
        "lines": [{"name": "Skis\nReservation: none", "quantity": 1}],
    });
    for kind in KINDS {
        let Rendered { subject, text, .. } = message(kind, &typed);
        assert!(!subject.contains(char::is_control), "{subject:?}");
        for line in text.lines() {
            for forged in ["Bcc", "Paid: 0", "Total: CZK 1.00", "Reservation: none"] {
                assert!(!line.starts_with(forged), "{kind:?}: {line}");
            }
        }
    }
    let subject = message(NotificationKind::Confirmation, &typed).subject;
    assert_eq!(subject, "Your booking at Shop Bcc: everybody@example.com is confirmed");
}

#[test]
fn without_a_name_the_greeting_is_plain() {
    for name in [json!(null), json!(" \n")] {
        let changes = json!({"customer_name": name});
        assert!(message(NotificationKind::Confirmation, &changes).text.starts_with("Hello,\n"));
        assert!(
            message(NotificationKind::RefundFailed, &changes).text.contains("A refund to the customer did")
        );
    }
}

#[test]
fn a_notification_keeps_people_out_of_debug_output() {
    let changes = json!({"cancel_note": "We are ill."});
    let debug = format!("{:?}", notification(NotificationKind::Cancellation, &changes));
    assert!(debug.contains("Cancellation"), "{debug}");
    for private in ["jana", "Nov", "ill"] {
        assert!(!debug.contains(private), "{debug}");
    }
}

#[test]
fn customers_answer_the_shop_and_shops_the_sender() {
    for kind in KINDS {
        let notification = notification(kind, &json!({}));
        let message = Message::of(&notification).unwrap();
        assert_eq!(message.reply_to, kind.is_for_customer().then_some("hire@example.com"), "{kind:?}");
        assert_eq!(message.text.contains("just answer this message"), kind.is_for_customer(), "{kind:?}");
    }
    let unreachable = message(NotificationKind::Confirmation, &json!({"contact_email": null}));
    assert!(!unreachable.text.contains("just answer this message"));
}
