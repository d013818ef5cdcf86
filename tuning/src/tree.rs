//! `/proc` and `/sys` below a root of our choosing, so that tests can show a machine that is not at
//! hand.
//!
//! Whatever cannot be read is `None`. Everything that is read has a bound: a machine may have a
//! hundred thousand processes, interfaces or routes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::setting::Reading;

/// Longest text that is taken for one of the kernel's. `/proc/stat` of 8,192 CPUs is shorter.
const TEXT_MAX: usize = 4 << 20;

/// Most texts are shorter than a page: one call reads them, and a second one finds the end.
const PAGE: usize = 4_096;

/// A file system as the kernel shows it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

/// The first entries of something, and whether they are all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head<T> {
    pub(crate) of: T,
    pub(crate) whole: bool,
}

impl Tree {
    /// What lies below `root`; `/` is this machine.
    pub(crate) fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The text of a file, whole; `None` if it is not there, not for us, or absurdly long. What is
    /// no UTF-8 is replaced: threads may bear any name.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let head = self.head(path)?;
        head.whole.then_some(head.of)
    }

    /// As much of a file's text as may be read.
    pub(crate) fn head(&self, path: impl AsRef<Path>) -> Option<Head<String>> {
        let file = File::open(self.at(path.as_ref())).ok()?;
        let mut bytes = Vec::with_capacity(PAGE);
        let most = u64::try_from(TEXT_MAX).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut bytes).ok()?;
        let whole = bytes.len() < TEXT_MAX;
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Some(Head { of: text, whole })
    }

    /// The first `most` entries of a folder whose names are numbers: processes, threads, open
    /// files.
    pub(crate) fn numbers(&self, path: impl AsRef<Path>, most: usize) -> Option<Head<Vec<u32>>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(self.at(path.as_ref())).ok()? {
            let name = entry.ok()?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if numbers.len() == most {
                return Some(Head { of: numbers, whole: false });
            }
            numbers.push(number);
        }
        Some(Head { of: numbers, whole: true })
    }

    /// The first `most` names in a folder, in alphabetical order; none if there is no such folder.
    pub(crate) fn names(&self, path: impl AsRef<Path>, most: usize) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at(path.as_ref())) else { return Vec::new() };
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        let mut names: Vec<String> =
            entries.map_while(Result::ok).filter_map(name).take(most).collect();
        names.sort_unstable();
        names
    }

    /// The text of a file without the white space around it, or why there is none.
    pub(crate) fn reading(&self, path: impl AsRef<Path>) -> Reading {
        match fs::metadata(self.at(path.as_ref())) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Reading::Denied;
            }
            Err(_) => return Reading::Missing,
        }
        match self.text(path) {
            Some(text) => Reading::Known(text.trim().to_owned()),
            None => Reading::Denied,
        }
    }

    /// Whether this is the machine that the program runs on, so that system calls tell of it too.
    pub(crate) fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    /// What a symbolic link says.
    pub(crate) fn link(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_link(self.at(path.as_ref())).ok()?.into_os_string().into_string().ok()
    }

    /// Whether there is anything. Takes no open file.
    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path.as_ref()).exists()
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Longest text that is taken for a name.
const NAME_MAX: usize = 128;

/// A name in a text of the kernel's, without the white space around it; `None` for what is no name:
/// nothing, much, several lines, or what a terminal would obey.
pub(crate) fn named(text: &str) -> Option<&str> {
    let name = text.trim();
    let odd = |letter: char| letter.is_control() || letter == char::REPLACEMENT_CHARACTER;
    (!name.is_empty() && name.len() <= NAME_MAX && !name.contains(odd)).then_some(name)
}

/// The number beside `key` in a text of lines that begin with keys: `key 1`, `key:  1`, `key : 1`.
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    let of_line = |line: &str| {
        let rest = line.strip_prefix(key)?;
        let value = rest.trim_start_matches([' ', '\t', ':']);
        // Without a separator the line is about a longer key.
        (value.len() < rest.len()).then(|| value.split_whitespace().next()?.parse().ok())
    };
    text.lines().find_map(of_line).flatten()
}

/// Trees of a test's own making.
#[cfg(test)]
pub(crate) mod fake {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use tempfile::TempDir;

    use super::Tree;

    /// A folder that is shown as a machine, and gone at the end.
    pub(crate) struct Machine(TempDir);

    impl Machine {
        /// A machine of these files.
        pub(crate) fn of(files: &[(&str, &str)]) -> Self {
            let machine = Self(TempDir::new().unwrap());
            for (path, text) in files {
                machine.set(path, text);
            }
            machine
        }

        /// A machine as it was recorded: lines `== PATH` stand above the text of a file, lines
        /// `== PATH -> TARGET` are symbolic links, and what stands above the first is a remark.
        pub(crate) fn recorded(recording: &str) -> Self {
            let machine = Self::of(&[]);
            for part in recording.split("\n== ").skip(1) {
                let (head, text) = part.split_once('\n').unwrap_or((part, ""));
                match head.split_once(" -> ") {
                    Some((path, target)) => machine.link(path, target),
                    None => machine.set(head, format!("{text}\n")),
                }
            }
            machine
        }

        /// Writes a file, in place of what was there.
        pub(crate) fn set(&self, path: &str, text: impl AsRef<[u8]>) {
            let path = self.tree().at(Path::new(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// Makes a symbolic link, which need not lead anywhere.
        pub(crate) fn link(&self, path: &str, to: &str) {
            let path = self.tree().at(Path::new(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(to, path).unwrap();
        }

        /// Removes a file, or a folder with all below it.
        pub(crate) fn remove(&self, path: &str) {
            let path = self.tree().at(Path::new(path));
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }

        pub(crate) fn root(&self) -> &Path {
            self.0.path()
        }

        pub(crate) fn tree(&self) -> Tree {
            Tree::below(self.root())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Machine;
    use super::*;

    #[test]
    fn a_name_is_short_and_of_one_line() {
        assert_eq!(named(" cubic\n"), Some("cubic"));
        assert_eq!(named("Some CPU @ 2.0 GHz"), Some("Some CPU @ 2.0 GHz"));
        for odd in ["", " \n", "a\nb", "\u{1b}[2J", "a\u{fffd}", &"x".repeat(129)] {
            assert_eq!(named(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_number_stands_beside_its_key() {
        let text = "nr_throttled_not 7\nnr_throttled 3\nVm:\t  9 kB\nse.nr_migrations   :  12\n";
        assert_eq!(keyed(text, "nr_throttled"), Some(3));
        assert_eq!(keyed(text, "Vm"), Some(9));
        assert_eq!(keyed(text, "se.nr_migrations"), Some(12));
        for (text, key) in [("", "a"), ("a", "a"), ("a ", "a"), ("a x", "a"), ("a -1", "a")] {
            assert_eq!(keyed(text, key), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_has_a_head_and_no_text() {
        let machine = Machine::of(&[]);
        machine.set("/long", vec![b'x'; TEXT_MAX + 1]);
        assert_eq!(machine.tree().text("/long"), None);
        let head = machine.tree().head("/long").unwrap();
        assert_eq!((head.of.len(), head.whole), (TEXT_MAX, false));
    }

    #[test]
    fn a_text_may_hold_any_bytes() {
        let machine = Machine::of(&[]);
        machine.set("/odd", b"a\xffb");
        assert_eq!(machine.tree().text("/odd").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(machine.tree().text("/gone"), None);
        assert_eq!(machine.tree().text("/"), None, "a folder has no text");
    }

    #[test]
    fn of_many_numbers_only_the_first_are_taken() {
        let machine = Machine::of(&[("/f/1", ""), ("/f/22", ""), ("/f/self", ""), ("/f/-3", "")]);
        let all = machine.tree().numbers("/f", 2).unwrap();
        assert_eq!((all.of.len(), all.whole), (2, true));
        let some = machine.tree().numbers("/f", 1).unwrap();
        assert_eq!((some.of.len(), some.whole), (1, false));
        assert_eq!(machine.tree().numbers("/gone", 1), None);
    }
}
