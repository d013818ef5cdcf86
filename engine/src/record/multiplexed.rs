//! What HTTP/2 knows and HTTP/1.1 does not: requests that a server did not process, and farewells.

/// Counts of HTTP/2 connections, from the start of the run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Multiplexed {
    /// Requests that the server refused before it processed them (`REFUSED_STREAM`), each time.
    pub refused: u64,
    /// Requests that were beyond the last one which a GOAWAY promised to process, each time.
    pub beyond_goaway: u64,
    /// Requests of both kinds that were sent again.
    pub retried: u64,
    /// The fewest streams that a server allowed on a connection, if fewer than were asked for.
    pub streams_allowed: Option<u32>,
    /// GOAWAYs by error code; the last entry holds the codes that nobody has defined.
    pub goaways: [u64; CODES.len()],
}

/// The names of HTTP/2's error codes, by number (RFC 9113 section 7), and of all others.
pub const CODES: [&str; 15] = [
    "no_error",
    "protocol_error",
    "internal_error",
    "flow_control_error",
    "settings_timeout",
    "stream_closed",
    "frame_size_error",
    "refused_stream",
    "cancel",
    "compression_error",
    "connect_error",
    "enhance_your_calm",
    "inadequate_security",
    "http_1_1_required",
    "unknown",
];

/// The name of an error code.
#[must_use]
pub fn code_name(code: u32) -> &'static str {
    let [.., unknown] = CODES;
    usize::try_from(code).ok().and_then(|code| CODES.get(code)).copied().unwrap_or(unknown)
}

impl Multiplexed {
    /// Counts a GOAWAY with `code`.
    pub fn goaway(&mut self, code: u32) {
        let last = CODES.len() - 1;
        let index = usize::try_from(code).unwrap_or(last).min(last);
        if let Some(count) = self.goaways.get_mut(index) {
            *count += 1;
        }
    }

    /// A server allowed `streams` on a connection, fewer than were asked for.
    pub fn allow(&mut self, streams: u32) {
        self.streams_allowed = Some(self.streams_allowed.map_or(streams, |few| few.min(streams)));
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.refused += other.refused;
        self.beyond_goaway += other.beyond_goaway;
        self.retried += other.retried;
        if let Some(streams) = other.streams_allowed {
            self.allow(streams);
        }
        for (sum, more) in self.goaways.iter_mut().zip(other.goaways) {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn farewells_are_counted_by_code_and_none_is_lost() {
        let mut counts = Multiplexed::default();
        for code in [0, 11, 11, 14, u32::MAX] {
            counts.goaway(code);
        }
        let mut sum = counts;
        sum.merge(&counts);
        assert_eq!(sum.streams_allowed, None);
        for few in [9, 5, 7] {
            sum.merge(&Multiplexed { streams_allowed: Some(few), ..Multiplexed::default() });
        }
        assert_eq!(sum.streams_allowed, Some(5));
        let named: Vec<_> = CODES.iter().zip(sum.goaways).filter(|(_, count)| *count > 0).collect();
        assert_eq!(named, [(&"no_error", 2), (&"enhance_your_calm", 4), (&"unknown", 4)]);
        assert_eq!((code_name(8), code_name(99)), ("cancel", "unknown"));
    }
}
