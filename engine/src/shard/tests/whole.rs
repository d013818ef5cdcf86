//! Whole runs, coordinator and all, against peers of the standard library.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use super::*;
use crate::coordinator::{Control, Observers};
use crate::error::RunError;
use crate::reactor::conformance::uring_works;

/// Closes whatever connects, for as long as the test lasts.
fn slamming() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    address
}

#[test]
fn a_server_that_closes_every_connection_is_not_taken_for_a_stop() {
    let address = slamming();
    for kind in [Kind::Epoll, Kind::Uring] {
        if kind == Kind::Uring && !uring_works() {
            continue;
        }
        for connections in [1, 1, 1, 2, 50] {
            let mut plan = plan(&closed(1), connections, Limit::Duration(millis(1)));
            plan.target.addresses = Addresses::new(vec![address]).unwrap();
            plan.reactor = kind;
            match crate::run(plan, Observers::none(), &Control::default()) {
                Ok(report) => assert_eq!(report.totals.ledger.ok, 0),
                Err(RunError::NoConnection { address: named, .. }) => {
                    assert_eq!(named, address.into());
                }
                Err(other) => panic!("{kind:?}, {connections} connections: {other}"),
            }
        }
    }
}
