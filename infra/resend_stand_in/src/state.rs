//! All that the stand-in remembers.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::email::Email;
use crate::fault::Fault;
use crate::refusal::Refusal;

/// The state of one stand-in; it stands behind one mutex, which is never held across an await.
#[derive(Debug, Default)]
pub(crate) struct State {
    emails: Vec<Email>,
    /// What was sent under each idempotency key, and what was answered. Resend forgets it after 24 hours:
    /// <https://resend.com/docs/dashboard/emails/idempotency-keys>.
    sent: HashMap<String, (Map<String, Value>, Uuid)>,
    faults: VecDeque<Fault>,
}

impl State {
    pub(crate) fn emails(&self) -> &[Email] {
        &self.emails
    }

    pub(crate) fn add_fault(&mut self, fault: Fault) {
        self.faults.push_back(fault);
    }

    /// Answers an e-mail as Resend would, unless a fault is in the way.
    pub(crate) fn send(
        &mut self,
        members: Map<String, Value>,
        idempotency_key: Option<String>,
    ) -> Result<Uuid, Refusal> {
        let Some(fault) = self.take_fault() else {
            return self.accept(members, idempotency_key);
        };
        if fault.accepted {
            self.accept(members, idempotency_key)?;
        }
        Err(Refusal::made_to_order(fault.status))
    }

    /// Accepts an e-mail once, however often it comes under one key.
    fn accept(
        &mut self,
        members: Map<String, Value>,
        idempotency_key: Option<String>,
    ) -> Result<Uuid, Refusal> {
        if let Some((before, id)) = idempotency_key.as_ref().and_then(|key| self.sent.get(key)) {
            let is_same = *before == members;
            return if is_same { Ok(*id) } else { Err(Refusal::invalid_idempotent_request()) };
        }
        let email = Email::parse(&members, idempotency_key)?;
        let id = email.id;
        if let Some(key) = &email.idempotency_key {
            self.sent.insert(key.clone(), (members, id));
        }
        self.emails.push(email);
        Ok(id)
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.faults.retain(|fault| fault.times > 0);
        let fault = self.faults.front_mut()?;
        fault.times -= 1;
        Some(*fault)
    }
}
