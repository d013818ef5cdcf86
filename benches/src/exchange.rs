//! One request and its response on a keep-alive connection, as every runtime's loop sees it.
//!
//! The loops on other runtimes differ in how bytes move; what a byte means, what is recorded and
//! when the run is over is here, so that a difference in cost is the runtime's alone.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    bare_loop::{LoopReport, Stopwatch},
    clock,
};

/// Bytes that a response may have, head and body together.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024;
/// Header fields that a response may have.
const FIELDS_MAX: usize = 32;
/// The longest service time that is told from longer ones.
const SERVICE_MAX: Duration = Duration::from_secs(60);

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The bytes are no HTTP/1.1 response.
    #[error("parse the response head: {0}")]
    Head(#[from] httparse::Error),
    /// The status is not 200.
    #[error("get status 200: it is {0}")]
    Status(u16),
    /// There is no usable `Content-Length`.
    #[error("find a Content-Length")]
    Length,
    /// The response is over, the bytes are not.
    #[error("match the response to the request: {0} bytes too many")]
    Unsolicited(usize),
    /// The connection ended within a response.
    #[error("read the response: the server closed the connection")]
    Closed,
}

/// Returns whether `received` is one complete response; `false` means that more must be read.
///
/// # Errors
/// It will never be one that we asked for.
pub fn is_complete(received: &[u8]) -> Result<bool, ExchangeError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_length) = response.parse(received)? else {
        return Ok(false);
    };
    match response.code {
        Some(200) => {}
        other => return Err(ExchangeError::Status(other.unwrap_or_default())),
    }
    let body_length = response
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"))
        .and_then(|field| str::from_utf8(field.value).ok()?.parse::<usize>().ok())
        .filter(|&length| length <= RESPONSE_BYTES_MAX)
        .ok_or(ExchangeError::Length)?;
    match received.len().checked_sub(head_length + body_length) {
        None => Ok(false),
        Some(0) => Ok(true),
        Some(extra) => Err(ExchangeError::Unsolicited(extra)),
    }
}

/// What is left to do, and what was seen so far, over all connections of the loop.
#[derive(Debug)]
pub struct Progress {
    unsent: u64,
    requests: NonZeroU64,
    service: Histogram<u64>,
    stopwatch: Stopwatch,
}

impl Progress {
    /// Starts the clock of a run of `requests`.
    ///
    /// # Errors
    /// The histogram or the stopwatch cannot be made.
    pub fn start(requests: NonZeroU64) -> anyhow::Result<Self> {
        let longest = u64::try_from(SERVICE_MAX.as_nanos())?;
        let service = Histogram::new_with_bounds(1, longest, 3)?;
        Ok(Self { unsent: requests.get(), requests, service, stopwatch: Stopwatch::start()? })
    }

    /// Takes one of the requests that are left; `false` when none is.
    pub fn take(&mut self) -> bool {
        let left = self.unsent.checked_sub(1);
        self.unsent = left.unwrap_or(0);
        left.is_some()
    }

    /// Records a response whose request was written at `start`, and returns the present moment,
    /// which is where the next request of the connection starts.
    pub fn record(&mut self, start: Instant) -> Instant {
        let now = clock::now();
        let service = u64::try_from(now.duration_since(start).as_nanos()).unwrap_or(u64::MAX);
        self.service.saturating_record(service);
        now
    }

    /// Stops the clock and reports.
    ///
    /// # Errors
    /// Not every request was answered, or the stopwatch fails.
    pub fn finish(self) -> anyhow::Result<LoopReport> {
        let (answered, requests) = (self.service.len(), self.requests);
        anyhow::ensure!(answered == requests.get(), "{answered} of {requests} answered");
        let report = self.stopwatch.stop(requests)?;
        Ok(LoopReport {
            service_ns_p50: Some(self.service.value_at_quantile(0.5)),
            service_ns_p99: Some(self.service.value_at_quantile(0.99)),
            ..report
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    #[test]
    fn a_response_is_complete_with_its_last_byte() {
        for end in 0..RESPONSE.len() {
            assert!(!is_complete(&RESPONSE[..end]).unwrap(), "after {end} bytes");
        }
        assert!(is_complete(RESPONSE).unwrap());
    }

    #[test]
    fn bytes_after_the_response_are_an_error() {
        let more = [RESPONSE, b"HTTP"].concat();
        assert!(matches!(is_complete(&more), Err(ExchangeError::Unsolicited(4))));
    }

    #[test]
    fn another_status_and_a_missing_length_are_errors() {
        let status = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(is_complete(status), Err(ExchangeError::Status(404))));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(matches!(is_complete(chunked), Err(ExchangeError::Length)));
    }

    #[test]
    fn exactly_the_requests_asked_for_are_handed_out() {
        let mut progress = Progress::start(NonZeroU64::new(2).unwrap()).unwrap();
        assert_eq!([progress.take(), progress.take(), progress.take()], [true, true, false]);
    }

    #[test]
    fn a_run_with_an_unanswered_request_has_no_report() {
        let mut progress = Progress::start(NonZeroU64::new(2).unwrap()).unwrap();
        let now = progress.record(clock::now());
        assert!(Progress::start(NonZeroU64::new(2).unwrap()).unwrap().finish().is_err());
        progress.record(now);
        assert_eq!(progress.finish().unwrap().requests, 2);
    }
}
