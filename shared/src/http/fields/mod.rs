//! Takes a request's fields one by one and remembers all that is wrong, so that the client learns it in one answer.

mod read;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use self::read::Invalid;
use super::{idempotency, json};
use crate::digest::sha256_hex;
use crate::error::{Code, Error, InvalidField, Refusal};

/// The members of a JSON object, being read.
///
/// Each getter returns the value, or `None` after noting what is wrong; an `optional_…` one also returns `None` for
/// a member that is absent or null. [`Fields::finish`] turns the values into what the use case takes, or refuses:
///
/// ```
/// # use kitloop::http::Fields;
/// # fn read(mut fields: Fields) -> Result<(uuid::Uuid, Option<String>), kitloop::error::Error> {
/// let provider_id = fields.uuid("provider_id");
/// let notes = fields.optional_text("notes", 1000);
/// fields.finish(|| Some((provider_id?, notes)))
/// # }
/// ```
#[derive(Debug)]
pub struct Fields {
    members: Map<String, Value>,
    /// Where this object is in the request: empty at the top, else such as `lines[1]`.
    path: String,
    invalid: Vec<InvalidField>,
    idempotency_header: Option<String>,
}

impl Fields {
    /// The members of `members`; `idempotency_header` is what the header of that name says.
    #[must_use]
    pub(super) fn new(members: Map<String, Value>, idempotency_header: Option<&str>) -> Self {
        Self {
            members,
            path: String::new(),
            invalid: Vec::new(),
            idempotency_header: idempotency_header.map(str::to_owned),
        }
    }

    /// The members of an event that is no HTTP request; none if it is no object.
    #[must_use]
    pub fn of_event(event: &Value) -> Self {
        Self::new(event.as_object().cloned().unwrap_or_default(), None)
    }

    /// The parameters of a query. An empty one counts as absent.
    pub(super) fn of_query(parameters: &[(String, String)]) -> Self {
        let mut fields = Self::new(Map::new(), None);
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            if fields.members.insert(name.clone(), Value::from(value.as_str())).is_some() {
                fields.reject(name, "is given more than once");
            }
        }
        fields
    }

    /// Whether the member is there and not null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether something was wrong so far.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        !self.invalid.is_empty()
    }

    /// Notes that a field is wrong, for rules that no getter knows.
    pub fn reject(&mut self, name: &str, reason: impl Into<String>) {
        let field = self.path_of(name);
        self.invalid.push(InvalidField { field, reason: reason.into() });
    }

    /// `value`, or a note that the field is missing: makes an optional getter a required one.
    /// Says nothing where the member is there, since the getter has then said what is wrong with it.
    fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.has(name) {
            self.reject(name, "is required");
        }
        value
    }

    /// A UUID.
    pub fn uuid(&mut self, name: &str) -> Option<Uuid> {
        let value = self.optional_uuid(name);
        self.required(name, value)
    }

    /// A UUID, if given.
    pub fn optional_uuid(&mut self, name: &str) -> Option<Uuid> {
        self.read(name, read::uuid)
    }

    /// An instant: RFC 3339 with an offset.
    pub fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.optional_timestamp(name);
        self.required(name, value)
    }

    /// An instant, if given.
    pub fn optional_timestamp(&mut self, name: &str) -> Option<Timestamp> {
        self.read(name, read::timestamp)
    }

    /// A text of 1 to `longest` characters.
    pub fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        let value = self.read(name, |value| read::text(value, 1, longest));
        self.required(name, value)
    }

    /// A text of at most `longest` characters, if given; kept as it is.
    pub fn optional_text(&mut self, name: &str, longest: usize) -> Option<String> {
        self.read(name, |value| read::text(value, 0, longest))
    }

    /// True or false, if given.
    pub fn optional_bool(&mut self, name: &str) -> Option<bool> {
        self.read(name, read::boolean)
    }

    /// A whole number in `range`.
    pub fn integer<T: TryFrom<i64> + Into<i64> + Copy>(
        &mut self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let value = self.optional_integer(name, range);
        self.required(name, value)
    }

    /// A whole number in `range`, if given.
    pub fn optional_integer<T: TryFrom<i64> + Into<i64> + Copy>(
        &mut self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        self.read(name, |value| read::integer(value, &range))
    }

    /// A whole number in `range` that is written as a text, as all of a query is, if given.
    pub fn optional_integer_text<T: TryFrom<i64> + Into<i64> + Copy>(
        &mut self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        self.read(name, |value| read::integer_text(value, &range))
    }

    /// One of `choices`.
    pub fn choice(&mut self, name: &str, choices: &[&'static str]) -> Option<&'static str> {
        let value = self.optional_choice(name, choices);
        self.required(name, value)
    }

    /// One of `choices`, if given.
    pub fn optional_choice(&mut self, name: &str, choices: &[&'static str]) -> Option<&'static str> {
        self.read(name, |value| read::choice(value, choices))
    }

    /// What `item` makes of each object in an array of `length` objects, if given. Items that are wrong are noted
    /// under their own path, such as `lines[1].quantity`.
    pub fn optional_array<T>(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let values = self.read(name, |value| read::array(value, &length))?;
        let read: Vec<Option<T>> = (values.into_iter().enumerate())
            .map(|(index, value)| self.nested(&format!("{name}[{index}]"), value, &mut item))
            .collect();
        read.into_iter().collect()
    }

    /// What `read` makes of an object.
    pub fn object<T>(&mut self, name: &str, read: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let value = self.optional_object(name, read);
        self.required(name, value)
    }

    /// What `read` makes of an object, if given.
    pub fn optional_object<T>(&mut self, name: &str, read: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let value = self.read(name, |value| Ok(value.clone()))?;
        self.nested(name, value, read)
    }

    /// The idempotency key, from the header `Idempotency-Key` or the field `idempotency_key`.
    pub fn idempotency_key(&mut self) -> Option<String> {
        let key = self.read_idempotency_key();
        if key == Ok(None) {
            self.reject(idempotency::FIELD, "is required, here or as the header Idempotency-Key");
        }
        key.unwrap_or_default()
    }

    /// The idempotency key from either place, if given.
    pub fn optional_idempotency_key(&mut self) -> Option<String> {
        self.read_idempotency_key().unwrap_or_default()
    }

    fn read_idempotency_key(&mut self) -> Result<Option<String>, Invalid> {
        idempotency::key(self.idempotency_header.as_deref(), self.members.get(idempotency::FIELD))
            .map_err(Invalid::from)
            .inspect_err(|reason| self.reject(idempotency::FIELD, reason.clone()))
    }

    /// SHA-256 (hexadecimal) of the body, whatever its spacing and order of members, without the idempotency key:
    /// tells whether a key is used again with another body.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut members = self.members.clone();
        members.remove(idempotency::FIELD);
        sha256_hex(json::canonical(&Value::Object(members)).as_bytes())
    }

    /// What `build` makes of the values, once no field is wrong.
    ///
    /// # Errors
    /// `invalid_request` with all wrong fields; [`Error::Internal`] if `build` misses a value that no getter refused.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Error> {
        if !self.invalid.is_empty() {
            let refusal = Refusal::new(Code::InvalidRequest, "One or more fields are missing or wrong.");
            return Err(refusal.with_fields(self.invalid).into());
        }
        build().ok_or_else(|| Error::Internal("a field was neither read nor refused".to_owned()))
    }

    fn read<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, Invalid>) -> Option<T> {
        let value = self.members.get(name).filter(|value| !value.is_null())?;
        match read(value) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.reject(name, reason);
                None
            }
        }
    }

    fn nested<T>(
        &mut self,
        name: &str,
        value: Value,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let Value::Object(members) = value else {
            self.reject(name, "must be an object");
            return None;
        };
        let mut fields = Self { path: self.path_of(name), ..Self::new(members, None) };
        let result = read(&mut fields);
        self.invalid.append(&mut fields.invalid);
        result
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
