//! Where to.

use clap::Args;

/// The target, in either of two spellings.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetArgs {
    /// What to load: host, host:port, host:port/path, or the same after http://,
    /// https://, h2c:// (HTTP/2 in the clear), h2:// (over TLS); or unix:SOCKET:/path
    #[arg(value_name = "URL", verbatim_doc_comment)]
    pub(crate) target: Option<String>,
    /// The same, as a flag
    #[arg(short, long, value_name = "URL", conflicts_with = "target")]
    pub(crate) url: Option<String>,
}

impl TargetArgs {
    /// The target, however it was spelt.
    pub(crate) fn any(&self) -> Option<&str> {
        self.target.as_deref().or(self.url.as_deref())
    }
}
