//! What an AWS signature of version 4 is made of.

use core::fmt;

use pummel_proto_http::Text;

/// A request as it is signed, and by whom.
///
/// All texts are as they are sent; what the signature makes of them is the business of whoever
/// signs. The values in them have lower numbers than the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: Text,
    /// The fields that are signed, by name in lowercase and in the order of the names, of which
    /// each is there once.
    pub fields: Vec<(String, Text)>,
    /// The SHA-256 of the body, in hexadecimal digits.
    pub payload: Text,
    /// The number of the value of `X-Amz-Date`.
    pub date: u16,
    /// Who signs, and for what.
    pub key: SigningKey,
}

/// A secret, and what it is used for.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// `AWS4` and the secret access key, which is how it is used.
    pub secret: String,
    /// For example `eu-central-1`.
    pub region: String,
    /// For example `s3`.
    pub service: String,
}

impl Signing {
    /// The values that it is made from.
    pub fn values(&self) -> impl Iterator<Item = u16> + '_ {
        let fields = self.fields.iter().map(|(_, value)| value);
        let texts = [&self.target, &self.payload].into_iter().chain(fields);
        texts.flat_map(Text::values).chain([self.date])
    }
}

impl SigningKey {
    /// Whether paths are signed as they are sent, and not normalised and encoded once more.
    #[must_use]
    pub fn signs_paths_as_sent(&self) -> bool {
        self.service.starts_with("s3")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}/{})", self.region, self.service)
    }
}
