//! Rows with defaults, so that a test names only what it is about.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use kitloop::db::{Db, ReserveRequest, Reserved, reserve_gear};
use kitloop::domain::{Actor, Booking, BookingLine, Contact, GearId, Period, ProviderId};
use uuid::Uuid;

use crate::TestDatabase;

/// A provider in Prague that takes CZK, captures at once, and has no rules to speak of.
#[derive(Debug, Clone)]
pub struct Provider {
    /// IANA name.
    pub time_zone: &'static str,
    /// ISO 4217.
    pub currency: &'static str,
    /// How long a hold lasts.
    pub hold_minutes: i32,
    /// How far ahead a period must start.
    pub lead_minutes: i32,
    /// How far ahead it may.
    pub horizon_days: i32,
    /// The shortest period.
    pub min_duration_minutes: i32,
    /// The longest.
    pub max_duration_minutes: i32,
    /// Open holds per customer.
    pub max_open_holds: Option<i32>,
    /// `automatic` or `manual`.
    pub capture_method: &'static str,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            time_zone: "Europe/Prague",
            currency: "CZK",
            hold_minutes: 15,
            lead_minutes: 0,
            horizon_days: 3650,
            min_duration_minutes: 1,
            max_duration_minutes: 60 * 24 * 60,
            max_open_holds: None,
            capture_method: "automatic",
        }
    }
}

impl Provider {
    /// One that authorises first and captures when it confirms.
    #[must_use]
    pub fn manual() -> Self {
        Self { capture_method: "manual", ..Self::default() }
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn insert(&self, database: &TestDatabase) -> Result<Uuid> {
        let sql = "insert into public.providers (name, time_zone, currency, hold_minutes, lead_minutes, horizon_days,
                min_duration_minutes, max_duration_minutes, max_open_holds, capture_method)
            values ('Snowline', $1, $2, $3, $4, $5, $6, $7, $8, $9) returning id";
        database
            .value(
                sql,
                &[
                    &self.time_zone,
                    &self.currency,
                    &self.hold_minutes,
                    &self.lead_minutes,
                    &self.horizon_days,
                    &self.min_duration_minutes,
                    &self.max_duration_minutes,
                    &self.max_open_holds,
                    &self.capture_method,
                ],
            )
            .await
    }
}

/// One piece of gear for 500.00 a day, without turnaround.
#[derive(Debug, Clone)]
pub struct Gear {
    /// How many there are.
    pub quantity_total: i32,
    /// Turnaround after each rental.
    pub buffer_minutes: i32,
    /// For one piece and one day, in minor units.
    pub day_price_minor: i64,
}

impl Default for Gear {
    fn default() -> Self {
        Self { quantity_total: 1, buffer_minutes: 0, day_price_minor: 50_000 }
    }
}

impl Gear {
    /// So many of it.
    #[must_use]
    pub fn of(quantity_total: i32) -> Self {
        Self { quantity_total, ..Self::default() }
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn insert(&self, database: &TestDatabase, provider_id: Uuid) -> Result<Uuid> {
        let sql = "insert into public.gear_items (provider_id, name, quantity_total, buffer_minutes, day_price_minor)
            values ($1, 'Touring skis', $2, $3, $4) returning id";
        let row = (&provider_id, &self.quantity_total, &self.buffer_minutes, &self.day_price_minor);
        database.value(sql, &[row.0, row.1, row.2, row.3]).await
    }
}

impl TestDatabase {
    /// Makes a user a member of a provider.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn add_member(&self, provider_id: Uuid, user_id: Uuid, role: &str) -> Result<()> {
        let sql = "insert into public.provider_members (provider_id, user_id, role) values ($1, $2, $3)";
        self.execute(sql, &[&provider_id, &user_id, &role]).await.map(drop)
    }
}

/// So many days from now, to the minute, so that periods of whole days are whole days.
#[must_use]
pub fn in_days(days: i64) -> Timestamp {
    let seconds = Timestamp::now().as_second() / 60 * 60 + days * 86_400;
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// An ordinary user.
#[must_use]
pub fn actor(user_id: Uuid) -> Actor {
    Actor { user_id, is_admin: false }
}

/// A booking of one item for a day, thirty days ahead.
///
/// # Errors
/// Never, in this century.
pub fn booking(provider_id: Uuid, gear_id: Uuid, quantity: i32) -> Result<Booking> {
    Ok(Booking {
        provider_id: ProviderId(provider_id),
        lines: vec![BookingLine { gear_id: GearId(gear_id), quantity }],
        period: Period::new(in_days(30), in_days(30).checked_add(SignedDuration::from_hours(24))?)?,
        walk_in: None,
        notes: None,
        amount_total_minor: None,
    })
}

/// Takes a hold for a user, under a new idempotency key.
///
/// # Errors
/// As [`reserve_gear`].
pub async fn reserve(db: &Db, user_id: Uuid, booking: &Booking) -> Result<Reserved, kitloop::error::Error> {
    let request = ReserveRequest {
        caller: &format!("user:{user_id}"),
        idempotency_key: &Uuid::new_v4().to_string(),
        request_hash: "hash",
        actor: actor(user_id),
        profile: &Contact::default(),
        booking,
    };
    reserve_gear(db, &request).await
}
