//! The arguments of a bare request loop, and its result as one line of JSON.

use std::{
    fmt,
    io::{self, Write},
    num::{NonZeroU32, NonZeroU64},
    process::ExitCode,
    time::Instant,
};

use clap::Args;
use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeVal,
};
use serde::{Deserialize, Serialize};

use crate::{clock, target::Target};

/// What every bare loop is asked.
#[derive(Args, Clone, Debug)]
pub struct LoopArgs {
    /// Where to send the requests: `http://ADDRESS:PORT/PATH`
    pub url: Target,
    /// Keep-alive connections, all opened before the clock starts
    #[arg(short, long, default_value = "64")]
    pub connections: NonZeroU32,
    /// Requests in total
    #[arg(short = 'n', long, default_value = "600000")]
    pub requests: NonZeroU64,
}

/// What a bare loop measured, of the loop alone: connecting and starting are outside.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LoopReport {
    /// Requests answered.
    pub requests: u64,
    /// Wall time from the first request to the last answer.
    pub seconds: f64,
    /// CPU time of the whole process in user space, in µs.
    pub cpu_user_us: u64,
    /// CPU time of the whole process in the kernel, in µs.
    pub cpu_sys_us: u64,
    /// User and system time, divided by the requests.
    pub us_per_request: f64,
    /// Median of the service time in ns, where the loop records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ns_p50: Option<u64>,
    /// 0.99 quantile of the service time in ns, where the loop records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ns_p99: Option<u64>,
}

/// Ends a bare loop: prints the report on stdout as one line, or the error on stderr as one line.
pub fn conclude<E: From<io::Error> + fmt::Display>(result: Result<LoopReport, E>) -> ExitCode {
    match result.and_then(|report| Ok(print(&report)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed, too.
            _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(report: &LoopReport) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, report)?;
    stdout.write_all(b"\n")
}

/// Wall and CPU time of this process since a moment.
#[derive(Debug)]
pub struct Stopwatch {
    started: Instant,
    usage: Usage,
}

impl Stopwatch {
    /// Starts the watch.
    ///
    /// # Errors
    /// `getrusage` failed, which Linux does only for a bad argument.
    pub fn start() -> io::Result<Self> {
        Ok(Self { usage: getrusage(UsageWho::RUSAGE_SELF)?, started: clock::now() })
    }

    /// Stops the watch after `requests` answers.
    ///
    /// # Errors
    /// As for [`Stopwatch::start`].
    pub fn stop(self, requests: NonZeroU64) -> io::Result<LoopReport> {
        let seconds = clock::now().duration_since(self.started).as_secs_f64();
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let cpu_user_us = micros(usage.user_time()) - micros(self.usage.user_time());
        let cpu_sys_us = micros(usage.system_time()) - micros(self.usage.system_time());
        Ok(LoopReport {
            requests: requests.get(),
            seconds,
            cpu_user_us,
            cpu_sys_us,
            us_per_request: per(cpu_user_us + cpu_sys_us, requests),
            service_ns_p50: None,
            service_ns_p99: None,
        })
    }
}

/// Returns a time of `getrusage` in whole µs.
#[must_use]
pub fn micros(time: TimeVal) -> u64 {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_usec()).unwrap_or(0)
}

/// Returns `amount / count` as a number to print.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no count of a benchmark reaches 2^52")]
pub fn per(amount: u64, count: NonZeroU64) -> f64 {
    amount as f64 / count.get() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_getrusage_are_whole_microseconds() {
        assert_eq!(micros(TimeVal::new(2, 345_678)), 2_345_678);
    }

    #[test]
    fn a_report_is_one_flat_object_without_absent_fields() {
        let report =
            Stopwatch::start().and_then(|watch| watch.stop(NonZeroU64::new(4).unwrap())).unwrap();
        let line = serde_json::to_string(&report).unwrap();
        assert!(!line.contains("null") && !line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<LoopReport>(&line).unwrap(), report);
    }
}
