//! One file per command: what is done, in which order.

mod attempt;
pub(crate) mod companion;
mod config;
mod demo;
mod doctor;
mod fitness;
mod rehearsal;
mod run;
mod schema;
mod selftest;
mod target;
mod untried;

use crate::args::{Command, Typed, Words};
use crate::exit::{Code, Failure};

/// Does what was asked for; `None` when the help was all.
pub(crate) fn execute(typed: Option<&Typed>) -> Result<Code, Failure> {
    let Some(typed) = typed else { return Ok(Code::Done) };
    let Words { command, .. } = &typed.words;
    match command {
        None => run::run(typed),
        Some(Command::Demo(args)) => demo::demo(args),
        Some(Command::Selftest(args)) => selftest::selftest(args),
        Some(Command::Doctor(args)) => doctor::doctor(args),
        Some(Command::Config(args)) => config::config(typed, args),
        Some(Command::Schema) => schema::schema(),
        Some(Command::Target(args)) => target::target(args),
    }
}
