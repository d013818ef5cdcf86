//! How connections are secured: texts, files and the system's roots to what the engine takes.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use pummel_engine::plan::{Group, Identity, Resumption, Tls, TlsVersion, Trust};
use pummel_engine::tls::{self, ConfigError, Connector};
use pummel_proto_http::Scheme;

use super::pem;
use super::target::{self, TargetUrl};
use crate::args::{Quoted, TlsArgs};

/// What is offered if nothing is said. The group of post-quantum times is left out: its key share
/// is 1.2 kB, and to make and open it costs the client more than the rest of the exchange.
const GROUPS: [Group; 3] = [Group::X25519, Group::Secp256r1, Group::Secp384r1];

/// Names of groups that other programs use.
const ALIASES: [(&str, Group); 4] = [
    ("p-256", Group::Secp256r1),
    ("prime256v1", Group::Secp256r1),
    ("p-384", Group::Secp384r1),
    ("x25519mlkem768", Group::X25519MlKem768),
];

/// Understands what was typed about TLS; `None` for a target in the clear.
///
/// `offers` are the protocols to name to the server.
pub(super) fn understand(
    args: &TlsArgs,
    target: &TargetUrl,
    offers: Vec<String>,
) -> Result<Option<Tls>> {
    if target.scheme == Scheme::Http {
        ensure_none(args, target)?;
        return Ok(None);
    }
    let tls = Tls {
        server_name: server_name(args, target)?,
        trust: trust(args)?,
        identity: identity(args)?,
        versions: versions(args)?,
        groups: args.tls_groups.as_deref().map_or(Ok(GROUPS.to_vec()), groups)?,
        alpn: offers,
        resumption: resumption(args.tls_resume.as_deref())?,
    };
    // The engine knows whether it can be done.
    match Connector::new(&tls) {
        Ok(_) => Ok(Some(tls)),
        Err(error) => Err(named(&error, args)),
    }
}

/// The same as is `known` for another server, for `target`, which is secured, too.
pub(super) fn also(args: &TlsArgs, target: &TargetUrl, known: &Tls) -> Result<Tls> {
    let server_name = server_name(args, target)?;
    let tls = Tls { server_name, ..known.clone() };
    match Connector::new(&tls) {
        Ok(_) => Ok(tls),
        Err(error) => Err(named(&error, args)),
    }
}

/// What the server is called in its certificate.
fn server_name(args: &TlsArgs, target: &TargetUrl) -> Result<String> {
    // The certificate of `host.` is for `host` (RFC 6066 section 3).
    let host = target.host.trim_end_matches('.').to_owned();
    Ok(args.sni.as_deref().map(name).transpose()?.unwrap_or(host))
}

/// What is wrong, with the name of the file or the flag that it came from.
fn named(error: &ConfigError, args: &TlsArgs) -> anyhow::Error {
    let file = |flag: &str, path: &Option<PathBuf>| {
        let path = path.as_deref().unwrap_or(Path::new("")).display().to_string();
        format!("{flag} {}", Quoted(&path))
    };
    match error {
        ConfigError::BadRoot { .. } => {
            anyhow!("{}: {error}; export it again", file("--cacert", &args.cacert))
        }
        ConfigError::BadChain { .. } => {
            anyhow!("{}: {error}; export it again", file("--cert", &args.cert))
        }
        ConfigError::BadKey => anyhow!("{}: {error}; export it again", file("--key", &args.key)),
        ConfigError::KeyMismatch => anyhow!(
            "{}: {error} of {}; give the files that belong together",
            file("--key", &args.key),
            file("--cert", &args.cert)
        ),
        ConfigError::BadName(_) => anyhow!("{error}; give another one as --sni NAME"),
        ConfigError::GroupUnavailable(_) | ConfigError::NoGroup(_) => {
            anyhow!("--tls-groups: {error}")
        }
        other => anyhow!("{other}"),
    }
}

/// Refuses what has no meaning in the clear.
fn ensure_none(args: &TlsArgs, target: &TargetUrl) -> Result<()> {
    for (flag, given) in [
        ("--cacert", args.cacert.is_some()),
        ("--cert", args.cert.is_some()),
        ("--key", args.key.is_some()),
        ("--insecure", args.insecure),
        ("--tls-min", args.tls_min.is_some()),
        ("--tls-max", args.tls_max.is_some()),
        ("--tls-groups", args.tls_groups.is_some()),
        ("--alpn", !args.alpn.is_empty()),
        ("--sni", args.sni.is_some()),
        ("--tls-resume", args.tls_resume.is_some()),
    ] {
        ensure!(
            !given,
            "{flag} is for https, and {} is in the clear; write https://…, or leave {flag} out",
            Quoted(&target.url)
        );
    }
    Ok(())
}

/// A host name, or an address with or without brackets.
fn name(typed: &str) -> Result<String> {
    let bare = typed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(typed);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    let is_name = !typed.is_empty() && target::ensure_host_name(typed).is_ok();
    ensure!(is_name, "--sni {} is no host name; give a name without port", Quoted(typed));
    Ok(typed.trim_end_matches('.').to_owned())
}

fn trust(args: &TlsArgs) -> Result<Trust> {
    match (&args.cacert, args.insecure) {
        (Some(_), true) => {
            bail!("--insecure verifies nothing, so --cacert has no use; give one of them")
        }
        (None, true) => Ok(Trust::Anybody),
        (Some(path), false) => Ok(Trust::Roots(pem::certificates("--cacert", path)?.into())),
        (None, false) => Ok(Trust::Roots(system_roots()?)),
    }
}

/// The certificates that this system trusts; some may be of no use, but not all.
fn system_roots() -> Result<Arc<[Vec<u8>]>> {
    let found = rustls_native_certs::load_native_certs();
    let usable = found.certs.iter().filter(|root| tls::is_root(root));
    let roots: Vec<Vec<u8>> = usable.map(|root| root.to_vec()).collect();
    if roots.is_empty() {
        let reason = found.errors.first().map_or(String::new(), |error| format!(" ({error})"));
        bail!(
            "this system has no root certificates{reason}; install them (ca-certificates), give \
             --cacert FILE, or --insecure to verify nothing"
        );
    }
    Ok(roots.into())
}

fn identity(args: &TlsArgs) -> Result<Option<Identity>> {
    match (&args.cert, &args.key) {
        (None, None) => Ok(None),
        (Some(_), None) => bail!("--cert needs the private key to it; give --key FILE, too"),
        (None, Some(_)) => bail!("--key needs the certificate to it; give --cert FILE, too"),
        (Some(cert), Some(key)) => {
            let chain = pem::certificates("--cert", cert)?;
            Ok(Some(Identity { chain, key: pem::key("--key", key)? }))
        }
    }
}

fn versions(args: &TlsArgs) -> Result<(TlsVersion, TlsVersion)> {
    let of = |flag: &str, text: &Option<String>| {
        text.as_deref().map(|text| version(flag, text)).transpose()
    };
    let (min, max) = (of("--tls-min", &args.tls_min)?, of("--tls-max", &args.tls_max)?);
    let (min, max) = (min.unwrap_or(TlsVersion::Tls12), max.unwrap_or(TlsVersion::Tls13));
    ensure!(
        min <= max,
        "--tls-min {} is newer than --tls-max {}; give them the other way round",
        min.name(),
        max.name()
    );
    Ok((min, max))
}

fn version(flag: &str, text: &str) -> Result<TlsVersion> {
    match text {
        "1.2" => Ok(TlsVersion::Tls12),
        "1.3" => Ok(TlsVersion::Tls13),
        "1.0" | "1.1" => {
            bail!(
                "{flag} {text}: there is no TLS {text} here, it was given up by RFC 8996; \
                 give 1.2 or 1.3"
            )
        }
        other => bail!("{flag} {} is no version of TLS; give 1.2 or 1.3", Quoted(other)),
    }
}

fn groups(list: &str) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for word in list.split(',') {
        let known = Group::ALL.iter().map(|&group| (group.name(), group));
        let found = known.chain(ALIASES).find(|(name, _)| name.eq_ignore_ascii_case(word));
        let (_, group) = found.with_context(|| {
            let names = Group::ALL.map(Group::name).join(", ");
            format!("--tls-groups: {} is no group that is known; give {names}", Quoted(word))
        })?;
        ensure!(!groups.contains(&group), "--tls-groups: {} is named twice", group.name());
        groups.push(group);
    }
    Ok(groups)
}

fn resumption(text: Option<&str>) -> Result<Resumption> {
    match text {
        None | Some("off") => Ok(Resumption::Off),
        Some("on") => Ok(Resumption::On),
        Some(other) => bail!("--tls-resume {} is unknown; give on or off", Quoted(other)),
    }
}

/// The protocols that were typed after `--alpn`.
pub(super) fn offers(typed: &[String]) -> Result<Vec<String>> {
    let mut offers: Vec<String> = Vec::new();
    for word in typed {
        match word.as_str() {
            "h2" | "http/1.1" | "http/1.0" => {}
            "h3" => bail!("--alpn h3: pummel has no HTTP/3; give h2, http/1.1 or http/1.0"),
            other => bail!(
                "--alpn {} is no protocol that pummel speaks; give h2, http/1.1 or http/1.0",
                Quoted(other)
            ),
        }
        ensure!(!offers.contains(word), "--alpn {word} is given twice; give it once");
        offers.push(word.clone());
    }
    Ok(offers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    /// What is understood of flags beside `https://[::1]`, which knows nobody's roots.
    fn read(flags: &str) -> Result<Tls> {
        let words = format!("p https://[::1] --insecure{flags}");
        let args = args::words(words.trim()).run.tls;
        let target = target::parse("https://[::1]")?;
        Ok(understand(&args, &target, offers(&args.alpn)?)?.unwrap())
    }

    #[track_caller]
    fn check_refused(flags: &str, words: &str) {
        let said = format!("{:#}", read(flags).unwrap_err());
        assert!(said.contains(words), "{flags}: {said}");
    }

    #[test]
    fn nothing_said_means_both_versions_and_the_cheap_groups() {
        let tls = read("").unwrap();
        assert_eq!(tls.server_name, "::1");
        assert_eq!(tls.trust, Trust::Anybody);
        assert_eq!(tls.versions, (TlsVersion::Tls12, TlsVersion::Tls13));
        assert_eq!(tls.groups, GROUPS);
        assert_eq!((tls.identity, tls.resumption), (None, Resumption::Off));
    }

    #[test]
    fn the_name_is_the_hosts_or_the_one_that_was_given() {
        let of = |url: &str| {
            let target = target::parse(url).unwrap();
            let args = TlsArgs { insecure: true, ..TlsArgs::default() };
            understand(&args, &target, Vec::new()).unwrap().unwrap().server_name
        };
        assert_eq!(of("https://example.org.:444/x"), "example.org");
        assert_eq!(of("https://127.0.0.1"), "127.0.0.1");
        assert_eq!(read(" --sni a.example").unwrap().server_name, "a.example");
        assert_eq!(read(" --sni [::2]").unwrap().server_name, "::2");
        for bad in ["a:80", "a/b", "ä", "[a]"] {
            check_refused(&format!(" --sni {bad}"), "is no host name");
        }
    }

    #[test]
    fn versions_are_a_range_of_those_that_there_are() {
        use TlsVersion::{Tls12, Tls13};
        assert_eq!(read(" --tls-min 1.3").unwrap().versions, (Tls13, Tls13));
        assert_eq!(read(" --tls-max 1.2").unwrap().versions, (Tls12, Tls12));
        check_refused(" --tls-min 1.3 --tls-max 1.2", "--tls-min 1.3 is newer than --tls-max 1.2");
        for old in ["1.0", "1.1"] {
            check_refused(&format!(" --tls-max {old}"), &format!("there is no TLS {old} here"));
        }
        check_refused(" --tls-min 2", "--tls-min \"2\" is no version of TLS");
    }

    #[test]
    fn groups_are_taken_in_their_order_by_any_of_their_names() {
        let groups = |list: &str| read(&format!(" --tls-groups {list}")).map(|tls| tls.groups);
        let expected = [Group::Secp384r1, Group::X25519MlKem768, Group::Secp256r1];
        assert_eq!(groups("P-384,x25519mlkem768,prime256v1").unwrap(), expected);
        check_refused(" --tls-groups x25519,X25519", "x25519 is named twice");
        check_refused(" --tls-groups x25519,", "\"\" is no group that is known");
        check_refused(" --tls-groups x448", "give x25519, secp256r1, secp384r1, X25519MLKEM768");
    }

    #[test]
    fn sessions_are_resumed_if_asked_for() {
        assert_eq!(read(" --tls-resume on").unwrap().resumption, Resumption::On);
        assert_eq!(read(" --tls-resume off").unwrap().resumption, Resumption::Off);
        check_refused(" --tls-resume yes", "give on or off");
    }

    #[test]
    fn offers_are_protocols_that_there_are() {
        let alpn = read(" --alpn http/1.1 --alpn h2").unwrap().alpn;
        assert_eq!(alpn, ["http/1.1", "h2"]);
        check_refused(" --alpn h3", "pummel has no HTTP/3");
        check_refused(" --alpn spdy/3", "no protocol that pummel speaks");
        check_refused(" --alpn h2 --alpn h2", "given twice");
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        check_refused(" --cert x", "--cert needs the private key to it; give --key");
        check_refused(" --key x", "--key needs the certificate to it; give --cert");
        check_refused(" --cert /no/such --key x", "cannot read --cert \"/no/such\"");
        check_refused(" --cacert /x", "--insecure verifies nothing");
    }

    #[test]
    fn in_the_clear_each_flag_of_tls_is_refused() {
        let target = target::parse("http://h/").unwrap();
        for flag in [
            "--cacert x",
            "--cert x",
            "--key x",
            "--insecure",
            "--tls-min 1.2",
            "--tls-max 1.2",
            "--tls-groups x25519",
            "--alpn h2",
            "--sni h",
            "--tls-resume off",
        ] {
            let args = args::words(&format!("p http://h/ {flag}")).run.tls;
            let said = understand(&args, &target, Vec::new()).unwrap_err().to_string();
            let name = flag.split(' ').next().unwrap();
            assert!(said.starts_with(&format!("{name} is for https")), "{said}");
        }
        assert_eq!(understand(&TlsArgs::default(), &target, Vec::new()).unwrap(), None);
    }

    /// A PEM file with one part.
    fn file(name: &str, der: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let body = super::super::proxy::base64(der);
        let text = format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n");
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// What is understood of files, for a host.
    fn with_files(cacert: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Tls> {
        let args = TlsArgs {
            insecure: cacert.is_none(),
            cacert: cacert.map(Path::to_owned),
            cert: identity.map(|(cert, _)| cert.to_owned()),
            key: identity.map(|(_, key)| key.to_owned()),
            ..TlsArgs::default()
        };
        Ok(understand(&args, &target::parse("https://h")?, Vec::new())?.unwrap())
    }

    #[track_caller]
    fn check_said<T: core::fmt::Debug>(result: Result<T>, words: &[&str]) {
        let said = format!("{:#}", result.unwrap_err());
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in {said:?}");
        }
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn files_become_roots_and_an_identity_or_are_refused_by_their_names() {
        let own = || rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        let (one, other) = (own(), own());
        let cert = file("CERTIFICATE", one.cert.der());
        let key = file("PRIVATE KEY", &one.signing_key.serialize_der());
        let strange = file("PRIVATE KEY", &other.signing_key.serialize_der());
        let tls = with_files(Some(cert.path()), Some((cert.path(), key.path()))).unwrap();
        assert_eq!(tls.trust, Trust::Roots(Arc::new([one.cert.der().to_vec()])));
        let identity = tls.identity.unwrap();
        assert_eq!(identity.chain, [one.cert.der().to_vec()]);
        assert_eq!(identity.key, one.signing_key.serialize_der());

        let mismatch = with_files(None, Some((cert.path(), strange.path())));
        let name = strange.path().display().to_string();
        check_said(mismatch, &["--key \"", &name, "does not belong to the certificate of --cert"]);
        let empty = file("CERTIFICATE", &[0, 1, 2]);
        check_said(with_files(Some(empty.path()), None), &["--cacert \"", "cannot be read"]);
        let chain = with_files(None, Some((empty.path(), key.path())));
        check_said(chain, &["--cert \"", "cannot be read"]);
        let empty = file("PRIVATE KEY", &[0, 1, 2]);
        let none = with_files(None, Some((cert.path(), empty.path())));
        check_said(none, &["--key \"", "PKCS#8"]);
    }
}
