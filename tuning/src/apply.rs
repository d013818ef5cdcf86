//! Changes settings of the kernel, and sets them back: the only writer to `/proc/sys` and `/sys`.
//!
//! Before anything is changed, everything is looked at, and what was there is written into an undo
//! file, whole or not at all. So whatever happens afterwards, [`revert`] knows the way back. A
//! change that fails takes back those before it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::advice::Change;
use crate::setting::SETTINGS;

/// Longest undo file that is read. A line per CPU and per setting is far below.
const UNDO_MAX: u64 = 4 << 20;

const TITLE: &str = "# What was there before; pummel doctor --revert sets it back.\n";

/// A setting that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its file.
    pub path: String,
    /// What was there.
    pub before: String,
    /// What is there now, as the kernel tells it.
    pub after: String,
}

/// Why nothing was changed, or not everything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// There is an undo file already: what was there before its changes would be lost.
    #[error("{} has changes that were not taken back yet; revert them first", .0.display())]
    Pending(PathBuf),
    /// The undo file cannot be read or written.
    #[error("the undo file {}: {source}", path.display())]
    Undo {
        /// That file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of the undo file is none that this program wrote.
    #[error("{} line {line}: no setting and its value", path.display())]
    Odd {
        /// That file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A file that is not for this program to change.
    #[error("{0} is no setting that this program changes")]
    Foreign(String),
    /// A setting cannot be read or written; nothing is different from before.
    #[error("cannot change {path}: {source}; it takes root, and not in a container")]
    Refused {
        /// Its file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Something could not be set back.
    #[error("{path} is {is:?} and should be {should:?} again: {why}; the undo file still has it")]
    Stuck {
        /// Its file.
        path: String,
        /// What is there.
        is: String,
        /// What was there before.
        should: String,
        /// Why it is so.
        why: String,
    },
}

/// Makes `changes` below `root`, of each file the first, and leaves in `undo` how to take them
/// back. What is so already is left alone; if that is all, there is no undo file. Returns what was
/// changed.
///
/// # Errors
/// If a file is no setting of ours or may not be written, or if there is an undo file already:
/// nothing was changed then. If the kernel refuses a value, what was changed before it is set back.
pub fn apply(root: &Path, changes: &[Change], undo: &Path) -> Result<Vec<Changed>, ApplyError> {
    let (mut wanted, mut seen) = (Vec::new(), BTreeSet::new());
    for change in changes.iter().filter(|change| seen.insert(change.path.as_str())) {
        let before = look(root, &change.path)?;
        if !is_same(&before, &change.value) {
            let (path, after) = (change.path.clone(), change.value.clone());
            wanted.push(Changed { path, before, after });
        }
    }
    if undo.exists() {
        return Err(ApplyError::Pending(undo.to_owned()));
    }
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let failed = |source| ApplyError::Undo { path: undo.to_owned(), source };
    keep(&wanted, undo).map_err(failed)?;
    for at in 0..wanted.len() {
        let (done, rest) = wanted.split_at_mut(at);
        let Some(next) = rest.first_mut() else { break };
        if let Err(source) = write(root, &next.path, &next.after) {
            done.iter().rev().try_for_each(|changed| restore(root, changed))?;
            fs::remove_file(undo).map_err(failed)?;
            return Err(ApplyError::Refused { path: next.path.clone(), source });
        }
        next.after = read(root, &next.path).unwrap_or_default();
    }
    Ok(wanted)
}

/// Sets back what [`apply`] changed below `root`, last first, and removes `undo`. Returns what was
/// set back.
///
/// # Errors
/// If `undo` cannot be read or is none of ours: nothing was changed then. If something cannot be
/// set back, the others are, and `undo` stays.
pub fn revert(root: &Path, undo: &Path) -> Result<Vec<Changed>, ApplyError> {
    let failed = |source| ApplyError::Undo { path: undo.to_owned(), source };
    let mut text = String::new();
    File::open(undo)
        .and_then(|file| file.take(UNDO_MAX).read_to_string(&mut text))
        .map_err(failed)?;
    let mut wanted = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.starts_with('#')) {
        let odd = || ApplyError::Odd { path: undo.to_owned(), line };
        let (path, before) = text.split_once(" = ").ok_or_else(odd)?;
        let after = look(root, path)?;
        wanted.push(Changed { path: path.to_owned(), before: before.to_owned(), after });
    }
    let outcomes: Vec<_> = wanted.iter().rev().map(|changed| restore(root, changed)).collect();
    outcomes.into_iter().collect::<Result<(), _>>()?;
    fs::remove_file(undo).map_err(failed)?;
    for changed in &mut wanted {
        std::mem::swap(&mut changed.before, &mut changed.after);
    }
    Ok(wanted)
}

/// What stands in a setting of ours that may be written.
fn look(root: &Path, path: &str) -> Result<String, ApplyError> {
    if !is_ours(path) {
        return Err(ApplyError::Foreign(path.to_owned()));
    }
    let refused = |source| ApplyError::Refused { path: path.to_owned(), source };
    let text = read(root, path).map_err(refused)?;
    if text.contains('\n') {
        return Err(refused(io::Error::other("it has several lines")));
    }
    OpenOptions::new().write(true).open(at(root, path)).map_err(refused)?;
    Ok(text)
}

/// Whether this program ever changes the file: a setting of the table, or one that a rule names.
fn is_ours(path: &str) -> bool {
    let in_table = SETTINGS.iter().any(|setting| setting.path().as_deref() == Some(path));
    in_table || is_of_cpu(path) == Some(true) || is_of_queue(path) == Some(true)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether it is a CPU's governor, or says whether it may go into an idle state.
fn is_of_cpu(path: &str) -> Option<bool> {
    let (cpu, file) = path.strip_prefix("/sys/devices/system/cpu/cpu")?.split_once('/')?;
    let state = file.strip_prefix("cpuidle/state").and_then(|it| it.strip_suffix("/disable"));
    Some(is_number(cpu) && (file == "cpufreq/scaling_governor" || state.is_some_and(is_number)))
}

/// Whether it says which CPUs a queue's packets go to or come from.
fn is_of_queue(path: &str) -> Option<bool> {
    let (card, rest) = path.strip_prefix("/sys/class/net/")?.split_once("/queues/")?;
    let (queue, file) = rest.split_once('/')?;
    let of = |kind: &str, files: &[&str]| {
        Some(is_number(queue.strip_prefix(kind)?) && files.contains(&file))
    };
    let is_plain = !card.is_empty() && !card.starts_with('.') && !card.contains('/');
    let known = of("rx-", &["rps_cpus", "rps_flow_cnt"]).or_else(|| of("tx-", &["xps_cpus"]));
    Some(is_plain && known == Some(true))
}

fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// What stands in a file, as it would be written: of several words, that in brackets.
fn read(root: &Path, path: &str) -> io::Result<String> {
    let text = fs::read_to_string(at(root, path))?;
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let text = chosen.map_or(text.as_str(), |(chosen, _)| chosen);
    Ok(text.strip_suffix('\n').unwrap_or(text).to_owned())
}

fn write(root: &Path, path: &str, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(at(root, path))?;
    // In one piece: the kernel takes each write for a value of its own.
    file.write_all(format!("{value}\n").as_bytes())
}

/// Whether two texts are the same value: the kernel has tabs where people have blanks.
fn is_same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

fn restore(root: &Path, changed: &Changed) -> Result<(), ApplyError> {
    let Changed { path, before, .. } = changed;
    let written = write(root, path, before);
    let is = read(root, path).unwrap_or_default();
    if is == *before {
        return Ok(());
    }
    let why = written.err().map_or("the kernel took another value".to_owned(), |it| it.to_string());
    Err(ApplyError::Stuck { path: path.clone(), is, should: before.clone(), why })
}

/// Writes the undo file, whole or not at all.
fn keep(changes: &[Changed], undo: &Path) -> io::Result<()> {
    let folder = undo.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut name = undo.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let draft = folder.join(name);
    let lines = changes.iter().map(|it| format!("{} = {}\n", it.path, it.before));
    let text: String = std::iter::once(TITLE.to_owned()).chain(lines).collect();
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, undo)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
    const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";
    const PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
    const GOVERNOR: &str = "/sys/devices/system/cpu/cpu3/cpufreq/scaling_governor";

    fn machine() -> Machine {
        Machine::of(&[
            (RANGE, "32768\t60999\n"),
            (SOMAXCONN, "4096\n"),
            (PAGES, "[always] madvise never\n"),
            (GOVERNOR, "powersave\n"),
        ])
    }

    fn changes(of: &[(&str, &str)]) -> Vec<Change> {
        let change = |(path, value): &(&str, &str)| Change {
            path: (*path).to_owned(),
            value: (*value).to_owned(),
        };
        of.iter().map(change).collect()
    }

    fn text(machine: &Machine, path: &str) -> String {
        fs::read_to_string(at(machine.root(), path)).unwrap()
    }

    #[test]
    fn what_is_applied_is_reverted_byte_for_byte() {
        let machine = machine();
        let undo = machine.root().join("var/lib/undo");
        let wanted = [
            (RANGE, "1024 65535"),
            (SOMAXCONN, "65535"),
            (GOVERNOR, "performance"),
            (SOMAXCONN, "1"),
        ];
        let done = apply(machine.root(), &changes(&wanted), &undo).unwrap();
        assert_eq!(done.len(), 3, "of each file the first");
        assert_eq!(done[0].before, "32768\t60999");
        assert_eq!(text(&machine, RANGE), "1024 65535\n");
        assert_eq!(text(&machine, GOVERNOR), "performance\n");
        let back = revert(machine.root(), &undo).unwrap();
        assert_eq!((back[1].before.as_str(), back[1].after.as_str()), ("65535", "4096"));
        for (path, before) in
            [(RANGE, "32768\t60999\n"), (SOMAXCONN, "4096\n"), (GOVERNOR, "powersave\n")]
        {
            assert_eq!(text(&machine, path), before);
        }
        assert!(!undo.exists());
    }

    #[test]
    fn of_several_words_the_one_in_brackets_is_kept() {
        let machine = machine();
        let undo = machine.root().join("undo");
        apply(machine.root(), &changes(&[(PAGES, "madvise")]), &undo).unwrap();
        let kept = fs::read_to_string(&undo).unwrap();
        assert!(kept.ends_with(&format!("\n{PAGES} = always\n")), "{kept}");
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        let machine = machine();
        let undo = machine.root().join("undo");
        let same = [(RANGE, "32768 60999"), (PAGES, "always")];
        assert_eq!(apply(machine.root(), &changes(&same), &undo).unwrap(), []);
        assert_eq!(text(&machine, RANGE), "32768\t60999\n");
        assert!(!undo.exists());
    }

    #[test]
    fn changes_that_were_not_taken_back_are_not_forgotten() {
        let machine = machine();
        let undo = machine.root().join("undo");
        apply(machine.root(), &changes(&[(SOMAXCONN, "5000")]), &undo).unwrap();
        let error = apply(machine.root(), &changes(&[(SOMAXCONN, "6000")]), &undo).unwrap_err();
        assert!(matches!(error, ApplyError::Pending(_)), "{error}");
        assert_eq!(text(&machine, SOMAXCONN), "5000\n");
        revert(machine.root(), &undo).unwrap();
        assert_eq!(text(&machine, SOMAXCONN), "4096\n");
    }

    #[test]
    fn a_change_that_cannot_be_made_leaves_everything_as_it_was() {
        let machine = machine();
        let undo = machine.root().join("undo");
        let missing = "/proc/sys/net/ipv4/tcp_tw_reuse";
        let wanted = changes(&[(SOMAXCONN, "5000"), (missing, "1")]);
        let error = apply(machine.root(), &wanted, &undo).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot change {missing}: ")), "{error}");
        assert_eq!(text(&machine, SOMAXCONN), "4096\n");
        // An undo file that cannot be written comes before the first change.
        let blocked = machine.root().join("proc/sys/net/core/somaxconn/undo");
        let error = apply(machine.root(), &changes(&[(RANGE, "1 2")]), &blocked).unwrap_err();
        assert!(matches!(error, ApplyError::Undo { .. }), "{error}");
        assert_eq!(text(&machine, RANGE), "32768\t60999\n");
    }

    #[test]
    fn a_value_that_the_kernel_refuses_takes_back_what_was_changed_before_it() {
        let machine = machine();
        let undo = machine.root().join("undo");
        // A file of the kernel's that can be opened for writing, and takes numbers only.
        let numbers = "/proc/sys/net/ipv4/tcp_tw_reuse";
        machine.link(numbers, "/proc/self/oom_score_adj");
        let wanted = changes(&[(SOMAXCONN, "5000"), (RANGE, "1 2"), (numbers, "no number")]);
        let error = apply(machine.root(), &wanted, &undo).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot change {numbers}: ")), "{error}");
        assert_eq!(text(&machine, SOMAXCONN), "4096\n");
        assert_eq!(text(&machine, RANGE), "32768\t60999\n");
        assert!(!undo.exists());
    }

    #[test]
    fn a_value_that_the_kernel_makes_another_is_told_as_it_is_and_taken_back() {
        let machine = machine();
        let undo = machine.root().join("undo");
        // A file of the kernel's that makes its default of a zero.
        let rounded = "/proc/sys/net/core/rps_sock_flow_entries";
        machine.link(rounded, "/proc/self/timerslack_ns");
        let before = text(&machine, rounded);
        let wanted = changes(&[(rounded, "0"), (SOMAXCONN, "5000")]);
        let done = apply(machine.root(), &wanted, &undo).unwrap();
        assert_eq!(done[0].after, before.trim(), "what is there, and not what was written");
        assert_eq!(done[0].before, before.trim());
        revert(machine.root(), &undo).unwrap();
        assert_eq!((text(&machine, rounded), text(&machine, SOMAXCONN)), (before, "4096\n".into()));
    }

    #[test]
    fn changes_that_broke_off_in_the_middle_are_taken_back() {
        let machine = machine();
        let undo = machine.root().join("undo");
        // Whoever was killed had written the undo file, and of two changes the first.
        apply(machine.root(), &changes(&[(SOMAXCONN, "5000"), (RANGE, "1 2")]), &undo).unwrap();
        machine.set(RANGE, "32768\t60999\n");
        // A draft of an undo file that was never finished is in nobody's way.
        machine.set("/undo.new", "half of");
        revert(machine.root(), &undo).unwrap();
        assert_eq!(text(&machine, SOMAXCONN), "4096\n");
        assert_eq!(text(&machine, RANGE), "32768\t60999\n");
        apply(machine.root(), &changes(&[(SOMAXCONN, "5000")]), &undo).unwrap();
        revert(machine.root(), &undo).unwrap();
        let error = revert(machine.root(), &undo).unwrap_err();
        assert!(matches!(error, ApplyError::Undo { .. }), "{error}");
        assert_eq!(text(&machine, SOMAXCONN), "4096\n");
    }

    #[test]
    fn files_of_queues_and_idle_states_are_reverted_byte_for_byte() {
        let machine = machine();
        let undo = machine.root().join("undo");
        let files = [
            ("/sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,00000000\n", "3"),
            ("/sys/class/net/eth0/queues/rx-0/rps_flow_cnt", "0\n", "32768"),
            ("/sys/class/net/eth0/queues/tx-0/xps_cpus", "ff\n", "1"),
            ("/sys/devices/system/cpu/cpu0/cpuidle/state3/disable", "0\n", "1"),
        ];
        for (path, before, _) in files {
            machine.set(path, before);
        }
        let wanted: Vec<(&str, &str)> = files.iter().map(|(path, _, to)| (*path, *to)).collect();
        apply(machine.root(), &changes(&wanted), &undo).unwrap();
        for (path, _, value) in files {
            assert_eq!(text(&machine, path).trim(), value, "{path}");
        }
        revert(machine.root(), &undo).unwrap();
        for (path, before, _) in files {
            assert_eq!(text(&machine, path), before, "{path}");
        }
    }

    #[test]
    fn only_settings_of_ours_are_ever_written() {
        let machine = machine();
        let undo = machine.root().join("undo");
        let foreign = [
            "/proc/sys/kernel/core_pattern",
            "/etc/passwd",
            "/proc/sys/../../etc/passwd",
            "/sys/devices/system/cpu/cpu3/../../x/cpufreq/scaling_governor",
            "/sys/devices/system/cpu/cpu/cpufreq/scaling_governor",
            "/sys/class/net/../queues/rx-0/rps_cpus",
            "/sys/class/net/a/b/queues/rx-0/rps_cpus",
            "/sys/class/net/eth0/queues/rx-/rps_cpus",
            "/sys/class/net/eth0/queues/rx-0/../../device/remove",
            "/sys/class/net/eth0/queues/tx-0/rps_cpus",
            "/sys/devices/system/cpu/cpu3/cpuidle/state/disable",
            "/sys/devices/system/cpu/cpu3/cpuidle/state1/../../../cpu4/online",
            "/sys/devices/system/cpu/cpu3/online",
        ];
        for path in foreign {
            let error = apply(machine.root(), &changes(&[(path, "x")]), &undo).unwrap_err();
            assert!(matches!(error, ApplyError::Foreign(_)), "{path}: {error}");
            fs::write(&undo, format!("{SOMAXCONN} = 7\n{path} = x\n")).unwrap();
            let error = revert(machine.root(), &undo).unwrap_err();
            assert!(matches!(error, ApplyError::Foreign(_)), "{path}: {error}");
            fs::remove_file(&undo).unwrap();
        }
        assert_eq!(text(&machine, SOMAXCONN), "4096\n", "nothing was set back");
        for path in [
            "/sys/class/net/eth0/queues/rx-12/rps_cpus",
            "/sys/class/net/eth0.7/queues/rx-0/rps_flow_cnt",
            "/sys/class/net/eth0/queues/tx-3/xps_cpus",
            "/sys/devices/system/cpu/cpu30/cpuidle/state2/disable",
        ] {
            assert!(is_ours(path), "{path}");
        }
    }

    #[test]
    fn an_undo_file_that_makes_no_sense_changes_nothing() {
        let machine = machine();
        let undo = machine.root().join("undo");
        let error = revert(machine.root(), &undo).unwrap_err().to_string();
        assert!(error.starts_with("the undo file ") && error.contains("No such file"), "{error}");
        fs::write(&undo, format!("{TITLE}{SOMAXCONN} = 7\nnonsense\n")).unwrap();
        let error = revert(machine.root(), &undo).unwrap_err().to_string();
        assert!(error.ends_with("line 3: no setting and its value"), "{error}");
        assert_eq!(text(&machine, SOMAXCONN), "4096\n");
        assert!(undo.exists());
    }
}
