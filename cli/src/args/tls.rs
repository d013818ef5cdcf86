//! How connections are secured.

use std::path::PathBuf;

use clap::Args;

/// TLS, for `https` targets.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// Whom to believe: certificates in PEM [default: the system's roots]
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// What to show a server that asks: the certificate and its issuers, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key to it, in PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Believe anybody: verify neither certificate nor name
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,
    /// Oldest version to offer: 1.2 or 1.3 [default: 1.2]
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_min: Option<String>,
    /// Newest version to offer: 1.2 or 1.3 [default: 1.3]
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_max: Option<String>,
    /// Groups for the key exchange, the preferred one first; X25519MLKEM768
    /// costs more and has to be named [default:
    /// x25519,secp256r1,secp384r1]
    #[arg(long, value_name = "LIST", verbatim_doc_comment)]
    pub(crate) tls_groups: Option<String>,
    /// A protocol to offer: h2, http/1.1 or http/1.0; may be repeated, the
    /// preferred one first [default: the one that is spoken]
    #[arg(long, value_name = "PROTOCOL", verbatim_doc_comment)]
    pub(crate) alpn: Vec<String>,
    /// The name to ask for and to verify [default: the host of the URL]
    #[arg(long, value_name = "NAME")]
    pub(crate) sni: Option<String>,
    /// Whether new connections take up sessions of earlier ones: on or off
    /// [default: off]
    #[arg(long, value_name = "ON|OFF", verbatim_doc_comment)]
    pub(crate) tls_resume: Option<String>,
}
