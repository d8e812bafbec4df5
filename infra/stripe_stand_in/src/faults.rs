//! Failures made to order.

use crate::protocol::{EventAction, EventFault, Fault, FaultKind, RequestMatch};

/// The faults of requests that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for this request, which counts it.
    pub(crate) fn take(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let fault = self.0.iter_mut().find(|fault| fault.times > 0 && fault.request.matches(method, path))?;
        fault.times -= 1;
        let kind = fault.kind.clone();
        self.0.retain(|fault| fault.times > 0);
        Some(kind)
    }
}

impl RequestMatch {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path_prefix.as_deref().is_none_or(|prefix| path.starts_with(prefix))
            && self.path_suffix.as_deref().is_none_or(|suffix| path.ends_with(suffix))
    }
}

/// The faults of deliveries that are still to come.
#[derive(Debug, Default)]
pub(crate) struct EventFaults(Vec<EventFault>);

impl EventFaults {
    pub(crate) fn add(&mut self, fault: EventFault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What happens to this event, which counts it.
    pub(crate) fn take(&mut self, event_type: &str) -> Option<EventAction> {
        let fault = self.0.iter_mut().find(|fault| fault.times > 0 && fault.event_type == event_type)?;
        fault.times -= 1;
        let action = fault.action;
        self.0.retain(|fault| fault.times > 0);
        Some(action)
    }
}
