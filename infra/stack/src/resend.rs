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
