//! Who stands in between.

use clap::Args;

/// The proxy.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Proxy")]
pub(crate) struct ProxyArgs {
    /// A proxy, http://user:password@host:port; https and HTTP/2
    /// go through a tunnel, anything else as whole URLs
    #[arg(short, long, alias = "proxy-url", value_name = "URL", verbatim_doc_comment)]
    pub(crate) proxy: Option<String>,
    /// A header field for the proxy alone, "Name: value"; may be
    /// repeated
    #[arg(long, value_name = "FIELD", verbatim_doc_comment)]
    pub(crate) proxy_header: Vec<String>,
    /// What to speak to the proxy: 1.1 or 2 [default: 1.1]
    #[arg(long, value_name = "VERSION")]
    pub(crate) proxy_http_version: Option<String>,
    /// Speak HTTP/2 to the proxy
    #[arg(long)]
    pub(crate) proxy_http2: bool,
}
