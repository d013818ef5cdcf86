//! Queues of a network card, and which CPUs the kernel hands their packets to (RPS, RFS, XPS).

use super::cpu::CpuList;
use crate::tree::Tree;

/// Queues that are counted.
const QUEUES_MAX: usize = 512;

/// Queues of either direction that are looked at closely: a file or two each.
const LOOKED_AT_MAX: usize = 128;

/// The queues of a card. Of a very large card only the first are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// How many queues of received packets there are.
    pub receiving: usize,
    /// How many queues of packets to send.
    pub sending: usize,
    /// Of each queue of received packets, by number: how the kernel spreads them.
    pub received: Vec<Receiving>,
    /// Of each queue of packets to send, by number: the CPUs that use it (XPS).
    pub sent: Vec<(usize, Mask)>,
}

/// What the kernel does with the packets of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiving {
    /// The number of the queue.
    pub number: usize,
    /// The CPUs that it hands them to (RPS).
    pub spread: Mask,
    /// Of how many flows it knows the CPU that reads them (RFS).
    pub flows: Option<u64>,
}

/// A file of the kernel's that is to name CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mask {
    /// It is not there, not for us, or odd.
    #[default]
    Unknown,
    /// It names none: what it is about is off.
    Empty,
    /// It names these.
    Of(CpuList),
}

impl Queues {
    /// Those of the interface whose folder it is.
    pub(super) fn inspect(tree: &Tree, folder: &str) -> Self {
        let names = tree.names(format!("{folder}/queues"), 2 * QUEUES_MAX);
        let numbers = |kind: &str| {
            let number = |name: &String| name.strip_prefix(kind)?.parse::<usize>().ok();
            let mut numbers: Vec<usize> = names.iter().filter_map(number).collect();
            numbers.sort_unstable();
            numbers
        };
        let text = |file: String| tree.text(format!("{folder}/queues/{file}"));
        let (receiving, sending) = (numbers("rx-"), numbers("tx-"));
        let received = |&number: &usize| Receiving {
            number,
            spread: Mask::of(text(format!("rx-{number}/rps_cpus")).as_deref()),
            flows: text(format!("rx-{number}/rps_flow_cnt"))
                .and_then(|text| text.trim().parse().ok()),
        };
        let sent = |&number: &usize| {
            let by_cpu = Mask::of(text(format!("tx-{number}/xps_cpus")).as_deref());
            // A queue may also be chosen by where packets came in; CPUs say nothing then.
            let by_queue = || Mask::of(text(format!("tx-{number}/xps_rxqs")).as_deref());
            let other = by_cpu == Mask::Empty && matches!(by_queue(), Mask::Of(_));
            (number, if other { Mask::Unknown } else { by_cpu })
        };
        Self {
            receiving: receiving.len(),
            sending: sending.len(),
            received: receiving.iter().take(LOOKED_AT_MAX).map(received).collect(),
            sent: sending.iter().take(LOOKED_AT_MAX).map(sent).collect(),
        }
    }

    /// The queues whose packets the kernel hands to CPUs of its choice.
    pub fn spread(&self) -> impl Iterator<Item = &Receiving> {
        self.received.iter().filter(|queue| matches!(queue.spread, Mask::Of(_)))
    }
}

impl Mask {
    /// Parses `ff,ffffffff`: hexadecimal, 32 CPUs to a group, the highest first.
    fn of(text: Option<&str>) -> Self {
        let cpus = text.and_then(Self::parse);
        match cpus {
            None => Self::Unknown,
            Some(cpus) => CpuList::new(cpus).map_or(Self::Empty, Self::Of),
        }
    }

    fn parse(text: &str) -> Option<Vec<usize>> {
        let mut cpus = Vec::new();
        for (group, digits) in text.trim().split(',').rev().enumerate() {
            let plain = digits.len() <= 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let bits = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
            let first = group.checked_mul(32)?;
            cpus.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| first + bit));
        }
        Some(cpus)
    }
}

/// CPUs as the kernel writes them for queues: the opposite of [`Mask::of`].
pub(crate) fn mask(cpus: &CpuList) -> String {
    let groups = cpus.iter().max().unwrap_or(0) / 32 + 1;
    let mut words = vec![0_u32; groups];
    for cpu in cpus.iter() {
        if let Some(word) = words.get_mut(cpu / 32) {
            *word |= 1 << (cpu % 32);
        }
    }
    let mut words = words.iter().rev();
    let first = words.next().map(|word| format!("{word:x}"));
    let others = words.map(|word| format!("{word:08x}"));
    first.into_iter().chain(others).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    #[test]
    fn cpus_are_written_as_the_kernel_writes_masks_and_read_again() {
        for (cpus, written) in [
            ("0", "1"),
            ("0-3", "f"),
            ("1,5", "22"),
            ("32", "1,00000000"),
            ("0,63", "80000000,00000001"),
        ] {
            let list: CpuList = cpus.parse().unwrap();
            assert_eq!(mask(&list), written, "{cpus}");
            assert_eq!(Mask::of(Some(&format!("{written}\n"))), Mask::Of(list), "{cpus}");
        }
        assert_eq!(Mask::of(Some("00000000,00000000\n")), Mask::Empty);
        for odd in ["", "x", "+1", "1,", "123456789", "1-2", "\u{fffd}"] {
            assert_eq!(Mask::of(Some(odd)), Mask::Unknown, "{odd:?}");
        }
        assert_eq!(Mask::of(None), Mask::Unknown);
    }

    #[test]
    fn queues_are_counted_by_direction_and_in_the_order_of_their_numbers() {
        let machine = Machine::of(&[]);
        for number in 0..12 {
            machine.set(&format!("/n/queues/rx-{number}/rps_cpus"), "0\n");
        }
        machine.set("/n/queues/rx-10/rps_cpus", "c\n");
        machine.set("/n/queues/rx-10/rps_flow_cnt", "2048\n");
        machine.set("/n/queues/rx-odd/rps_cpus", "f\n");
        machine.set("/n/queues/tx-0/xps_cpus", "3\n");
        machine.set("/n/queues/tx-0/xps_rxqs", "1\n");
        machine.set("/n/queues/tx-1/tx_timeout", "0\n");
        machine.set("/n/queues/tx-2/xps_cpus", "0\n");
        machine.set("/n/queues/tx-2/xps_rxqs", "0\n");
        machine.set("/n/queues/tx-3/xps_cpus", "0\n");
        machine.set("/n/queues/tx-3/xps_rxqs", "1\n");
        let queues = Queues::inspect(&machine.tree(), "/n");
        assert_eq!((queues.receiving, queues.sending), (12, 4));
        let spread: Vec<&Receiving> = queues.spread().collect();
        let [Receiving { number: 10, spread, flows: Some(2048) }] = spread.as_slice() else {
            panic!("{queues:?}")
        };
        assert_eq!(*spread, Mask::Of("2-3".parse().unwrap()));
        let used = Mask::Of("0-1".parse().unwrap());
        let sent = [(0, used), (1, Mask::Unknown), (2, Mask::Empty), (3, Mask::Unknown)];
        assert_eq!(queues.sent, sent);
        assert_eq!(queues.received.get(2).map(|queue| queue.number), Some(2));
        assert_eq!(Queues::inspect(&machine.tree(), "/none"), Queues::default());
    }
}
