//! What TLS handshakes agreed on, and what can go wrong in TLS.

/// What one handshake agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The cipher suite, as TLS registers it.
    pub suite: &'static str,
    /// The group of the key exchange; `None` where there was no exchange.
    pub group: Option<&'static str>,
    /// The protocol, if both sides named one.
    pub alpn: Option<Alpn>,
    /// Whether an earlier session was taken up.
    pub resumed: bool,
}

/// A protocol that was agreed on (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `h2`.
    Http2,
    /// `http/1.1`.
    Http11,
    /// `http/1.0`.
    Http10,
    /// Another one that was offered.
    Other,
}

impl Alpn {
    /// The protocol that is called `name`.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"h2" => Self::Http2,
            b"http/1.1" => Self::Http11,
            b"http/1.0" => Self::Http10,
            _ => Self::Other,
        }
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http2 => "h2",
            Self::Http11 => "http/1.1",
            Self::Http10 => "http/1.0",
            Self::Other => "other",
        }
    }
}

/// Handshakes by what they agreed on, in order of first occurrence.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    rows: Vec<(Agreed, u64)>,
    /// Handshakes for which there was no row left.
    other: u64,
}

/// Most rows: two versions, a few suites and groups, resumed or not.
const ROWS_MAX: usize = 64;

impl Secured {
    /// Counts one handshake. O(rows); allocates only for a row that is new.
    pub fn count(&mut self, agreed: Agreed) {
        self.add(agreed, 1);
    }

    fn add(&mut self, agreed: Agreed, count: u64) {
        if let Some((_, sum)) = self.rows.iter_mut().find(|(row, _)| *row == agreed) {
            *sum += count;
        } else if self.rows.len() < ROWS_MAX {
            self.rows.push((agreed, count));
        } else {
            self.other += count;
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.rows.iter().for_each(|&(agreed, count)| self.add(agreed, count));
        self.other += other.other;
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.other = 0;
    }

    /// What was agreed on, and how often.
    #[must_use]
    pub fn rows(&self) -> &[(Agreed, u64)] {
        &self.rows
    }

    /// Handshakes in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows.iter().map(|(_, count)| count).sum::<u64>() + self.other
    }

    /// Handshakes that took up an earlier session.
    #[must_use]
    pub fn resumed(&self) -> u64 {
        self.rows.iter().filter(|(row, _)| row.resumed).map(|(_, count)| count).sum()
    }
}

/// Why a connection could not be secured, or is not secure any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsTrouble {
    /// The peer said so, with this number (RFC 8446 section 6).
    Alert(u8),
    /// The certificate is not valid any more.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another name.
    WrongName,
    /// Nobody who is trusted has issued the certificate.
    UnknownIssuer,
    /// The certificate was revoked.
    Revoked,
    /// Something else is wrong with the certificate.
    BadCertificate,
    /// The server does not agree to the protocol that it was offered.
    AlpnRefused,
    /// No version, suite or group is known to both sides.
    NothingInCommon,
    /// The peer does not speak TLS.
    NotTls,
    /// The peer broke the protocol.
    Misbehaved,
    /// A record was not what its seal says.
    Undecryptable,
    /// The handshake or a record was cut short by the end of the connection.
    Truncated,
    /// The keys have sealed as many records as they may, and TLS 1.2 cannot renew them.
    WornOut,
    /// This side could not go on.
    Internal,
}

impl TlsTrouble {
    /// The name in reports: `expired`, `alert_handshake_failure`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert(number) => alert(number),
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongName => "wrong_name",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Revoked => "revoked",
            Self::BadCertificate => "bad_certificate",
            Self::AlpnRefused => "alpn_refused",
            Self::NothingInCommon => "nothing_in_common",
            Self::NotTls => "not_tls",
            Self::Misbehaved => "misbehaved",
            Self::Undecryptable => "undecryptable",
            Self::Truncated => "truncated",
            Self::WornOut => "worn_out",
            Self::Internal => "internal",
        }
    }
}

/// The name of an alert (RFC 8446 section 6, RFC 5246 section 7.2).
const fn alert(number: u8) -> &'static str {
    match number {
        0 => "alert_close_notify",
        10 => "alert_unexpected_message",
        20 => "alert_bad_record_mac",
        22 => "alert_record_overflow",
        40 => "alert_handshake_failure",
        42 => "alert_bad_certificate",
        43 => "alert_unsupported_certificate",
        44 => "alert_certificate_revoked",
        45 => "alert_certificate_expired",
        46 => "alert_certificate_unknown",
        47 => "alert_illegal_parameter",
        48 => "alert_unknown_ca",
        49 => "alert_access_denied",
        50 => "alert_decode_error",
        51 => "alert_decrypt_error",
        70 => "alert_protocol_version",
        71 => "alert_insufficient_security",
        80 => "alert_internal_error",
        86 => "alert_inappropriate_fallback",
        90 => "alert_user_canceled",
        100 => "alert_no_renegotiation",
        109 => "alert_missing_extension",
        110 => "alert_unsupported_extension",
        112 => "alert_unrecognized_name",
        113 => "alert_bad_certificate_status_response",
        115 => "alert_unknown_psk_identity",
        116 => "alert_certificate_required",
        120 => "alert_no_application_protocol",
        _ => "alert_unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Agreed = Agreed {
        version: "1.3",
        suite: "TLS13_AES_128_GCM_SHA256",
        group: Some("x25519"),
        alpn: Some(Alpn::Http2),
        resumed: false,
    };

    #[test]
    fn handshakes_are_counted_by_what_they_agreed_on() {
        let mut shard = Secured::default();
        shard.count(FULL);
        shard.count(Agreed { resumed: true, ..FULL });
        shard.count(FULL);
        let mut all = Secured::default();
        all.merge(&shard);
        all.merge(&shard);
        assert_eq!((all.total(), all.resumed(), all.rows().len()), (6, 2, 2));
    }
}
