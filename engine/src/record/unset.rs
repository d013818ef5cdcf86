//! Values that were used before they were captured: an empty text stood in their place.

/// How often one value was, in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unset {
    /// Requests with an empty text in its place, sent or not: it may have been for their URL.
    pub requests: u64,
    /// Conditions that compared it.
    pub conditions: u64,
}

impl Unset {
    /// Whether it never was.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.conditions += other.conditions;
    }
}
