//! What is compared: a protocol, whether it is secured, and how long a connection lasts.

use clap::ValueEnum;
use serde::Serialize;

/// A kind of work, with what is usual for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Case {
    /// HTTP/1.1 in the clear: 64 connections to nginx
    #[default]
    H1,
    /// HTTP/1.1 over TLS: 64 connections to nginx
    H1Tls,
    /// HTTP/2 in the clear: 8 connections of 100 streams to h2o
    H2c,
    /// HTTP/2 in the clear: 64 connections of one stream to nginx
    H2cSingle,
    /// HTTP/2 over TLS: 8 connections of 100 streams to h2o
    H2Tls,
    /// A new connection for each request: HTTP/1.1 in the clear to nginx, 64 at a time
    Churn,
    /// A new connection with a full handshake of TLS 1.3 for each request, nothing verified: nginx,
    /// 64 at a time
    Handshakes,
}

impl Case {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::H1,
        Self::H1Tls,
        Self::H2c,
        Self::H2cSingle,
        Self::H2Tls,
        Self::Churn,
        Self::Handshakes,
    ];

    /// All that can be measured on connections which last.
    pub(crate) const LASTING: [Self; 4] = [Self::H1, Self::H1Tls, Self::H2c, Self::H2Tls];

    /// Whether connections are secured.
    #[must_use]
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::H1Tls | Self::H2Tls | Self::Handshakes)
    }

    /// Whether HTTP/2 is spoken.
    #[must_use]
    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::H2c | Self::H2cSingle | Self::H2Tls)
    }

    /// Whether a connection has more than one request.
    #[must_use]
    pub(crate) fn lasts(self) -> bool {
        !matches!(self, Self::Churn | Self::Handshakes)
    }

    /// Connections where nothing else is said.
    #[must_use]
    pub(crate) fn connections(self) -> u64 {
        if self.is_many_streams() { 8 } else { 64 }
    }

    /// Streams of a connection where nothing else is said.
    #[must_use]
    pub(crate) fn streams(self) -> u64 {
        if self.is_many_streams() { 100 } else { 1 }
    }

    /// Requests of a run where nothing else is said: as many as take some seconds.
    #[must_use]
    pub(crate) fn requests(self) -> u64 {
        match self {
            Self::Handshakes => 20_000,
            Self::Churn => 100_000,
            Self::H1 | Self::H1Tls | Self::H2cSingle => 600_000,
            // Or what a run costs once would be an eighth of it.
            Self::H2c | Self::H2Tls => 4_000_000,
        }
    }

    /// Whether h2o serves it: nginx would be the slower side by far, and its speed be measured.
    #[must_use]
    pub(crate) fn is_many_streams(self) -> bool {
        matches!(self, Self::H2c | Self::H2Tls)
    }

    /// The contender that the others are compared to: the fastest one that can do it.
    #[must_use]
    pub(crate) fn reference(self) -> &'static str {
        if self.is_http2() { "h2load" } else { "wrk" }
    }

    /// The scheme of its URL.
    #[must_use]
    pub(crate) fn scheme(self) -> &'static str {
        if self.is_tls() { "https" } else { "http" }
    }

    /// What a tool lacks that cannot do it.
    #[must_use]
    pub(crate) fn lack(self) -> &'static str {
        match self {
            Self::H1 => "does not speak HTTP/1.1",
            Self::H1Tls => "does not know TLS",
            Self::H2c | Self::H2cSingle | Self::H2Tls => {
                "does not speak HTTP/2 on so many connections and streams"
            }
            Self::Churn | Self::Handshakes => "does not open connections anew",
        }
    }

    /// What it is, for a heading.
    #[must_use]
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::H1 => "HTTP/1.1",
            Self::H1Tls => "HTTP/1.1 over TLS",
            Self::H2c | Self::H2cSingle => "HTTP/2 in the clear",
            Self::H2Tls => "HTTP/2 over TLS",
            Self::Churn => "a new connection for each request",
            Self::Handshakes => "a new TLS 1.3 connection for each request",
        }
    }
}
