//! Secrets that may be replaced while the sandbox runs: one that was refused is read again from its parameter.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::ssm::Parameter;

/// A refused secret is read again at most this often, so that made-up ones cannot use up the store's rate.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(30);
/// After a read that failed, or that nobody waited for any more, the next one waits this long.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// How long reading may take: whoever was refused waits for it.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// A secret as it stands now. Clones share it: what one finds out, all know.
pub struct Secret<T = SecretString> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    held: RwLock<Held<T>>,
    source: Option<Source<T>>,
}

struct Held<T> {
    text: SecretString,
    value: Arc<T>,
}

/// What a parameter's text means, or why it means nothing, without repeating it.
type Parse<T> = Box<dyn Fn(&str) -> Result<T, String> + Send + Sync>;

struct Source<T> {
    setting: &'static str,
    parameter: Parameter,
    parse: Parse<T>,
    next_read: Mutex<Option<Instant>>,
}

impl<T> Secret<T> {
    /// A secret whose text is `text`; read again from `parameter`, where it came from there.
    ///
    /// # Errors
    /// What `parse` says.
    pub(super) fn new(
        setting: &'static str,
        text: String,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
        parameter: Option<Parameter>,
    ) -> Result<Self, String> {
        let value = Arc::new(parse(&text)?);
        let source = parameter.map(|parameter| Source {
            setting,
            parameter,
            parse: Box::new(parse),
            next_read: Mutex::default(),
        });
        Ok(Self { shared: Arc::new(Shared { held: RwLock::new(Held { text: text.into(), value }), source }) })
    }

    /// What it is now.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.shared.held.read().unwrap_or_else(PoisonError::into_inner).value)
    }

    /// What took the place of `refused`: somebody may have found it already, or the parameter is read again, at most
    /// every 30 s, or 2 s after that failed. `None` if nothing did.
    async fn renewed(&self, refused: &Arc<T>) -> Option<Arc<T>> {
        let source = self.shared.source.as_ref()?;
        let mut next_read = source.next_read.lock().await;
        let current = self.current();
        if !Arc::ptr_eq(&current, refused) {
            return Some(current);
        }
        if next_read.is_some_and(|next_read| Instant::now() < next_read) {
            return None;
        }
        *next_read = Some(Instant::now() + RETRY_INTERVAL);
        let text = source.read().await?;
        *next_read = Some(Instant::now() + RENEWAL_INTERVAL);
        self.replace(source, text)
    }

    /// What `attempt` comes to with the secret or, if that is a refusal that another secret could change, with the one
    /// that took its place.
    ///
    /// # Errors
    /// Those of `attempt`.
    pub async fn try_with<R, E, F>(
        &self,
        attempt: impl Fn(Arc<T>) -> F,
        is_refusal: impl FnOnce(&E) -> bool,
    ) -> Result<R, E>
    where
        F: Future<Output = Result<R, E>>,
    {
        let known = self.current();
        match attempt(Arc::clone(&known)).await {
            // Boxed, because it is rare and would make the future of every request larger.
            Err(error) if is_refusal(&error) => match Box::pin(self.renewed(&known)).await {
                Some(renewed) => attempt(renewed).await,
                None => Err(error),
            },
            outcome => outcome,
        }
    }

    /// The secret of this text, if it is another one and makes sense.
    fn replace(&self, source: &Source<T>, text: String) -> Option<Arc<T>> {
        let setting = source.setting;
        if text == self.shared.held.read().unwrap_or_else(PoisonError::into_inner).text.expose_secret() {
            return None;
        }
        let value = (source.parse)(&text)
            .inspect_err(|problem| tracing::error!(setting, problem, "secret.malformed"))
            .ok()?;
        let value = Arc::new(value);
        *self.shared.held.write().unwrap_or_else(PoisonError::into_inner) =
            Held { text: text.into(), value: Arc::clone(&value) };
        tracing::info!(setting, "secret.renewed");
        Some(value)
    }
}

impl<T> Source<T> {
    async fn read(&self) -> Option<String> {
        let read = timeout(READ_TIMEOUT, self.parameter.read()).await;
        let read = read.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        read.inspect_err(|error| tracing::warn!(setting = self.setting, error, "secret.not_read")).ok()
    }
}

/// A secret that stays as it is.
impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        let held = Held { text: SecretString::default(), value: Arc::new(value) };
        Self { shared: Arc::new(Shared { held: RwLock::new(held), source: None }) }
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        SecretString::from(value).into()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        SecretString::from(value).into()
    }
}

impl<T> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_without_a_parameter_stays_refused() {
        let secret: Secret = "plain".into();
        let attempts = std::cell::Cell::new(0);
        let refuse = async |_| {
            attempts.set(attempts.get() + 1);
            Err::<(), ()>(())
        };
        assert!(secret.try_with(refuse, |()| true).await.is_err());
        assert_eq!(attempts.get(), 1);
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret: Secret = "whsec_x".into();
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
