//! The files of the workspace, and what of a Rust file is code.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the workspace.
pub(crate) struct Source {
    /// Path from the root of the workspace.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below `folder` with this extension, but for build products.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<Source> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// All Rust files of the workspace.
pub(crate) fn rust() -> Vec<Source> {
    files("", "rs")
}

impl Source {
    /// Whether the file lies in one of `folders`, or is one of them.
    pub(crate) fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| {
            let rest = self.path.strip_prefix(folder);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The lines with their numbers, without comments and without what quotes hold.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        (1..).zip(self.text.lines().map(bare))
    }

    /// The same without tests, be they at the file's foot or in a folder of their own.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, String)> + '_ {
        let mut tests = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        let mut foot = false;
        self.lines().take_while(move |(_, line)| {
            tests |= foot && line.starts_with("mod tests {");
            foot = line == "#[cfg(test)]";
            !tests
        })
    }
}

/// `line` without its comment, and with its string literals emptied.
fn bare(line: &str) -> String {
    let mut code = String::new();
    let mut letters = line.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => drop(letters.next()),
            // A quote as a character, `'"'`, opens nothing.
            '"' if quoted || !code.ends_with('\'') => {
                quoted = !quoted;
                code.push('"');
            }
            '/' if !quoted && letters.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => code.push(letter),
        }
    }
    code
}

/// Whether `code` holds `word` as a word of its own; a word may end with `!` or `::`.
pub(crate) fn names(code: &str, word: &str) -> bool {
    let part_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|before| before.chars().next_back());
        let after = code.get(at + word.len()..).and_then(|after| after.chars().next());
        let open_end = !word.ends_with(part_of_a_word);
        !before.is_some_and(part_of_a_word) && (open_end || !after.is_some_and(part_of_a_word))
    })
}

#[test]
fn comments_and_quotes_are_not_code() {
    assert_eq!(bare("let x = \"a // b\"; // c"), "let x = \"\"; ");
    assert_eq!(bare(r#"say("\"unsafe\"") + '"'"#), r#"say("") + '"'"#);
    assert!(names("let x: Mutex<u8>", "Mutex"));
    assert!(!names("let x: FairMutex<u8>", "Mutex"));
    assert!(names("use io_uring::opcode", "io_uring::"));
    assert!(!names("my_io_uring::x", "io_uring::"));
    assert!(!names("deny(unsafe_code)", "unsafe"));
}

#[test]
fn tests_are_not_code() {
    let text = "one\n#[cfg(test)]\nextern crate std;\n#[cfg(test)]\nmod tests {\ntwo".to_owned();
    let mut source = Source { path: "engine/src/a.rs".to_owned(), text };
    let lines: Vec<String> = source.code().map(|(_, line)| line).collect();
    assert_eq!(lines, ["one", "#[cfg(test)]", "extern crate std;", "#[cfg(test)]"]);
    source.path = "engine/src/a/tests/b.rs".to_owned();
    assert_eq!(source.code().count(), 0);
}
