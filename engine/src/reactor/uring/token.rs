//! What a submission carries to its completion: operation, generation and slot in 64 bits.

use super::super::Slot;

/// The kinds of submissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Connect,
    Accept,
    Receive,
    /// A send that reports only failure.
    SendSilent,
    /// A send that always reports.
    SendConfirmed,
    /// A send of a page, which always reports.
    SendPage,
    /// A send of a page that reports only failure.
    SendPageSilent,
    /// The question whether such a send is still pending, which calls it off if it is.
    Ask,
    /// Not of interest to anybody.
    Ignored,
}

/// The generation of a slot: which of its lives. Wraps after 16 million, long after the last
/// completion of a life has been reaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Generation(u32);

impl Generation {
    const BITS: u32 = 24;

    pub(super) fn next(self) -> Self {
        Self((self.0 + 1) & ((1 << Self::BITS) - 1))
    }
}

/// `operation:8 | generation:24 | slot:32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) operation: Operation,
    pub(super) generation: Generation,
    pub(super) slot: Slot,
}

impl Token {
    pub(super) fn pack(self) -> u64 {
        let operation = self.operation as u64;
        let generation = u64::from(self.generation.0);
        operation << 56 | generation << 32 | u64::from(self.slot.0)
    }

    pub(super) fn unpack(packed: u64) -> Self {
        let operation = match packed >> 56 {
            0 => Operation::Connect,
            1 => Operation::Accept,
            2 => Operation::Receive,
            3 => Operation::SendSilent,
            4 => Operation::SendConfirmed,
            5 => Operation::SendPage,
            6 => Operation::SendPageSilent,
            7 => Operation::Ask,
            _ => Operation::Ignored,
        };
        #[expect(clippy::cast_possible_truncation, reason = "cuts the fields out")]
        let (high, low) = ((packed >> 32) as u32, packed as u32);
        let generation = Generation(high & ((1 << Generation::BITS) - 1));
        Self { operation, generation, slot: Slot(low) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_survives_packing(
            operation in 0_u64..7,
            generation in 0_u32..1 << 24,
            slot: u32,
        ) {
            let operation = Token::unpack(operation << 56).operation;
            let token = Token { operation, generation: Generation(generation), slot: Slot(slot) };
            prop_assert_eq!(Token::unpack(token.pack()), token);
        }
    }

    #[test]
    fn generations_wrap_without_touching_the_operation() {
        let last = Generation((1 << 24) - 1);
        assert_eq!(last.next(), Generation(0));
    }
}
