//! The servers of a run: most runs have one, and each request names its own by number.

use anyhow::{Result, ensure};
use pummel_engine::plan::{Lookup, ORIGINS_MAX, Proxy, Tls};

use super::target::TargetUrl;
use super::way::Way;
use crate::args::Quoted;

/// A server beside the first one, and what of the way to it is its own.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) target: TargetUrl,
    /// Where connections to it go.
    pub(crate) way: Way,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) lookup: Lookup,
}

/// The servers that requests name, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    all: Vec<TargetUrl>,
}

impl Servers {
    /// The number of the server that `url` leads to, a new one if none has so far.
    ///
    /// # Errors
    /// If it is one more than a run can have.
    pub(super) fn number(&mut self, url: &TargetUrl) -> Result<u16> {
        let known = self.all.iter().position(|known| known.is_beside(url));
        let number = known.unwrap_or(self.all.len());
        ensure!(
            number < ORIGINS_MAX,
            "{} is one host more than the {ORIGINS_MAX} that a run has at most; give fewer",
            Quoted(&url.origin())
        );
        if known.is_none() {
            self.all.push(url.clone());
        }
        Ok(u16::try_from(number)?)
    }

    /// Where the requests lead that have been asked about, in the order of their numbers.
    pub(super) fn into_all(self) -> Vec<TargetUrl> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::parse;
    use super::*;

    #[test]
    fn urls_of_one_server_have_one_number_however_they_are_written() {
        let mut servers = Servers::default();
        let mut number = |url: &str| servers.number(&parse(url).unwrap()).unwrap();
        for (url, expected) in [
            ("http://h/a", 0),
            ("h:80/b?c", 0),
            ("HTTP://H", 0),
            ("https://h", 1),
            ("http://h:81", 2),
            ("https://h:443/x", 1),
            ("h2://h", 3),
            ("unix:/h", 4),
            ("unix:/h:/x", 4),
            ("http://[::1]", 5),
        ] {
            assert_eq!(number(url), expected, "{url}");
        }
        assert_eq!(servers.into_all().len(), 6);
    }

    #[test]
    fn there_are_no_more_of_them_than_a_run_can_have() {
        let mut servers = Servers::default();
        for n in 0..ORIGINS_MAX {
            assert_eq!(usize::from(servers.number(&parse(&format!("h{n}")).unwrap()).unwrap()), n);
        }
        let said = servers.number(&parse("one.more/x").unwrap()).unwrap_err().to_string();
        assert_eq!(
            said,
            "\"http://one.more\" is one host more than the 1024 that a run has at most; give fewer"
        );
        assert_eq!(servers.number(&parse("h7").unwrap()).unwrap(), 7);
    }
}
