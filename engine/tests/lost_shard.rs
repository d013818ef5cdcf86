//! What is left of a run when one of its shards cannot go on. The only test in its process: it
//! takes the file descriptors away from all of it.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use core::num::{NonZeroU8, NonZeroU32};
use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::thread;

use pummel_engine::plan::{
    Addresses, Cores, ExpectedStatus, Limit, Load, Pacing, Plan, Stop, Target, Timeouts, Wire, Work,
};
use pummel_engine::reactor::{Kind, clock};
use pummel_engine::units::Nanos;
use pummel_engine::{Control, Observers, RunError, run};
use pummel_proto_http::Request;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const SHARDS: usize = 4;

/// How long the threads of a run that is over may take to end.
const PATIENCE: Nanos = Nanos::from_secs(10);

/// An hour of load on a target that never answers, with a shard for each connection.
fn plan(target: &TcpListener) -> Plan {
    let hour = Nanos::from_secs(3_600);
    Plan {
        target: Target {
            url: "http://example.org/".to_owned(),
            addresses: Addresses::new(vec![target.local_addr().unwrap()]).unwrap(),
        },
        work: Work::only(
            Request::builder("GET", "example.org", "/").unwrap().build(),
            ExpectedStatus::default(),
        ),
        wire: Wire::default(),
        others: Vec::new(),
        load: Load::Closed { pipeline: NonZeroU8::MIN, spawn: None },
        connections: NonZeroU32::new(u32::try_from(SHARDS).unwrap()).unwrap(),
        room: NonZeroU32::MIN,
        stop: Stop { warmup: Nanos::ZERO, limit: Limit::Duration(hour), drain: hour },
        timeouts: Timeouts { connect: hour, request: hour, deadline: None },
        pacing: Pacing::Sleep,
        cores: Cores::new(vec![0; SHARDS]).unwrap(),
        reactor: Kind::Epoll,
        seed: 1,
    }
}

/// Names of the threads that belong to a run.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while it is looked at.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("pummel-")).collect()
}

/// The limit at which `more` files can be opened, beside those which are open.
fn room_for(more: usize, like: &TcpListener) -> u64 {
    // New files get the lowest free numbers, as these do.
    let files: Vec<_> = (0..more).map(|_| like.try_clone().unwrap()).collect();
    let highest = files.iter().map(AsRawFd::as_raw_fd).max().unwrap();
    u64::try_from(highest).unwrap() + 1
}

/// Two of the four shards find room for a reactor at most, so that some fail and some do not.
#[test]
fn a_shard_that_fails_ends_the_run_with_its_reason_and_all_other_shards() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let plan = plan(&target);
    let limit = getrlimit(Resource::Nofile);
    let scarce = Rlimit { current: Some(room_for(2, &target)), ..limit };
    setrlimit(Resource::Nofile, scarce).unwrap();
    let ended = run(plan, Observers::none(), &Control::default());
    setrlimit(Resource::Nofile, limit).unwrap();
    let error = ended.unwrap_err();
    let RunError::Shard { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()), "{error}");
    let deadline = clock::now() + PATIENCE;
    while !threads().is_empty() {
        assert!(clock::now() < deadline, "still there: {:?}", threads());
        thread::yield_now();
    }
}
