//! Where the requests go.

use std::net::SocketAddr;

use crate::reactor::Address;

/// One server.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URL as given, for reports only.
    pub url: String,
    /// The addresses of the server in order of preference; the first that accepts is kept. Never
    /// empty.
    pub addresses: Addresses,
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
