//! Reads settings one by one and remembers all that is wrong with them.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use secrecy::SecretString;

use super::secret::Secret;
use super::ssm::Parameters;
use super::{Lookup, rotating};

/// One setting that is missing or malformed. Never holds the value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSetting {
    /// The name of the setting.
    pub setting: Cow<'static, str>,
    /// What is wrong with it.
    pub problem: String,
}

/// Everything that is wrong with the settings; displayed one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<BadSetting>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, BadSetting { setting, problem }) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            write!(formatter, "{setting} {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems instead of stopping at the first.
pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    parameters: Option<&'a Parameters>,
    problems: Vec<BadSetting>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup, parameters: None, problems: Vec::new() }
    }

    /// A reader of settings some of which refer to parameters.
    pub(super) fn with_parameters(lookup: Lookup<'a>, parameters: &'a Parameters) -> Self {
        Self { parameters: Some(parameters), ..Self::new(lookup) }
    }

    /// The setting's text. An empty one counts as absent: that is how templates say "not set".
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Whether the setting refers to a parameter.
    pub(super) fn is_parameter(&self, name: &str) -> bool {
        self.parameters.is_some_and(|parameters| parameters.parameter(name).is_some())
    }

    pub(super) fn text_or(&self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn required_if(&mut self, name: &'static str, required: bool) -> Option<String> {
        let value = self.text(name);
        if required && value.is_none() {
            self.reject(name, "is missing");
        }
        value
    }

    pub(super) fn integer<T>(&mut self, name: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let text = self.text(name)?;
        let value = text.parse().ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.reject(name, format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        value
    }

    pub(super) fn integer_or<T>(&mut self, name: &'static str, range: RangeInclusive<T>, default: T) -> T
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        self.integer(name, range).unwrap_or(default)
    }

    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "1" | "yes") => true,
            None | Some("false" | "0" | "no") => false,
            Some(_) => {
                self.reject(name, "must be true or false");
                false
            }
        }
    }

    /// An http or https address, without a slash at its end.
    pub(super) fn url(&mut self, name: &'static str) -> Option<String> {
        let url = self.text(name)?;
        if !is_http_url(&url) {
            self.reject(name, "must be an http:// or https:// address");
            return None;
        }
        Some(url.trim_end_matches('/').to_owned())
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// A secret, which is read again from its parameter when it was refused.
    pub(super) fn secret<T>(
        &mut self,
        name: &'static str,
        required: bool,
        parse: impl Fn(&str) -> Result<T, String> + Send + Sync + 'static,
    ) -> Option<Secret<T>> {
        let text = self.required_if(name, required)?;
        let parameter = self.parameters.and_then(|parameters| parameters.parameter(name));
        Secret::new(name, text, parse, parameter).map_err(|problem| self.reject(name, problem)).ok()
    }

    /// A secret of one value.
    pub(super) fn key(&mut self, name: &'static str, required: bool) -> Option<Secret> {
        self.secret(name, required, |text| Ok(text.into()))
    }

    /// A secret of `shortest` bytes at least that may have a predecessor which is still good.
    pub(super) fn rotating(
        &mut self,
        name: &'static str,
        required: bool,
        shortest: usize,
    ) -> Secret<Vec<SecretString>> {
        let secrets = self.secret(name, required, move |text| rotating::parse(text, shortest));
        secrets.unwrap_or_else(|| Vec::new().into())
    }

    pub(super) fn reject(&mut self, setting: &'static str, problem: impl Into<String>) {
        self.problems.push(BadSetting { setting: setting.into(), problem: problem.into() });
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.problems.is_empty() { Ok(value) } else { Err(ConfigErrors(self.problems)) }
    }
}

pub(super) fn is_http_url(text: &str) -> bool {
    ::http::Uri::from_str(text).is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}
