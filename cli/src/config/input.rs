//! Files that are read before the run: those that are read whole, among them pipes and standard
//! input, and those that must be there to be read again.
//!
//! A pipe gives what it has once, and whoever opens it waits for whoever writes to it. So it is
//! told beforehand that one is read, and refused where a file is read again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::args::{Quoted, RunArgs};

/// Most bytes that are read into memory.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What stands for standard input, in the place of a file.
const STDIN: &str = "-";

/// All that is at `path`: a file, a pipe until whoever writes closes it, or standard input.
///
/// # Errors
/// If it cannot be read, or is more than anybody should hold in memory.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if is_stdin(path) { within(io::stdin().lock()) } else { within(File::open(path)?) }
}

/// The same of what has been opened.
pub(super) fn within(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::other("it has more than 256 MiB, or never ends; give less"));
    }
    Ok(bytes)
}

/// Opens what is read again, or not at once.
///
/// # Errors
/// If it cannot be opened, or is a pipe.
pub(super) fn lasting(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for whoever writes to it.
    if is_pipe(path) {
        let said = "it is a pipe, which can be read only once, and this may be read again; give \
                    a file";
        return Err(io::Error::other(said));
    }
    File::open(path)
}

/// Whether what is at `path` is gone once it was read.
pub(super) fn is_read_once(path: &Path) -> bool {
    is_stdin(path) || is_pipe(path)
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo())
}

/// What the user should know of pipes and of standard input that are read before the run.
///
/// # Errors
/// If one would be read twice.
pub(super) fn announce(args: &RunArgs) -> Result<Vec<String>> {
    let request = &args.request;
    let urls = args.target.any().filter(|_| args.target.urls_from_file).map(Path::new);
    let given = [
        ("--data-file", request.data_file.as_deref()),
        ("--data-lines", request.data_lines.as_deref()),
        ("--cookies-load", request.cookies_load.as_deref()),
        ("--urls-from-file", urls),
    ];
    let given = given.into_iter().filter_map(|(flag, path)| Some((flag, path?)));
    let (mut said, mut first) = (Vec::new(), None);
    for (flag, path) in given.filter(|(_, path)| is_read_once(path)) {
        ensure!(
            !args.load.watch,
            "--watch reads everything again with each edit, and what {flag} names can be read \
             once; give a file"
        );
        if !is_stdin(path) {
            let path = path.display().to_string();
            said.push(format!("{flag}: reading the pipe {} until it is closed", Quoted(&path)));
            continue;
        }
        if let Some(first) = first.replace(flag) {
            anyhow::bail!("{first} and {flag} both read standard input; give one of them a file");
        }
        said.push(format!("{flag}: reading standard input until it ends"));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::words;

    fn announced(line: &str) -> Result<Vec<String>, String> {
        announce(&words(line).run).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_read_once_is_told_and_not_read_twice() {
        assert_eq!(announced("p h -D /dev/null --cookies-load /no/such"), Ok(Vec::new()));
        let told = "--data-file: reading standard input until it ends".to_owned();
        assert_eq!(announced("p h -D -"), Ok(vec![told]));
        let said = announced("p - --urls-from-file -Z -").unwrap_err();
        let both = "--data-lines and --urls-from-file both read standard input; give one of them";
        assert!(said.starts_with(both), "{said}");
        let said = announced("p h -D - --watch").unwrap_err();
        assert!(said.starts_with("--watch reads everything again with each edit"), "{said}");
    }

    #[test]
    fn what_never_ends_is_no_file() {
        let said = within(io::repeat(b'x')).unwrap_err().to_string();
        assert_eq!(said, "it has more than 256 MiB, or never ends; give less");
        assert!(lasting(Path::new("/dev/null")).is_ok());
    }
}
