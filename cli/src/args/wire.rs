//! What is spoken, and how connections come, last and go.

use std::path::PathBuf;

use clap::Args;

use super::whole::whole;

/// Connections and what is spoken on them.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connections and protocol")]
#[expect(clippy::struct_excessive_bools, reason = "flags are what may be typed")]
pub(crate) struct WireArgs {
    /// Speak HTTP/2; in the clear the server must know it (h2c)
    #[arg(long)]
    pub(crate) http2: bool,
    /// Speak HTTP/2, begun by an uncounted request of HTTP/1.1
    #[arg(long)]
    pub(crate) http2_upgrade: bool,
    /// What to speak: 1.0, 1.1 or 2 [default: 1.1]
    #[arg(long, value_name = "VERSION")]
    pub(crate) http_version: Option<String>,
    /// Most requests outstanding on an HTTP/2 connection
    /// [default: 1]
    #[arg(long, alias = "http2-parallel", value_name = "N", verbatim_doc_comment,
          allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) streams: Option<u32>,
    /// Another host than the URL's in the field Host or :authority
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Connect to another host and port, HOST:PORT:HOST:PORT, as
    /// a:80:b:8080; what is left empty is any, or stays as it is;
    /// may be repeated
    #[arg(long, value_name = "FROM:TO", verbatim_doc_comment)]
    pub(crate) connect_to: Vec<String>,
    /// Connect to this Unix socket, whatever the URL's host
    #[arg(long, value_name = "PATH")]
    pub(crate) unix_socket: Option<PathBuf>,
    /// Use IPv4 addresses of the host only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Use IPv6 addresses of the host only
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// Look the name up every second while the run goes on, not
    /// only before it: new connections go to what it says then
    #[arg(long, verbatim_doc_comment)]
    pub(crate) no_pre_lookup: bool,
    /// Addresses of this machine that connections come from, in
    /// turn; each brings local ports of its own
    #[arg(long, value_name = "LIST", verbatim_doc_comment)]
    pub(crate) source_ip: Vec<String>,
    /// A new connection for each request
    #[arg(long)]
    pub(crate) disable_keepalive: bool,
    /// Replace so many connections per second by new ones
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    pub(crate) connections_per_second: Option<String>,
    /// How to close a connection: fin, or rst, which leaves no
    /// port waiting [default: fin]
    #[arg(long, value_name = "HOW", verbatim_doc_comment)]
    pub(crate) close: Option<String>,
}
