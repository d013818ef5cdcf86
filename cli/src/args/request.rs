//! What is sent, and which answers are good.

use std::path::PathBuf;

use clap::Args;

use super::whole::whole;

/// The request.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Request")]
#[expect(clippy::struct_excessive_bools, reason = "flags are what may be typed")]
pub(crate) struct RequestArgs {
    /// Method [default: GET, or POST with a body]
    #[arg(short = 'X', long, alias = "verb", value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// A header field, "Name: value"; may be repeated
    #[arg(short = 'H', long, alias = "headers", value_name = "FIELD")]
    pub(crate) header: Vec<String>,
    /// Body
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// Body, from a file
    #[arg(short = 'D', long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) data_file: Option<PathBuf>,
    /// Bodies, one per line of a file, sent in turn
    #[arg(short = 'Z', long, value_name = "FILE", conflicts_with_all = ["data", "data_file"])]
    pub(crate) data_lines: Option<PathBuf>,
    /// Body: a part of a form, NAME=VALUE or NAME=@FILE[;type=T][;filename=N]
    #[arg(short = 'F', long, value_name = "PART", allow_hyphen_values = true,
          conflicts_with_all = ["data", "data_file", "data_lines"])]
    pub(crate) form: Vec<String>,
    /// The field Accept
    #[arg(short = 'A', long, value_name = "TYPE")]
    pub(crate) accept: Option<String>,
    /// The field Content-Type
    #[arg(short = 'T', long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// USER:PASSWORD, in the field Authorization
    #[arg(short = 'a', long, value_name = "PAIR", allow_hyphen_values = true)]
    pub(crate) basic_auth: Option<String>,
    /// Sign for AWS, by --basic-auth ACCESS:SECRET: aws:amz:REGION:SERVICE
    #[arg(long, value_name = "SCOPE", conflicts_with = "form")]
    pub(crate) aws_sigv4: Option<String>,
    /// Token of the session that --aws-sigv4 signs in
    #[arg(long, value_name = "TOKEN")]
    pub(crate) aws_session: Option<String>,
    /// Send no User-Agent of pummel's own; needs --authorized
    #[arg(long, alias = "no-default-ua")]
    pub(crate) no_ua: bool,
    /// Whoever runs the target knows of the load
    #[arg(long)]
    pub(crate) authorized: bool,
    /// Ask for compressed bodies: gzip, br, zstd or deflate
    #[arg(long, conflicts_with = "disable_compression")]
    pub(crate) compression: bool,
    /// Ask for none, which is the default
    #[arg(long)]
    pub(crate) disable_compression: bool,
    /// Most redirects that a request follows, one after the other [default: 0]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true,
          value_parser = whole::<u64>(0))]
    pub(crate) redirect: Option<u64>,
    /// Another host that redirects and URLs of values may lead to, as
    /// http://host:port; may be repeated
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    pub(crate) allow_host: Vec<String>,
    /// Whether users keep cookies: off, on, or iteration, which begins
    /// each scenario without any [default: off]
    #[arg(long, value_name = "WHEN", verbatim_doc_comment)]
    pub(crate) cookies: Option<String>,
    /// A file of cookies, as curl writes them, that each user has at first
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies_load: Option<PathBuf>,
    /// Write the cookies that users have in the end to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) cookies_save: Option<PathBuf>,
    /// Send each request once, one after the other, and print it with its
    /// response; nothing is measured
    #[arg(long, verbatim_doc_comment)]
    pub(crate) dry_run: bool,
    /// Before the run, send each request once (100 at most), in no number of
    /// the run; it begins only if all responses are as expected
    #[arg(long, verbatim_doc_comment, conflicts_with = "dry_run")]
    pub(crate) preflight: bool,
    /// Statuses that count as ok: 200, 200-299 or 2xx,404 [default: 200-399]
    #[arg(short, long, value_name = "STATUS", allow_negative_numbers = true)]
    pub(crate) status: Vec<String>,
}
