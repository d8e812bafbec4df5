//! What a message says, ready for the templates: amounts as money, and every text that somebody typed on one line.

use crate::domain::{CancelReason, DisputeNotice, Money, Notification, NotificationKind};

/// One message. What is not there, or zero, is `None`, so that a template asks only whether there is anything to say.
pub(super) struct Mail<'a> {
    pub(super) kind: NotificationKind,
    /// Who is greeted.
    pub(super) addressee: Option<String>,
    pub(super) shop: String,
    pub(super) customer: String,
    /// Where the customer's answer goes.
    pub(super) reply_to: Option<&'a str>,
    pub(super) starts_at: &'a str,
    pub(super) time_zone: &'a str,
    pub(super) total: Option<Money>,
    pub(super) paid: Option<Money>,
    /// What goes back by itself.
    pub(super) card_refund: Option<Money>,
    /// What the shop has to hand back.
    pub(super) owed: Option<Money>,
    pub(super) kept: Option<Money>,
    pub(super) cancel_reason: Option<CancelReason>,
    pub(super) note: Option<String>,
    pub(super) dispute: Option<Dispute<'a>>,
}

/// A line of the table that every message ends with.
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: String,
}

/// What Stripe says of a dispute, in people's words.
pub(super) struct Dispute<'a> {
    pub(super) amount: Money,
    pub(super) outcome: DisputeOutcome,
    pub(super) reason: Option<String>,
    /// The bank only asks, and has taken nothing yet.
    pub(super) is_inquiry: bool,
    /// Until when evidence is wanted, as long as it is.
    pub(super) evidence_due_by: Option<&'a str>,
}

/// How a dispute stands: <https://docs.stripe.com/api/disputes/object#dispute_object-status>.
pub(super) enum DisputeOutcome {
    Won,
    Lost,
    /// The bank asked and was content.
    Inquiry,
    /// Anything else, in Stripe's words.
    Other(String),
}

impl<'a> Mail<'a> {
    pub(super) fn of(notification: &'a Notification) -> Self {
        let n = notification;
        let is_for_customer = n.kind.is_for_customer();
        let shop = one_line(&n.provider_name);
        let customer = n.customer_name.as_deref().and_then(some_line);
        Self {
            kind: n.kind,
            addressee: if is_for_customer { customer.clone() } else { Some(shop.clone()) },
            shop,
            customer: customer.unwrap_or_else(|| "the customer".to_owned()),
            reply_to: n.contact_email.as_deref().filter(|_| is_for_customer),
            starts_at: &n.starts_at,
            time_zone: &n.time_zone,
            total: some_money(n, n.amount_total_minor),
            paid: some_money(n, n.paid_minor),
            card_refund: some_money(n, n.refund_minor.saturating_sub(n.owed_minor)),
            owed: some_money(n, n.owed_minor),
            kept: some_money(n, n.kept_minor),
            cancel_reason: n.cancel_reason,
            note: n.cancel_note.as_deref().and_then(some_line),
            dispute: n.dispute.as_ref().map(Dispute::of),
        }
    }

    /// Whether it is about a dispute that is only an inquiry.
    pub(super) fn is_inquiry(&self) -> bool {
        self.dispute.as_ref().is_some_and(|dispute| dispute.is_inquiry)
    }

    /// The subject. It is one line, whatever names are in it: a line break would begin another header.
    pub(super) fn subject(&self) -> String {
        let Self { shop, starts_at, .. } = self;
        match self.kind {
            NotificationKind::Confirmation => format!("Your booking at {shop} is confirmed"),
            NotificationKind::Cancellation => format!("Your booking at {shop} is cancelled"),
            NotificationKind::Declined => format!("Your booking request at {shop} was not accepted"),
            NotificationKind::ConflictApology => {
                format!("We are sorry: your booking at {shop} was not possible")
            }
            NotificationKind::ConflictNotice => {
                format!("A payment came too late for the booking of {starts_at}")
            }
            NotificationKind::InquiryOpened => {
                format!("A bank asks about the payment for the booking of {starts_at}")
            }
            NotificationKind::DisputeOpened => {
                format!("A payment for the booking of {starts_at} is disputed")
            }
            NotificationKind::DisputeClosed => {
                format!("The dispute over the booking of {starts_at} is closed")
            }
            NotificationKind::RefundFailed => format!("A refund for the booking of {starts_at} failed"),
        }
    }

    /// What was booked by whom, for when and for how much, as far as it is known.
    pub(super) fn facts(&self, n: &Notification) -> Vec<Fact> {
        let on_wall_clock = |at: &str| Some(format!("{at} ({})", n.time_zone));
        let items = n.lines.iter().map(|line| format!("{} × {}", line.quantity, one_line(&line.name)));
        let money = |amount: Option<Money>| amount.map(|amount| amount.to_string());
        let facts = [
            ("Shop", Some(self.shop.clone())),
            ("Customer", (!n.kind.is_for_customer()).then(|| self.customer.clone())),
            ("From", on_wall_clock(&n.starts_at)),
            ("Until", on_wall_clock(&n.ends_at)),
            ("Booked", Some(items.collect::<Vec<_>>().join(", "))),
            ("Total", Some(n.money(n.amount_total_minor).to_string())),
            ("Tax included", money(n.tax_minor.and_then(|tax_minor| some_money(n, tax_minor)))),
            ("Paid", money(self.paid)),
            ("Back to the card", money(self.card_refund)),
            ("To be handed back by the shop", money(self.owed)),
            ("Kept by the shop", money(self.kept)),
            ("Disputed", money(self.dispute.as_ref().map(|dispute| dispute.amount))),
            ("Receipt number", n.order_number.map(|number| number.to_string())),
            ("Reservation", Some(n.reservation_id.to_string())),
        ];
        facts.into_iter().filter_map(|(label, value)| Some(Fact { label, value: value? })).collect()
    }
}

impl<'a> Dispute<'a> {
    fn of(notice: &'a DisputeNotice) -> Self {
        let status = notice.status.as_str();
        Self {
            amount: notice.amount(),
            outcome: match status {
                "won" => DisputeOutcome::Won,
                "lost" => DisputeOutcome::Lost,
                "warning_closed" => DisputeOutcome::Inquiry,
                other => DisputeOutcome::Other(in_words(other)),
            },
            reason: notice.reason.as_deref().map(in_words),
            is_inquiry: status.starts_with("warning_"),
            evidence_due_by: notice.evidence_due_by.as_deref().filter(|_| status.ends_with("needs_response")),
        }
    }
}

fn some_money(notification: &Notification, amount_minor: i64) -> Option<Money> {
    (amount_minor > 0).then(|| notification.money(amount_minor))
}

/// One of Stripe's identifiers, such as `product_not_received`, for people.
fn in_words(identifier: &str) -> String {
    one_line(&identifier.replace('_', " "))
}

/// The same text without line breaks and other control characters: each run of them and of blanks becomes one blank.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn some_line(text: &str) -> Option<String> {
    Some(one_line(text)).filter(|line| !line.is_empty())
}
