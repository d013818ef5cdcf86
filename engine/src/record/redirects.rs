//! What became of redirects.

/// Redirects of the requests of the window, where they are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirects {
    /// Those that were followed: requests that were sent beyond the first of each.
    pub followed: u64,
    unfollowed: [u64; Unfollowed::ALL.len()],
    other_host: Vec<u8>,
}

/// Longest name of another host that is kept.
const NAME_BYTES_MAX: usize = 255;

/// Why a redirect was not followed. It is the response then, and a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfollowed {
    /// As many were followed as may be.
    Limit,
    /// It does not say where it leads.
    NoLocation,
    /// What it says is no URL that can be asked for.
    Malformed,
    /// It leads to a host that is not one of the run.
    OtherHost,
}

impl Unfollowed {
    /// All reasons, in the order of their discriminants, which are dense from 0.
    pub const ALL: [Self; 4] = [Self::Limit, Self::NoLocation, Self::Malformed, Self::OtherHost];

    /// The stable `snake_case` name, as reports print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::NoLocation => "no_location",
            Self::Malformed => "malformed",
            Self::OtherHost => "other_host",
        }
    }
}

impl Redirects {
    /// Counts one that was not followed.
    pub(super) fn stand(&mut self, why: Unfollowed) {
        if let Some(count) = self.unfollowed.get_mut(why as usize) {
            *count += 1;
        }
    }

    /// One of them led to another host, of this name. The least of all is kept, so that the order
    /// in which they come does not matter.
    pub(super) fn led_elsewhere(&mut self, name: &[u8]) {
        let is_first = self.other_host.is_empty() || name < &self.other_host[..];
        if is_first && !name.is_empty() && name.len() <= NAME_BYTES_MAX {
            self.other_host.clear();
            self.other_host.extend_from_slice(name);
        }
    }

    /// A host that one of them led to and that is not one of the run, as a URL without its path;
    /// empty if there was none.
    #[must_use]
    pub fn other_host(&self) -> &[u8] {
        &self.other_host
    }

    /// Empties the counts and keeps the memory.
    pub(super) fn clear(&mut self) {
        (self.followed, self.unfollowed) = (0, Default::default());
        self.other_host.clear();
    }

    /// How many were not followed for each reason.
    pub fn unfollowed(&self) -> impl Iterator<Item = (Unfollowed, u64)> {
        Unfollowed::ALL.into_iter().zip(self.unfollowed)
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.followed += other.followed;
        for (sum, more) in self.unfollowed.iter_mut().zip(other.unfollowed) {
            *sum += more;
        }
        self.led_elsewhere(&other.other_host);
    }
}
