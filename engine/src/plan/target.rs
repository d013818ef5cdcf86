//! Where the requests go.

use std::net::SocketAddr;

use super::{Lookup, Proxy, Tls};
use crate::reactor::Address;

/// Most servers of a run: each has connections of its own, and a line of those that are free.
pub const ORIGINS_MAX: usize = 1024;

/// One server.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URL as given, for reports only.
    pub url: String,
    /// The addresses of the server in order of preference; the first that accepts is kept. Never
    /// empty.
    pub addresses: Addresses,
}

/// A server beside the first one, and what of the way to it is not the same for all.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The server.
    pub target: Target,
    /// How it is secured, if it is.
    pub tls: Option<Tls>,
    /// Who stands in between, if anybody.
    pub proxy: Option<Proxy>,
    /// How often its name is looked up.
    pub lookup: Lookup,
}

/// Resolved addresses in order of preference; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Vec<Address>);

impl Addresses {
    /// The addresses in order of preference; `None` if there is none.
    #[must_use]
    pub fn new<A: Into<Address>>(addresses: Vec<A>) -> Option<Self> {
        let addresses: Vec<Address> = addresses.into_iter().map(Into::into).collect();
        (!addresses.is_empty()).then_some(Self(addresses))
    }

    /// The preferred address.
    #[must_use]
    pub fn first(&self) -> Address {
        let none = || SocketAddr::from(([0, 0, 0, 0], 0)).into();
        // There is always one; the rest is for the compiler.
        self.0.first().cloned().unwrap_or_else(none)
    }

    /// The addresses.
    #[must_use]
    pub fn all(&self) -> &[Address] {
        &self.0
    }
}
