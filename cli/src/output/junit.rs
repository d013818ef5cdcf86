//! Thresholds as JUnit XML, for systems that build and test: one suite per run, one case per
//! threshold.
//!
//! The file appears whole or not at all: it is written beside its place and renamed.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use pummel_engine::record::Ledger;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, Event};
use tempfile::{Builder, NamedTempFile};

use super::thresholds::{expression, legal, reason};
use super::{Environment, Paper};
use crate::args::Quoted;
use crate::threshold::Finding;

/// Whom the file belongs to is the umask's matter, as with any other file.
const MODE: u32 = 0o666;

/// A file that can be written, as far as was to be seen before the run.
#[derive(Debug)]
pub(crate) struct JunitFile {
    /// The file itself, whatever links lead to it.
    path: PathBuf,
    folder: PathBuf,
}

impl JunitFile {
    /// Tries whether a file can be made in its folder; what is at `path` stays as it is.
    ///
    /// # Errors
    /// If not, in a line.
    pub(crate) fn prepare(path: &Path) -> Result<Self> {
        let shown = path.to_string_lossy().into_owned();
        let path = match fs::canonicalize(path) {
            // What is renamed onto a device would take its place.
            Ok(whole) if !whole.is_file() => {
                bail!("--junit {} is no regular file; give another name", Quoted(&shown))
            }
            Ok(whole) => whole,
            Err(_) => path.to_path_buf(),
        };
        if path.file_name().is_none() {
            bail!("--junit {} names no file; give FOLDER/NAME.xml", Quoted(&shown));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let file = Self { path, folder };
        let tried = file.beside();
        tried.map_err(|why| {
            // Without the name of the file that was tried.
            let said = why.to_string();
            let cause = said.split(" at path ").next().unwrap_or_default();
            anyhow!(
                "--junit {} cannot be written: {cause}; give a file in a folder that exists and \
                 may be written to",
                Quoted(&shown)
            )
        })?;
        Ok(file)
    }

    /// Writes what became of the thresholds.
    ///
    /// # Errors
    /// If the file cannot be written; then what was there before is there still.
    pub(crate) fn write(&self, paper: &Paper<'_>, environment: &Environment) -> Result<()> {
        let failed = || format!("cannot write {}", Quoted(&self.path.to_string_lossy()));
        let document = document(paper, environment).with_context(failed)?;
        let mut file = self.beside().with_context(failed)?;
        file.write_all(&document).and_then(|()| file.flush()).with_context(failed)?;
        file.persist(&self.path).map_err(|refused| refused.error).with_context(failed)?;
        Ok(())
    }

    /// A new file in the same folder, which goes away unless it is renamed.
    fn beside(&self) -> io::Result<NamedTempFile> {
        let mode = Permissions::from_mode(MODE);
        Builder::new().prefix(".pummel-").permissions(mode).tempfile_in(&self.folder)
    }
}

fn document(paper: &Paper<'_>, environment: &Environment) -> io::Result<Vec<u8>> {
    let Paper { report, thresholds, .. } = *paper;
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let tests = thresholds.len().to_string();
    let failures = thresholds.iter().filter(|finding| !finding.passed()).count().to_string();
    let seconds = report.window.as_secs_f64().to_string();
    let started = humantime::format_rfc3339_seconds(environment.started_at).to_string();
    let sums = [
        ("tests", tests.as_str()),
        ("failures", failures.as_str()),
        ("errors", "0"),
        ("time", seconds.as_str()),
    ];
    xml.create_element("testsuites")
        .with_attributes([("name", "pummel")].into_iter().chain(sums))
        .write_inner_content(|xml| {
            let skipped = [("skipped", "0"), ("timestamp", started.as_str())];
            xml.create_element("testsuite")
                .with_attributes([("name", "pummel")].into_iter().chain(sums).chain(skipped))
                .write_inner_content(|xml| {
                    properties(paper, xml)?;
                    thresholds.iter().try_for_each(|finding| case(finding, xml))
                })?;
            Ok(())
        })?;
    let mut document = xml.into_inner();
    document.push(b'\n');
    Ok(document)
}

fn properties(paper: &Paper<'_>, xml: &mut Writer<Vec<u8>>) -> io::Result<()> {
    let Paper { report, verdict, .. } = *paper;
    let Ledger { scheduled, ok, failed, errors, timeouts, dropped, unfinished } =
        report.totals.ledger;
    let counts = [
        ("scheduled", scheduled),
        ("ok", ok),
        ("failed", failed),
        ("errors", errors),
        ("timeouts", timeouts),
        ("dropped", dropped),
        ("unfinished", unfinished),
    ];
    let rest = [
        ("url", legal(&report.plan.target.url)),
        ("duration_s", report.window.as_secs_f64().to_string()),
        ("verdict", verdict.status.name().to_owned()),
    ];
    let counts = counts.map(|(name, count)| (name, count.to_string()));
    xml.create_element("properties").write_inner_content(|xml| {
        for (name, value) in rest.iter().chain(&counts) {
            let attributes = [("name", *name), ("value", value.as_str())];
            xml.create_element("property").with_attributes(attributes).write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn case(finding: &Finding<'_>, xml: &mut Writer<Vec<u8>>) -> io::Result<()> {
    let name = legal(&expression(finding));
    let attributes = [("name", name.as_str()), ("classname", "pummel.thresholds"), ("time", "0")];
    let case = xml.create_element("testcase").with_attributes(attributes);
    let Some(reason) = reason(finding) else {
        case.write_empty()?;
        return Ok(());
    };
    case.write_inner_content(|xml| {
        let message = [("message", reason.as_str()), ("type", "threshold")];
        xml.create_element("failure").with_attributes(message).write_empty()?;
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;

    use super::super::tests::{closed, environment, sample, verdict};
    use super::*;
    use crate::args;
    use crate::config::Config;
    use crate::config::threshold::Threshold;
    use crate::threshold::judge;
    use pummel_engine::verdict::Status;

    /// Elements with their attributes, as they begin; the document must be sound.
    fn elements(document: &str) -> Vec<(String, Vec<(String, String)>)> {
        let mut reader = Reader::from_str(document);
        let mut found = Vec::new();
        for _ in 0..1_000 {
            let event = reader.read_event().unwrap();
            if let Event::Start(tag) | Event::Empty(tag) = &event {
                let name = tag.name().as_ref().to_owned();
                let attributes = tag.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let key = attribute.key.as_ref().to_owned();
                    let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
                    (key, value.unwrap().into_owned())
                });
                found.push((name, attributes.collect()));
            }
            if matches!(event, Event::Eof) {
                return found;
            }
        }
        panic!("a document without an end");
    }

    fn attribute<'e>(of: &'e [(String, String)], key: &str) -> &'e str {
        of.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str())
    }

    fn thresholds(texts: &[&str]) -> Vec<Threshold> {
        let flags: Vec<String> = texts.iter().map(|text| format!(" --fail-if={text}")).collect();
        let words = args::words(&format!("p http://h{}", flags.concat()));
        Config::understand(&words.run).unwrap().thresholds
    }

    #[test]
    fn the_document_has_a_case_per_threshold_and_can_be_read_back() {
        let (report, environment) = (sample(closed()), environment());
        let verdict = verdict(&report);
        let odd = "\"<&'>\u{1}\":errors>200";
        let mut thresholds = thresholds(&["errors>200", "p99>1ms", odd]);
        thresholds[1].name.push_str("<&\"'>");
        let findings = judge(&thresholds, &report, Status::Pass);
        let paper = Paper { report: &report, verdict: &verdict, thresholds: &findings };
        let document = String::from_utf8(document(&paper, &environment).unwrap()).unwrap();
        let elements = elements(&document);
        let of = |name: &str| -> Vec<&Vec<(String, String)>> {
            elements.iter().filter(|(found, _)| found == name).map(|(_, of)| of).collect()
        };
        let cases = of("testcase");
        let names: Vec<&str> = cases.iter().map(|case| attribute(case, "name")).collect();
        let odd = "\"<&'>\u{fffd}\":errors>200";
        assert_eq!(names, ["errors>200", "p99<&\"'>>1ms", odd]);
        let failures = of("failure");
        assert_eq!(failures.len(), 2, "{document}");
        assert!(attribute(failures[0], "message").contains("crossed: found ≥1.00 s"), "{document}");
        for sum in ["testsuites", "testsuite"] {
            let sum = of(sum)[0];
            assert_eq!((attribute(sum, "tests"), attribute(sum, "failures")), ("3", "2"));
            assert_eq!(attribute(sum, "time"), "2");
        }
        let property = |name: &str| {
            let all = of("property");
            let one = all.into_iter().find(|of| attribute(of, "name") == name).unwrap();
            attribute(one, "value")
        };
        assert_eq!(property("url"), "http://localhost:8080/a");
        assert_eq!(["scheduled", "ok", "errors"].map(property), ["105", "99", "2"]);
        assert_eq!((property("duration_s"), property("verdict")), ("2", verdict.status.name()));
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.xml");
        fs::write(&path, "before").unwrap();
        let link = folder.path().join("link.xml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let file = JunitFile::prepare(&link).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        let (report, environment) = (sample(closed()), environment());
        let verdict = verdict(&report);
        let paper = Paper { report: &report, verdict: &verdict, thresholds: &[] };
        file.write(&paper, &environment).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("<?xml"));
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_ne!(mode & 0o444, 0o400, "others may read it, as far as the umask lets them");
    }

    #[test]
    fn what_cannot_be_written_is_found_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let within = |name: &str| folder.path().join(name);
        for (path, words) in [
            (within("none/a.xml"), "No such file or directory"),
            (folder.path().to_path_buf(), "is no regular file"),
            (PathBuf::from("/dev/null"), "is no regular file"),
            (PathBuf::from("/proc/a.xml"), "cannot be written: "),
        ] {
            let said = JunitFile::prepare(&path).unwrap_err().to_string();
            assert!(said.starts_with("--junit \"") && said.contains(words), "{said}");
            assert!(said.contains("; give ") && !said.contains(".pummel-"), "{said}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
