//! Stripe's lists, page by page: <https://docs.stripe.com/api/pagination>.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::checkout::CheckoutSession;
use super::client::Stripe;
use super::objects::{PaymentIntent, Refund};
use super::transport::{Parameters, StripeError};

/// Stripe's largest page.
const PAGE_SIZE: &str = "100";

/// One page of a list, newest first.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// After which object the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
    has_more: bool,
}

/// An object that a page can continue after.
pub(super) trait Listed: DeserializeOwned {
    fn id(&self) -> &str;
}

macro_rules! listed {
    ($($object:ty),*) => { $(
        impl Listed for $object {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )* };
}

listed!(CheckoutSession, PaymentIntent, Refund);

/// An object that is read as it came.
impl Listed for Value {
    fn id(&self) -> &str {
        self.get("id").and_then(Self::as_str).unwrap_or_default()
    }
}

impl Stripe {
    /// The page of a list after an object, or the first.
    pub(super) async fn page<T: Listed>(
        &self,
        path: &'static str,
        mut filter: Parameters<'_>,
        after: Option<&str>,
        deadline: Instant,
    ) -> Result<Page<T>, StripeError> {
        filter.push(("limit", PAGE_SIZE.to_owned()));
        filter.extend(after.map(|id| ("starting_after", id.to_owned())));
        let list: List<T> = self.get(path.to_owned(), filter, deadline).await?;
        let last = list.data.last().filter(|_| list.has_more).map(Listed::id);
        let next = last.filter(|id| !id.is_empty()).map(str::to_owned);
        Ok(Page { items: list.data, next })
    }
}

/// A list that is being read, no further than somebody wants to.
pub(super) struct Pages<'a> {
    stripe: &'a Stripe,
    path: &'static str,
    filter: Parameters<'a>,
    deadline: Instant,
    next: Next,
}

enum Next {
    First,
    After(String),
    Nothing,
}

impl<'a> Pages<'a> {
    pub(super) fn new(
        stripe: &'a Stripe,
        path: &'static str,
        filter: Parameters<'a>,
        deadline: Instant,
    ) -> Self {
        Self { stripe, path, filter, deadline, next: Next::First }
    }

    /// Everything on the list.
    pub(super) async fn all<T: Listed>(mut self) -> Result<Vec<T>, StripeError> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }

    /// The first that is wanted.
    pub(super) async fn find<T: Listed>(
        mut self,
        is_wanted: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, StripeError> {
        while let Some(page) = self.next_page().await? {
            let wanted = page.into_iter().find(&is_wanted);
            if wanted.is_some() {
                return Ok(wanted);
            }
        }
        Ok(None)
    }

    async fn next_page<T: Listed>(&mut self) -> Result<Option<Vec<T>>, StripeError> {
        let after = match &self.next {
            Next::First => None,
            Next::After(id) => Some(id.as_str()),
            Next::Nothing => return Ok(None),
        };
        let page = self.stripe.page(self.path, self.filter.clone(), after, self.deadline).await?;
        self.next = page.next.map_or(Next::Nothing, Next::After);
        Ok(Some(page.items))
    }
}
