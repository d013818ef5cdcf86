//! Where to.

use clap::Args;

use super::whole::whole;

/// The target, in either of two spellings.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Target")]
pub(crate) struct TargetArgs {
    /// What to load: host, host:port, host:port/path, or the same after http://,
    /// https://, h2c:// (HTTP/2 in the clear), h2:// (over TLS);
    /// or unix:SOCKET:/path
    #[arg(value_name = "URL", verbatim_doc_comment)]
    pub(crate) target: Option<String>,
    /// The same, as a flag
    #[arg(short, long, value_name = "URL", conflicts_with = "target")]
    pub(crate) url: Option<String>,
    /// The URL is a file of URLs, one per line, which are asked for in turn
    #[arg(long, conflicts_with = "rand_regex_url")]
    pub(crate) urls_from_file: bool,
    /// The URL is a regular expression, which makes up to 65535 URLs
    #[arg(long)]
    pub(crate) rand_regex_url: bool,
    /// Most repetitions that *, + and {n,} of it add [default: 4]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(0))]
    pub(crate) max_repeat: Option<u32>,
    /// Print so many of its URLs, and load nothing
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) dump_urls: Option<u32>,
}

impl TargetArgs {
    /// The target, however it was spelt.
    pub(crate) fn any(&self) -> Option<&str> {
        self.target.as_deref().or(self.url.as_deref())
    }
}
