//! How a request gets to the server: which protocol, through what, and for how long a connection
//! lasts.

use core::num::NonZeroU16;
use std::net::IpAddr;
use std::sync::Arc;

use pummel_proto_http::{Form, Rendering, Version};

use super::Tls;
use crate::reactor::Close;
use crate::units::Rate;

/// The way to the server.
#[derive(Clone, Debug)]
pub struct Wire {
    /// What is spoken.
    pub protocol: Protocol,
    /// Most requests outstanding on one HTTP/2 connection.
    pub streams: NonZeroU16,
    /// How it is secured, if it is.
    pub tls: Option<Tls>,
    /// Who stands in between, if anybody: the addresses of the target are then the proxy's.
    pub proxy: Option<Proxy>,
    /// How often the name of whom connections go to is looked up.
    pub lookup: Lookup,
    /// Addresses that connections come from, in turn; where there is none the system chooses.
    pub sources: Arc<[IpAddr]>,
    /// How a connection is closed.
    pub close: Close,
    /// How long a connection lasts.
    pub keep: Keep,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2. Over TLS the server must agree to it; in the clear it is known to speak it (RFC 9113
    /// section 3.3).
    Http2,
    /// HTTP/2 in the clear, begun as HTTP/1.1 (RFC 7540 section 3.2).
    Http2Upgrade,
    /// HTTP/2 or HTTP/1.1, as the server chooses in the TLS handshake.
    Negotiated,
}

/// How long a connection lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// For as many requests as the server lets it.
    #[default]
    Open,
    /// For one request.
    One,
    /// So many connections per second are replaced by new ones, over all shards, on a schedule.
    Renewed(Rate),
}

/// How often a name is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// Before the run: connections go to the plan's addresses.
    #[default]
    Once,
    /// Again and again: connections go to what the run's [control](crate::coordinator::Control) was
    /// told last.
    Again,
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// How it is used.
    pub means: Means,
    /// Field lines for the proxy alone, authorization included.
    pub fields: Vec<(String, String)>,
    /// Whether it is spoken to in HTTP/2.
    pub http2: bool,
}

/// How a proxy is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// It is asked for a tunnel to this `host:port` (CONNECT, RFC 9110 section 9.3.6).
    Tunnel(String),
    /// It is given each request, with the whole URL.
    Forward,
}

impl Proxy {
    /// Whether it leads through a tunnel of HTTP/2 frames.
    #[must_use]
    pub const fn frames(&self) -> bool {
        self.http2 && matches!(self.means, Means::Tunnel(_))
    }
}

impl Default for Wire {
    /// HTTP/1.1 in the clear, straight to the server.
    fn default() -> Self {
        Self {
            protocol: Protocol::Http11,
            streams: NonZeroU16::MIN,
            tls: None,
            proxy: None,
            lookup: Lookup::Once,
            sources: Arc::default(),
            close: Close::Finish,
            keep: Keep::Open,
        }
    }
}

impl Wire {
    /// How requests are put into HTTP/1.x for a server that `proxy` stands before, if anybody does.
    #[must_use]
    pub fn rendering(&self, proxy: Option<&Proxy>) -> Rendering {
        let forward = proxy.filter(|proxy| proxy.means == Means::Forward);
        Rendering {
            version: match self.protocol {
                Protocol::Http10 => Version::Http10,
                _ => Version::Http11,
            },
            form: if forward.is_some() { Form::Absolute } else { Form::Origin },
            last: self.keep == Keep::One,
            fields: forward.map(|proxy| proxy.fields.clone()).unwrap_or_default(),
        }
    }
}

impl Protocol {
    /// Whether a connection may come to speak HTTP/2.
    #[must_use]
    pub const fn may_be_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Upgrade | Self::Negotiated)
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http10 => "http/1.0",
            Self::Http11 => "http/1.1",
            Self::Http2 | Self::Http2Upgrade => "h2",
            Self::Negotiated => "negotiated",
        }
    }
}
