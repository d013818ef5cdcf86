//! Conditions: whether a user goes one way or another, by what it has and what it was told.

use core::cmp::Ordering;

use pummel_proto_http::Values;

use super::decimal::Decimal;
use super::pattern::Pattern;

/// Something that holds or does not: it does if one of these rows does, and a row does if all of
/// its terms do. Asking takes no memory but what the first search of a regular expression needs.
#[derive(Clone, Debug)]
pub struct Condition(pub Vec<Vec<Term>>);

/// A claim, or that it is wrong.
#[derive(Clone, Debug)]
pub struct Term {
    /// What is claimed.
    pub claim: Claim,
    /// Whether the term holds where the claim does not.
    pub negated: bool,
}

/// What is claimed of values.
#[derive(Clone, Debug)]
pub enum Claim {
    /// That it is not empty.
    Present(Operand),
    /// That two are, as texts, the same.
    Same(Operand, Operand),
    /// That two are numbers, in the notation of JSON, and one is to the other like this.
    Compared(Operand, Relation, Operand),
    /// That this matches in it.
    Matches(Operand, Pattern),
}

/// How a number is to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Relation {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What a claim is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// This, always.
    Known(Box<[u8]>),
    /// The user's value with this number.
    Value(u16),
    /// The status of the last response, in three digits; empty before the first.
    Status,
}

impl Condition {
    /// Whether it holds for a user with these `values`, whose last response had this `status`; 0
    /// stands for none. O(bytes).
    #[must_use]
    pub fn holds(&self, values: &impl Values, status: u16) -> bool {
        let digits = digits(status);
        let status = if status == 0 { &[][..] } else { &digits };
        self.0.iter().any(|terms| terms.iter().all(|term| term.holds(values, status)))
    }

    /// The numbers of the values that it looks at.
    pub fn values(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().flatten().flat_map(Term::values)
    }

    /// The numbers of the values that it compares without asking anywhere whether they are there.
    pub fn compared(&self) -> impl Iterator<Item = u16> + '_ {
        let asks = |number| {
            let here = Operand::Value(number);
            self.0
                .iter()
                .flatten()
                .any(|term| matches!(&term.claim, Claim::Present(of) if *of == here))
        };
        self.values().filter(move |&number| !asks(number))
    }
}

impl Term {
    /// The numbers of the values that it looks at.
    fn values(&self) -> impl Iterator<Item = u16> + '_ {
        let operands = match &self.claim {
            Claim::Present(of) | Claim::Matches(of, _) => [Some(of), None],
            Claim::Same(one, other) | Claim::Compared(one, _, other) => [Some(one), Some(other)],
        };
        operands.into_iter().flatten().filter_map(|operand| match operand {
            Operand::Value(number) => Some(*number),
            Operand::Known(_) | Operand::Status => None,
        })
    }

    fn holds(&self, values: &impl Values, status: &[u8]) -> bool {
        let holds = match &self.claim {
            Claim::Present(of) => !of.read(values, status).is_empty(),
            Claim::Same(one, other) => one.read(values, status) == other.read(values, status),
            Claim::Compared(one, relation, other) => {
                let [one, other] =
                    [one, other].map(|operand| Decimal::parse(operand.read(values, status)));
                let pair = one.zip(other);
                pair.is_some_and(|(one, other)| relation.allows(one.compare(other)))
            }
            Claim::Matches(of, pattern) => pattern.is_in(of.read(values, status)),
        };
        holds != self.negated
    }
}

impl Operand {
    fn read<'a>(&'a self, values: &'a impl Values, status: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Known(bytes) => bytes,
            Self::Value(number) => values.value(*number),
            Self::Status => status,
        }
    }
}

impl Relation {
    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// The digits of a status, which has three.
fn digits(status: u16) -> [u8; 3] {
    [100, 10, 1].map(|unit| b'0' + u8::try_from(status / unit % 10).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given([&'static str; 2]);

    impl Values for Given {
        fn value(&self, number: u16) -> &[u8] {
            self.0.get(usize::from(number)).map_or(&[], |text| text.as_bytes())
        }
    }

    fn known(text: &str) -> Operand {
        Operand::Known(text.as_bytes().into())
    }

    /// Whether it holds of these two values behind a response with this status.
    fn holds(claim: Claim, values: [&'static str; 2], status: u16) -> bool {
        let only = |claim, negated| Condition(vec![vec![Term { claim, negated }]]);
        let not = only(claim.clone(), true).holds(&Given(values), status);
        let holds = only(claim, false).holds(&Given(values), status);
        assert_ne!(holds, not, "{values:?}");
        holds
    }

    #[test]
    fn texts_are_there_or_the_same_or_match() {
        let value = Operand::Value;
        assert!(holds(Claim::Present(value(0)), ["x", ""], 0));
        assert!(!holds(Claim::Present(value(1)), ["x", ""], 0));
        assert!(!holds(Claim::Present(value(7)), ["x", ""], 0), "which nobody has");
        assert!(holds(Claim::Same(value(0), value(1)), ["x", "x"], 0));
        assert!(!holds(Claim::Same(value(0), known("1.0")), ["1", ""], 0));
        let pattern = || Pattern::parse("^a+$").unwrap();
        assert!(holds(Claim::Matches(value(0), pattern()), ["aa", ""], 0));
        assert!(!holds(Claim::Matches(value(0), pattern()), ["ab", ""], 0));
    }

    #[test]
    fn numbers_are_compared_as_such_and_what_is_none_holds_nothing() {
        use Relation::{AtLeast, AtMost, Equal, Greater, Less};
        let of = |relation| Claim::Compared(Operand::Value(0), relation, Operand::Value(1));
        let all = [Equal, Less, AtMost, Greater, AtLeast];
        let held = |values| all.map(|relation| holds(of(relation), values, 0));
        assert_eq!(held(["9", "10"]), [false, true, true, false, false]);
        assert_eq!(held(["1e1", "10.0"]), [true, false, true, false, true]);
        assert_eq!(held(["10", "9"]), [false, false, false, true, true]);
        for none in ["", "x", "1x", " 1"] {
            assert_eq!(held([none, "1"]), [false; 5], "{none}");
            assert_eq!(held(["1", none]), [false; 5], "{none}");
        }
    }

    #[test]
    fn a_status_is_a_number_and_there_is_none_before_the_first_response() {
        let is = |status: &str| Claim::Compared(Operand::Status, Relation::Equal, known(status));
        assert!(holds(is("200"), ["", ""], 200) && !holds(is("200"), ["", ""], 204));
        assert!(holds(Claim::Present(Operand::Status), ["", ""], 599));
        assert!(!holds(Claim::Present(Operand::Status), ["", ""], 0));
        assert!(!holds(is("0"), ["", ""], 0));
    }

    #[test]
    fn one_row_is_enough_and_takes_all_of_its_terms() {
        let some = |number| Term { claim: Claim::Present(Operand::Value(number)), negated: false };
        let both_or_status = Condition(vec![
            vec![some(0), some(1)],
            vec![Term { claim: Claim::Present(Operand::Status), negated: false }],
        ]);
        let holds = |values, status| both_or_status.holds(&Given(values), status);
        assert!(holds(["x", "y"], 0) && holds(["", ""], 200));
        assert!(!holds(["x", ""], 0) && !holds(["", "y"], 0));
        assert_eq!(both_or_status.values().collect::<Vec<_>>(), [0, 1]);
    }
}
