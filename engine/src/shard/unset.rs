//! Values that are used before anything was captured under their names: an empty text stands
//! there, and is counted.

use std::sync::Arc;

use crate::plan::Unsure;

/// Which captured values users have, where it is not sure that they have them.
pub(super) struct Unset {
    /// What may lack values, and which; shared by all shards.
    unsure: Arc<Unsure>,
    /// Values of a user; none where all are sure.
    variables: usize,
    /// What each user has captured, by its values.
    captured: Vec<bool>,
}

impl Unset {
    /// For users who have so many `variables`.
    pub(super) fn new(unsure: Arc<Unsure>, variables: usize) -> Self {
        let variables = if unsure.is_none() { 0 } else { variables };
        Self { unsure, variables, captured: Vec::new() }
    }

    /// Room for one user more.
    pub(super) fn grow(&mut self) {
        self.captured.extend((0..self.variables).map(|_| false));
    }

    /// `user` has captured the value with this number, or has it no more.
    pub(super) fn set(&mut self, user: u32, number: u16, is_captured: bool) {
        let place = self.place(user, number);
        if self.variables > 0
            && let Some(captured) = self.captured.get_mut(place)
        {
            *captured = is_captured;
        }
    }

    /// The values that a request of `user` lacks.
    #[inline]
    pub(super) fn of_request(&self, user: u32, request: u16) -> impl Iterator<Item = u16> {
        self.lacking(user, self.unsure.requests.get(usize::from(request)))
    }

    /// The values that a condition lacks for `user`.
    pub(super) fn of_condition(&self, user: u32, condition: u16) -> impl Iterator<Item = u16> {
        self.lacking(user, self.unsure.conditions.get(usize::from(condition)))
    }

    #[inline]
    fn lacking(&self, user: u32, of: Option<&Vec<u16>>) -> impl Iterator<Item = u16> {
        let values = of.into_iter().flatten().copied();
        values.filter(move |&number| self.captured.get(self.place(user, number)) == Some(&false))
    }

    /// Where it stands whether a user has a value.
    fn place(&self, user: u32, number: u16) -> usize {
        user as usize * self.variables + usize::from(number)
    }
}
