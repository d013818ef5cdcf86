//! One file per command: what is done, in which order.

pub(crate) mod companion;
mod demo;
mod doctor;
mod run;
mod selftest;
mod target;

use crate::args::{Command, Words};
use crate::exit::{Code, Failure};

/// Does what was asked for; `None` when the help was all.
pub(crate) fn execute(words: Option<&Words>) -> Result<Code, Failure> {
    match words {
        None => Ok(Code::Done),
        Some(Words { command: None, run }) => run::run(run),
        Some(Words { command: Some(Command::Demo(args)), .. }) => demo::demo(args),
        Some(Words { command: Some(Command::Selftest(args)), .. }) => selftest::selftest(args),
        Some(Words { command: Some(Command::Doctor(args)), .. }) => doctor::doctor(args),
        Some(Words { command: Some(Command::Target(args)), .. }) => target::target(args),
    }
}
