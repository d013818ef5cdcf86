//! Where the requests go, what they say, and which answers are good.

use core::ops::RangeInclusive;
use std::net::SocketAddr;

use pummel_proto_http::Request;

/// One server and the one request that it is sent.
#[derive(Clone, Debug)]
pub struct Target {
    /// The URL as given, for reports only.
    pub url: String,
    /// The addresses of the server in order of preference; the first that accepts is kept. Never
    /// empty.
    pub addresses: Addresses,
    /// The request, validated.
    pub request: Request,
    /// Which response statuses are `ok`; any other is a *failure*, not an error.
    pub expected: ExpectedStatus,
}

/// Resolved addresses in order of preference; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Vec<SocketAddr>);

impl Addresses {
    /// The addresses in order of preference; `None` if there is none.
    #[must_use]
    pub fn new(addresses: Vec<SocketAddr>) -> Option<Self> {
        (!addresses.is_empty()).then_some(Self(addresses))
    }

    /// The preferred address.
    #[must_use]
    pub fn first(&self) -> SocketAddr {
        // There is always one; the rest is for the compiler.
        self.0.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The addresses.
    #[must_use]
    pub fn all(&self) -> &[SocketAddr] {
        &self.0
    }
}

/// The statuses that make a response `ok`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedStatus(RangeInclusive<u16>);

impl ExpectedStatus {
    /// Statuses from the first to the last of `range`.
    #[must_use]
    pub const fn new(range: RangeInclusive<u16>) -> Self {
        Self(range)
    }

    /// Whether `status` is one of them.
    #[must_use]
    pub fn holds(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

impl Default for ExpectedStatus {
    /// 200 to 399: the server did what it was asked, or said where that is.
    fn default() -> Self {
        Self(200..=399)
    }
}
