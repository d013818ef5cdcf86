//! Bodies that are not in memory, but read piece by piece as they are sent.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

/// Where such a body is read.
pub trait BodySource: fmt::Debug + Send + Sync {
    /// How many bytes it has, which is announced and sent.
    fn length(&self) -> u64;

    /// Reads what begins at `from` into all of `into`.
    ///
    /// There is no error: what was announced must be sent. A source that cannot read any more
    /// leaves in `into` what it will, and says so when it is asked for its failure.
    fn read(&self, from: u64, into: &mut [u8]);

    /// Why it could not be read any more, if that was so.
    fn failure(&self) -> Option<&str>;
}

/// A body that is read as it is sent. Clones share the source.
#[derive(Clone, Debug)]
pub struct Stored(Arc<dyn BodySource>);

impl Stored {
    /// The body that `source` has.
    #[must_use]
    pub fn new(source: impl BodySource + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.0.length()
    }

    /// Why it could not be read any more, if that was so: then what was sent is worth nothing.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.0.failure()
    }

    /// Appends `length` of its bytes, from `from` on, to `out`.
    pub fn append(&self, from: u64, length: usize, out: &mut Vec<u8>) {
        let at = out.len();
        out.resize(at + length, 0);
        if let Some(into) = out.get_mut(at..) {
            self.0.read(from, into);
        }
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stored {}

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).cast::<()>().hash(state);
    }
}
