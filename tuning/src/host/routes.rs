//! Through which interface packets leave, by the kernel's main routing tables. Rules that choose
//! another table (policy routing) are not known.

use std::net::{IpAddr, Ipv4Addr};

use crate::tree::Tree;

/// `RTF_UP` and `RTF_REJECT` of `linux/route.h`: whether a route is in use, and whether it leads
/// nowhere.
const UP: u32 = 0x1;
const REJECT: u32 = 0x200;

/// The routes of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Routes {
    four: Vec<Route>,
    six: Vec<Route>,
}

/// A line of a routing table: addresses that begin so go there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    interface: String,
    network: u128,
    /// Of how many bits the beginning is.
    length: u32,
    /// Of routes that are equally narrow, the lowest is taken.
    metric: u32,
}

impl Routes {
    pub(super) fn inspect(tree: &Tree) -> Self {
        // As much of the tables as may be read: one of the whole internet is longer, and is not
        // that of a load generator.
        let lines = |path| tree.head(path).map(|head| head.of).unwrap_or_default();
        let (four, six) = (lines("/proc/net/route"), lines("/proc/net/ipv6_route"));
        Self {
            four: four.lines().skip(1).filter_map(parse_four).collect(),
            six: six.lines().filter_map(parse_six).collect(),
        }
    }

    /// The interface through which packets to `ip` leave, if there is a route.
    pub(super) fn interface_to(&self, ip: IpAddr) -> Option<&str> {
        let (routes, bits, width) = match ip.to_canonical() {
            IpAddr::V4(ip) => (&self.four, u128::from(ip.to_bits()), 32),
            IpAddr::V6(ip) => (&self.six, ip.to_bits(), 128),
        };
        let fits = |route: &&Route| {
            let rest = width - route.length.min(width);
            // A shift by all bits is none.
            bits.checked_shr(rest).unwrap_or(0) == route.network.checked_shr(rest).unwrap_or(0)
        };
        let narrowest = |route: &&Route| (route.length, u32::MAX - route.metric);
        let route = routes.iter().filter(fits).max_by_key(narrowest)?;
        Some(&route.interface)
    }
}

/// A line of `/proc/net/route`, whose addresses are as they lie in memory: interface, network,
/// gateway, flags, two counters, metric, mask.
fn parse_four(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [interface, network, _, flags, _, _, metric, mask, ..] = words.as_slice() else {
        return None;
    };
    let bits = |digits: &str| {
        let number = u32::from_str_radix(digits, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()).to_bits())
    };
    is_used(flags)?;
    Some(Route {
        interface: (*interface).to_owned(),
        network: bits(network)?.into(),
        length: bits(mask)?.leading_ones(),
        metric: metric.parse().ok()?,
    })
}

/// A line of `/proc/net/ipv6_route`, all in hexadecimal: network and its length, source and its
/// length, gateway, metric, two counters, flags, interface. Those that lead to this machine itself
/// name `lo`.
fn parse_six(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [network, length, _, _, _, metric, _, _, flags, interface] = words.as_slice() else {
        return None;
    };
    let number = |digits: &str| u32::from_str_radix(digits, 16).ok();
    is_used(flags)?;
    Some(Route {
        interface: (*interface).to_owned(),
        network: u128::from_str_radix(network, 16).ok()?,
        length: number(length).filter(|length| *length <= 128)?,
        metric: number(metric)?,
    })
}

/// Something, if the flags of a route say that it is used and leads anywhere.
fn is_used(flags: &str) -> Option<()> {
    let flags = u32::from_str_radix(flags, 16).ok()?;
    (flags & UP != 0 && flags & REJECT == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::fake::Machine;

    const FOUR: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                        eth0\t00000000\t0102000A\t0003\t0\t0\t100\t00000000\n\
                        eth3\t00000000\t0102000A\t0003\t0\t0\t200\t00000000\n\
                        eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\n\
                        eth9\t0007A8C0\t00000000\t0201\t0\t0\t0\t00FFFFFF\n\
                        odd\tx\n";
    const SIX: &str = "\
20010db8000000000000000000000000 20 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1
20010db8000000000000000000000001 80 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
x
";

    #[test]
    fn packets_leave_by_the_narrowest_route_and_the_lowest_metric() {
        let machine = Machine::of(&[("/proc/net/route", FOUR), ("/proc/net/ipv6_route", SIX)]);
        let routes = Routes::inspect(&machine.tree());
        for (ip, interface) in [
            ("192.168.7.7", Some("eth1")),
            ("192.169.7.7", Some("eth0")),
            ("::ffff:192.168.7.7", Some("eth1")),
            ("2001:db8::2", Some("eth1")),
            ("2001:db8::1", Some("lo")),
            ("2001:db9::1", Some("eth0")),
        ] {
            assert_eq!(routes.interface_to(ip.parse().unwrap()), interface, "{ip}");
        }
    }

    #[test]
    fn without_a_route_nothing_leaves() {
        let odd = Machine::of(&[("/proc/net/route", "\n\n???\n"), ("/proc/net/ipv6_route", "g 1")]);
        let routes = Routes::inspect(&odd.tree());
        assert_eq!(routes, Routes::default());
        for ip in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(routes.interface_to(ip.parse().unwrap()), None);
        }
    }
}
