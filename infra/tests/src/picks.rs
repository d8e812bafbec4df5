//! Which of several things a step of a sequence is about.

use proptest::strategy::Strategy;

/// Which of so many; counted round, so that any number will do however many there are.
pub type Pick = u8;

/// Few are picked from, so that steps meet.
pub fn pick() -> impl Strategy<Value = Pick> {
    0..3_u8
}

/// The one that is meant, if there are any.
pub fn picked<T>(all: &[T], pick: Pick) -> Option<&T> {
    all.get(usize::from(pick).checked_rem(all.len())?)
}
