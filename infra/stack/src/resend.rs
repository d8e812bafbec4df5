//! Resend: always the stand-in. A stack on a developer's machine never sends real e-mail, whatever key the environment
//! holds.

use anyhow::Result;
use resend_stand_in::ResendStandIn;

use crate::options::Options;
use crate::secret::random_secret;

/// What the functions take for Resend.
pub(crate) struct Resend {
    pub(crate) api_base: String,
    pub(crate) api_key: String,
    _stand_in: ResendStandIn,
}

impl Resend {
    /// The stand-in, on a free port unless told which.
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        let stand_in = ResendStandIn::start(options.resend_port).await?;
        Ok(Self {
            api_base: stand_in.base_url().to_owned(),
            api_key: format!("re_{}", random_secret()),
            _stand_in: stand_in,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::net::http_client;

    #[tokio::test]
    async fn email_is_kept_where_the_stack_file_says() -> Result<()> {
        let resend = Resend::start(&Options::default()).await?;
        let (client, api_base) = (http_client()?, &resend.api_base);
        let email = json!({"from": "a@example.com", "to": "b@example.com", "subject": "s", "text": "t"});
        let request = client.post(format!("{api_base}/emails")).bearer_auth(&resend.api_key).json(&email);
        request.header("user-agent", "tests/1.0").send().await?.error_for_status()?;
        let kept =
            client.get(format!("{api_base}/_admin/emails")).send().await?.json::<serde_json::Value>().await?;
        assert_eq!(kept.as_array().map(Vec::len), Some(1));
        Ok(())
    }
}
