//! `target/local/stack.json`: what a person or a program needs to use the running stack.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::json;
use test_support::Token;
use uuid::Uuid;

use crate::paths;
use crate::private_file::PrivateFile;
use crate::resend::Resend;
use crate::seed::{DATABASE, Gear, Seed, Users};
use crate::servers::Servers;
use crate::settings::Secrets;
use crate::stripe::Stripe;

/// The content of stack.json.
#[derive(Clone, Debug, Serialize)]
pub struct StackFile {
    /// The front, which serves the routes of the template.
    pub base_url: String,
    /// Each function's own URL.
    pub functions: BTreeMap<String, String>,
    /// The database as the functions log in to it.
    pub database_url: String,
    /// The database as its superuser.
    pub admin_database_url: String,
    /// The database as the functions log in, through PgBouncer in transaction mode.
    pub pooler_url: String,
    /// The HS256 secret of users' tokens.
    pub jwt_secret: String,
    /// Stripe, or the stand-in for it.
    pub stripe_api_base: String,
    /// Signs Stripe's webhooks.
    pub stripe_webhook_secret: String,
    /// The stand-in for Resend; `/_admin/emails` under it shows what was sent.
    pub resend_api_base: String,
    /// Opens scheduled functions over HTTP.
    pub cron_secret: String,
    /// Opens what operators see.
    pub admin_token: String,
    /// The shop that takes payment at once.
    pub provider_id: Uuid,
    /// What the shop rents out.
    pub gear: Vec<Gear>,
    /// The provider that authorises first and captures when it confirms.
    pub manual_provider_id: Uuid,
    /// What that provider rents out.
    pub manual_gear: Vec<Gear>,
    /// Who may sign in.
    pub users: StackUsers,
}

/// The seeded users.
#[derive(Clone, Debug, Serialize)]
pub struct StackUsers {
    /// Somebody who rents.
    pub customer: StackUser,
    /// Somebody else who rents.
    pub other_customer: StackUser,
    /// Works for the shop.
    pub staff: StackUser,
    /// Owns the shop and the provider with manual capture.
    pub owner: StackUser,
    /// Owns a third provider.
    pub other_provider_owner: StackUser,
}

/// A user and a token that lasts a day.
#[derive(Clone, Debug, Serialize)]
pub struct StackUser {
    /// The `sub` of the token.
    pub id: Uuid,
    /// For the `Authorization: Bearer` header.
    pub token: String,
}

impl StackUsers {
    fn sign_in(users: &Users, jwt_secret: &str) -> Result<Self> {
        let tomorrow = jiff::Timestamp::now().checked_add(SignedDuration::from_hours(24))?.as_second();
        let user = |id: Uuid, name: &str| {
            let token = Token::of(id)
                .with("email", json!(format!("{name}@example.com")))
                .with("exp", json!(tomorrow))
                .signed_with(jwt_secret);
            anyhow::Ok(StackUser { id, token: token.encode()? })
        };
        Ok(Self {
            customer: user(users.customer, "customer")?,
            other_customer: user(users.other_customer, "other.customer")?,
            staff: user(users.staff, "staff")?,
            owner: user(users.owner, "owner")?,
            other_provider_owner: user(users.other_provider_owner, "other.provider.owner")?,
        })
    }
}

impl StackFile {
    /// Describes a stack that runs: the front's address, the functions' URLs by name, and what they use.
    pub(crate) fn describe(
        base_url: String,
        functions: BTreeMap<String, String>,
        servers: &Servers,
        stripe: &Stripe,
        resend: &Resend,
        secrets: Secrets,
        seed: Seed,
    ) -> Result<Self> {
        let Servers { postgres, pooler, .. } = servers;
        Ok(Self {
            base_url,
            functions,
            database_url: postgres.endpoint.url(&postgres.app, DATABASE),
            admin_database_url: postgres.endpoint.url(&postgres.admin, DATABASE),
            pooler_url: pooler.endpoint.url(&postgres.app, DATABASE),
            stripe_api_base: stripe.api_base.clone(),
            stripe_webhook_secret: stripe.webhook_secret.clone(),
            resend_api_base: resend.api_base.clone(),
            provider_id: seed.provider.id,
            gear: seed.provider.gear,
            manual_provider_id: seed.manual_provider.id,
            manual_gear: seed.manual_provider.gear,
            users: StackUsers::sign_in(&seed.users, &secrets.jwt)?,
            jwt_secret: secrets.jwt,
            cron_secret: secrets.cron,
            admin_token: secrets.admin,
        })
    }

    /// Writes it for its owner's eyes; it is there as long as the value that is returned.
    pub fn write(&self) -> Result<PrivateFile> {
        PrivateFile::write(paths::local().join("stack.json"), serde_json::to_string_pretty(self)?)
    }
}
