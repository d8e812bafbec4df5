//! Stripe: the stand-in, or Stripe itself in test mode when the developer's key is set.

use anyhow::Result;
use stripe_stand_in::{Admin, StandIn};

use crate::options::Options;
use crate::secret::random_secret;

/// What the functions take for Stripe.
pub(crate) struct Stripe {
    pub(crate) api_base: String,
    pub(crate) secret_key: String,
    pub(crate) webhook_secret: String,
    _stand_in: Option<StandIn>,
}

impl Stripe {
    /// Stripe itself with `STRIPE_SECRET_KEY=sk_test_…`, else a stand-in that sends its webhooks to the URL.
    pub(crate) async fn start(options: &Options, webhook_url: &str) -> Result<Self> {
        match std::env::var("STRIPE_SECRET_KEY") {
            Ok(key) if key.starts_with("sk_test_") && !options.stand_in_only => {
                Ok(Self::in_test_mode(key, webhook_url))
            }
            _ => Self::stand_in(options.stripe_port, webhook_url).await,
        }
    }

    fn in_test_mode(secret_key: String, webhook_url: &str) -> Self {
        let webhook_secret = std::env::var("STRIPE_WEBHOOK_SECRET").unwrap_or_else(|_| {
            eprintln!("  STRIPE_WEBHOOK_SECRET is not set: Stripe's webhooks will be refused. For one, run:");
            eprintln!("    stripe listen --forward-to {webhook_url}");
            format!("whsec_{}", random_secret())
        });
        Self { api_base: "https://api.stripe.com".to_owned(), secret_key, webhook_secret, _stand_in: None }
    }

    /// The stand-in, on a free port unless told which, with its webhooks sent to the URL.
    pub(crate) async fn stand_in(port: Option<u16>, webhook_url: &str) -> Result<Self> {
        let stand_in = StandIn::start(port).await?;
        let stripe = Self {
            api_base: stand_in.base_url().to_owned(),
            secret_key: format!("sk_test_{}", random_secret()),
            webhook_secret: format!("whsec_{}", random_secret()),
            _stand_in: Some(stand_in),
        };
        stripe.register_endpoint(webhook_url).await?;
        Ok(stripe)
    }

    /// Lets the stand-in send its webhooks to the URL from now on.
    pub(crate) async fn register_endpoint(&self, webhook_url: &str) -> Result<()> {
        Admin::new(&self.api_base).set_webhook_endpoint(webhook_url, &self.webhook_secret).await
    }
}
