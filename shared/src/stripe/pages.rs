//! Stripe's lists, page by page: <https://docs.stripe.com/api/pagination>.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::client::Stripe;
use super::objects::{PaymentIntent, Refund};
use super::transport::{Parameters, StripeError};

/// Stripe's largest page.
const PAGE_SIZE: &str = "100";

/// One page of a list, newest first.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    data: Vec<T>,
    has_more: bool,
}

/// An object that a page can continue after.
pub(super) trait Listed: DeserializeOwned {
    fn id(&self) -> &str;
}

impl Listed for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for Refund {
    fn id(&self) -> &str {
        &self.id
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
        while let Some(page) = self.turn().await? {
            all.extend(page);
        }
        Ok(all)
    }

    /// The first that is wanted.
    pub(super) async fn find<T: Listed>(
        mut self,
        is_wanted: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, StripeError> {
        while let Some(page) = self.turn().await? {
            let wanted = page.into_iter().find(&is_wanted);
            if wanted.is_some() {
                return Ok(wanted);
            }
        }
        Ok(None)
    }

    async fn turn<T: Listed>(&mut self) -> Result<Option<Vec<T>>, StripeError> {
        let mut parameters = self.filter.clone();
        parameters.push(("limit", PAGE_SIZE.to_owned()));
        match &self.next {
            Next::First => {}
            Next::After(id) => parameters.push(("starting_after", id.clone())),
            Next::Nothing => return Ok(None),
        }
        let page: Page<T> = self.stripe.get(self.path.to_owned(), parameters, self.deadline).await?;
        self.next = match page.data.last() {
            Some(last) if page.has_more => Next::After(last.id().to_owned()),
            _ => Next::Nothing,
        };
        Ok(Some(page.data))
    }
}
