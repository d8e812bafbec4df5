//! Providers, gear and people to try the product with.

mod catalogue;

use anyhow::Result;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::postgres::Postgres;
use catalogue::{CITY_BIKES, CatalogueItem, MOUNTAIN_GUIDES, OUTDOOR_SHOP};

/// A piece of the catalogue as it stands in the database.
#[derive(Clone, Debug, Serialize)]
pub struct Gear {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub name: String,
    /// How many there are.
    pub quantity_total: i32,
    /// The price of one for a day, in minor units.
    pub day_price_minor: i64,
    /// ISO 4217.
    pub currency: &'static str,
}

/// A provider and what it rents out.
pub(crate) struct Provider {
    /// Its id.
    pub id: Uuid,
    /// Its catalogue, in the order it was entered.
    pub gear: Vec<Gear>,
}

/// The users, by what they are for.
pub(crate) struct Users {
    /// Somebody who rents.
    pub customer: Uuid,
    /// Somebody else who rents.
    pub other_customer: Uuid,
    /// Works for the shop.
    pub staff: Uuid,
    /// Owns the shop and the guides' office.
    pub owner: Uuid,
    /// Owns a provider the others have nothing to do with.
    pub other_provider_owner: Uuid,
}

/// Everything that was seeded.
pub(crate) struct Seed {
    /// Takes payment at once.
    pub provider: Provider,
    /// Authorises first and captures when it confirms.
    pub manual_provider: Provider,
    /// Who may sign in.
    pub users: Users,
}

/// What tells a provider from the others.
struct Profile {
    name: &'static str,
    capture_method: &'static str,
    contact_email: &'static str,
}

const SEVERKA: Profile =
    Profile { name: "Severka Outdoor", capture_method: "automatic", contact_email: "severka@example.com" };
const GUIDES: Profile =
    Profile { name: "Horští průvodci", capture_method: "manual", contact_email: "pruvodci@example.com" };
const BIKES: Profile =
    Profile { name: "Kola u řeky", capture_method: "automatic", contact_email: "kola@example.com" };

const CURRENCY: &str = "CZK";
/// All of the money back until a day before the start, half of it until two hours before, then nothing.
const CANCELLATION_POLICY: &str =
    r#"[{"hours_before": 24, "refund_percent": 100}, {"hours_before": 2, "refund_percent": 50}]"#;
/// The value added tax of 21 % that prices include.
const TAX_RATE_BASIS_POINTS: i32 = 2_100;

/// The database of the stack.
pub(crate) const DATABASE: &str = "kitloop";

/// Makes the database, migrates and fills it.
pub(crate) async fn seeded_database(postgres: &Postgres) -> Result<Seed> {
    postgres.create_database(DATABASE).await?;
    postgres.migrate(DATABASE).await?;
    fill(postgres).await
}

/// Fills the database, which is migrated.
pub(crate) async fn fill(postgres: &Postgres) -> Result<Seed> {
    let mut connection = postgres.endpoint.connect(&postgres.owner, DATABASE).await?;
    let mut transaction = connection.begin().await?;
    let users = Users {
        customer: Uuid::new_v4(),
        other_customer: Uuid::new_v4(),
        staff: Uuid::new_v4(),
        owner: Uuid::new_v4(),
        other_provider_owner: Uuid::new_v4(),
    };
    let provider = insert_provider(&mut transaction, &SEVERKA, OUTDOOR_SHOP).await?;
    let manual_provider = insert_provider(&mut transaction, &GUIDES, MOUNTAIN_GUIDES).await?;
    let other_provider = insert_provider(&mut transaction, &BIKES, CITY_BIKES).await?;
    for (provider, user, role) in [
        (&provider, users.owner, "owner"),
        (&provider, users.staff, "staff"),
        (&manual_provider, users.owner, "owner"),
        (&other_provider, users.other_provider_owner, "owner"),
    ] {
        insert_member(&mut transaction, provider.id, user, role).await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    Ok(Seed { provider, manual_provider, users })
}

/// A provider that refuses as little as possible: no lead time, ten years ahead, a minute to sixty days.
async fn insert_provider(
    connection: &mut PgConnection,
    profile: &Profile,
    items: &[CatalogueItem],
) -> Result<Provider> {
    let id = Uuid::new_v4();
    sqlx::query(
        "insert into public.providers (
            id, name, time_zone, currency, hold_minutes, lead_minutes, horizon_days,
            min_duration_minutes, max_duration_minutes, max_open_holds, capture_method, contact_email,
            cancellation_policy, tax_rate_basis_points
        ) values ($1::uuid, $2, 'Europe/Prague', $3, 15, 0, 3650, 1, 60 * 24 * 60, null, $4, $5, $6::jsonb, $7)",
    )
    .bind(id.to_string())
    .bind(profile.name)
    .bind(CURRENCY)
    .bind(profile.capture_method)
    .bind(profile.contact_email)
    .bind(CANCELLATION_POLICY)
    .bind(TAX_RATE_BASIS_POINTS)
    .execute(&mut *connection)
    .await?;
    let mut gear = Vec::new();
    for item in items {
        gear.push(insert_gear(connection, id, item).await?);
    }
    Ok(Provider { id, gear })
}

async fn insert_gear(connection: &mut PgConnection, provider: Uuid, item: &CatalogueItem) -> Result<Gear> {
    let gear = Gear {
        id: Uuid::new_v4(),
        name: item.name.to_owned(),
        quantity_total: item.quantity_total,
        day_price_minor: item.day_price_minor,
        currency: CURRENCY,
    };
    sqlx::query(
        "insert into public.gear_items (id, provider_id, name, quantity_total, buffer_minutes, day_price_minor)
        values ($1::uuid, $2::uuid, $3, $4, $5, $6)",
    )
    .bind(gear.id.to_string())
    .bind(provider.to_string())
    .bind(&gear.name)
    .bind(gear.quantity_total)
    .bind(item.buffer_minutes)
    .bind(gear.day_price_minor)
    .execute(connection)
    .await?;
    Ok(gear)
}

async fn insert_member(connection: &mut PgConnection, provider: Uuid, user: Uuid, role: &str) -> Result<()> {
    sqlx::query(
        "insert into public.provider_members (provider_id, user_id, role) values ($1::uuid, $2::uuid, $3)",
    )
    .bind(provider.to_string())
    .bind(user.to_string())
    .bind(role)
    .execute(connection)
    .await?;
    Ok(())
}
