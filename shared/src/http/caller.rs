//! Who calls, as their verified token says.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::{Actor, Contact};

/// A person with a verified token. What they may do at a provider stands in the database, never here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `sub`.
    pub user_id: Uuid,
    /// `email`, where the token has one.
    pub email: Option<String>,
    /// `user_metadata.full_name` or `.name`, which users choose themselves.
    pub name: Option<String>,
    /// `phone`, where the token has one.
    pub phone: Option<String>,
    /// `app_metadata.role` is `admin`; only the project's own server can write there.
    pub is_admin: bool,
}

impl Caller {
    /// What idempotency keys, claims and rate limits know the caller by.
    #[must_use]
    pub fn key(&self) -> String {
        format!("user:{}", self.user_id)
    }

    /// The caller, as operations want to know them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { user_id: self.user_id, is_admin: self.is_admin }
    }

    /// How to reach the caller.
    #[must_use]
    pub fn contact(&self) -> Contact {
        Contact { name: self.name.clone(), email: self.email.clone(), phone: self.phone.clone() }
    }
}

/// The claims of a Supabase token that matter here; those about identity are verified before these are read.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    sub: String,
    role: Option<Value>,
    email: Option<Value>,
    phone: Option<Value>,
    #[serde(default)]
    app_metadata: Value,
    #[serde(default)]
    user_metadata: Value,
}

impl Claims {
    /// The caller, or why this is no person's token.
    pub(super) fn into_caller(self) -> Result<Caller, &'static str> {
        // `anon` and `service_role` tokens are keys of the project, not people.
        if self.role.as_ref().is_some_and(|role| role != "authenticated") {
            return Err("not a person's role");
        }
        let name = ["full_name", "name"].iter().find_map(|member| text(self.user_metadata.get(member)));
        Ok(Caller {
            user_id: Uuid::try_parse(&self.sub).map_err(|_| "sub is not a UUID")?,
            email: text(self.email.as_ref()),
            name,
            phone: text(self.phone.as_ref()),
            is_admin: self.app_metadata.get("role").is_some_and(|role| role == "admin"),
        })
    }
}

/// Supabase writes an empty text where a user has no e-mail address or phone. A NUL could not be stored.
fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.is_empty() && !text.contains('\0')).map(str::to_owned)
}
