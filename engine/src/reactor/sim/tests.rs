//! What a world does, moment by moment.

use proptest::prelude::*;

use super::*;
use crate::units::Instant;

const REQUEST: usize = 40;

fn micros(n: u64) -> Nanos {
    Nanos::from_micros(n)
}

fn millis(n: u64) -> Nanos {
    Nanos::from_millis(n)
}

fn at(after: Nanos) -> Instant {
    ORIGIN + after
}

fn address() -> Address {
    Address::Inet(([127, 0, 0, 1], 80).into())
}

/// A reactor with connections that are established, and what it sends.
fn connected(model: &Model, connections: u32) -> (Sim, Payload) {
    connected_in(&World::new(model), connections)
}

fn connected_in(world: &World, connections: u32) -> (Sim, Payload) {
    let mut sim = world.reactor(connections, REQUEST);
    let payload = sim.publish(vec![b'x'; 8 * REQUEST], Confirm::Failure).unwrap();
    (0..connections).map(Slot).for_each(|slot| sim.connect(slot, &address(), None));
    let established = told(&mut sim, ORIGIN);
    assert_eq!(established.len(), connections as usize);
    (sim, payload)
}

/// What happened, when: of received bytes their number.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Connected(Slot),
    Received(Slot, usize),
    Ended(Slot),
    Sent(Slot),
    Failed(Slot, During, Errno),
}

/// What the next wait brings.
fn told(sim: &mut Sim, until: Instant) -> Vec<Told> {
    sim.wait(until).unwrap();
    let mut all = Vec::new();
    while let Some(completion) = sim.pop() {
        all.push(match completion {
            Completion::Connected(slot) => Told::Connected(slot),
            Completion::Received(slot, lease) => {
                let len = sim.bytes(&lease).len();
                sim.release(lease);
                Told::Received(slot, len)
            }
            Completion::Ended(slot) => Told::Ended(slot),
            Completion::Sent(slot) => Told::Sent(slot),
            Completion::Failed(slot, during, errno) => Told::Failed(slot, during, errno),
            Completion::Accepted(_) => unreachable!("nobody listens"),
        });
    }
    all
}

/// All that happens until `until`, with the moments.
fn story(sim: &mut Sim, until: Nanos) -> Vec<(Nanos, Told)> {
    let mut all = Vec::new();
    while sim.now() < at(until) {
        let batch = told(sim, at(until));
        let now = sim.now().since(ORIGIN);
        all.extend(batch.into_iter().map(|told| (now, told)));
    }
    all
}

/// A server that takes `takes`.
fn constant(takes: Nanos) -> Model {
    Model { service: Service::Parallel(Law::Constant(takes)), ..Model::default() }
}

fn faulty(what: Wrong) -> Model {
    let when = When::Every { of: 2, offset: 0 };
    Model { faults: vec![Fault { when, what }], ..constant(millis(1)) }
}

/// Length of an answer.
const ANSWER: usize = 49;

#[test]
fn the_clock_moves_in_waits_only_to_the_event_or_to_the_deadline() {
    let (mut sim, payload) = connected(&constant(millis(3)), 1);
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    assert_eq!((sim.clock(), sim.now()), (ORIGIN, ORIGIN));
    assert_eq!(told(&mut sim, at(millis(1))), []);
    assert_eq!(sim.now(), at(millis(1)));
    assert_eq!(told(&mut sim, at(millis(9))), [Told::Received(Slot(0), ANSWER)]);
    assert_eq!(sim.now(), at(millis(3)));
    let _nothing = told(&mut sim, ORIGIN);
    assert_eq!(sim.now(), at(millis(3)), "a poll takes no time");
}

#[test]
fn nothing_is_heard_of_an_earlier_life() {
    let (mut sim, payload) = connected(&constant(millis(3)), 1);
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    sim.close(Slot(0), Close::Finish);
    sim.connect(Slot(0), &address(), None);
    assert_eq!(told(&mut sim, ORIGIN), [Told::Connected(Slot(0))]);
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    let heard = story(&mut sim, millis(9));
    assert_eq!(heard, [(millis(3), Told::Received(Slot(0), 2 * ANSWER))]);
}

#[test]
fn answers_on_a_connection_do_not_overtake_each_other() {
    let way = Way { there: micros(100), back: micros(200), jitter: millis(5) };
    let (least, mut late) = (millis(1) + way.there + way.back, 0);
    for seed in 0..20 {
        let world = World::listed(&Model { seed, way, ..constant(millis(1)) });
        let (mut sim, payload) = connected_in(&world, 1);
        let _free = sim.send(Slot(0), payload, 0..6 * REQUEST);
        let heard = story(&mut sim, millis(20));
        let answered: Vec<_> = world.exchanges().iter().map(|e| e.answered.unwrap()).collect();
        let within = |at: Nanos| least <= at && at <= least + way.jitter;
        assert!(heard.iter().all(|(at, _)| within(*at)), "seed {seed}: {heard:?}");
        assert!(answered.is_sorted(), "seed {seed}: {answered:?}");
        late += answered.iter().filter(|&&moment| moment > answered[0]).count();
    }
    assert!(late > 50, "of 100 answers, {late} do not come with the first");
}

#[test]
fn a_confirmed_send_is_pending_for_a_while() {
    let (mut sim, _) = connected(&constant(millis(3)), 1);
    let payload = sim.publish(vec![b'x'; REQUEST], Confirm::Always).unwrap();
    assert_eq!(sim.send(Slot(0), payload, 0..REQUEST), Sending::Pending);
    let heard = story(&mut sim, millis(2));
    assert_eq!(heard, [(micros(1), Told::Sent(Slot(0)))]);
    assert_eq!(sim.send(Slot(0), payload, 0..REQUEST), Sending::Pending);
}

#[test]
fn a_request_is_asked_with_the_last_of_its_bytes_in_pages() {
    let world = World::listed(&constant(millis(3)));
    let (mut sim, payload) = connected_in(&world, 1);
    let mut asked = Vec::new();
    for len in [REQUEST / 4, REQUEST / 4, REQUEST / 2, 2 * REQUEST + 1, REQUEST - 1] {
        let mut page = sim.page();
        page.resize(len, b'x');
        assert_eq!(sim.send_page(Slot(0), page, Confirm::Always), Sending::Pending);
        asked.push(world.exchanges().len());
        assert_eq!(told(&mut sim, at(millis(1))), [Told::Sent(Slot(0))]);
    }
    assert_eq!(asked, [0, 0, 1, 3, 4]);
    let unused = sim.page();
    sim.give_page(unused);
    // Published requests may follow once the last one is whole.
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    assert_eq!(world.exchanges().len(), 5);
}

#[test]
#[should_panic(expected = "has ended within a request")]
fn a_request_does_not_begin_within_another() {
    let (mut sim, payload) = connected(&Model::default(), 1);
    let _pending = sim.send_page(Slot(0), vec![b'x'; REQUEST + 1], Confirm::Always);
    let _sent = told(&mut sim, at(millis(1)));
    let _sent = told(&mut sim, at(millis(1)));
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
}

#[test]
fn what_was_heard_can_be_changed_in_place() {
    let (mut sim, payload) = connected(&constant(millis(3)), 1);
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    sim.wait(at(millis(3))).unwrap();
    let Some(Completion::Received(_, lease)) = sim.pop() else { panic!("no answer") };
    sim.bytes_mut(&lease).fill(b'-');
    assert_eq!(sim.bytes(&lease), [b'-'; ANSWER]);
    sim.release(lease);
}

#[test]
#[should_panic(expected = "a send is pending")]
fn a_send_before_the_last_one_is_done_is_a_broken_contract() {
    let (mut sim, _) = connected(&Model::default(), 1);
    let payload = sim.publish(vec![b'x'; REQUEST], Confirm::Always).unwrap();
    let _pending = sim.send(Slot(0), payload, 0..REQUEST);
    let _pending = sim.send(Slot(0), payload, 0..REQUEST);
}

#[test]
#[should_panic(expected = "a lease was not released")]
fn a_lease_that_is_kept_is_a_broken_contract() {
    let (mut sim, payload) = connected(&Model::default(), 1);
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    sim.wait(ORIGIN).unwrap();
    let _kept = sim.pop();
    let _next = sim.pop();
}

#[test]
fn whoever_spins_in_vain_is_stopped() {
    let (mut sim, _) = connected(&Model::default(), 1);
    let spun = (0..100).take_while(|_| sim.wait(ORIGIN).is_ok()).count();
    assert_eq!(spun, IDLE_TURNS_MAX as usize);
}

#[test]
fn faults_say_what_they_are() {
    let half = ANSWER - 5;
    let reset = Told::Failed(Slot(0), During::Receive, Errno::RESET);
    let cases: [(Wrong, &[(Nanos, Told)]); 7] = [
        (Wrong::Slow(millis(2)), &[(millis(3), Told::Received(Slot(0), ANSWER))]),
        (Wrong::Lose, &[]),
        (Wrong::Reset, &[(millis(1), Told::Received(Slot(0), half)), (millis(1), reset)]),
        (
            Wrong::Cut,
            &[(millis(1), Told::Received(Slot(0), half)), (millis(1), Told::Ended(Slot(0)))],
        ),
        (Wrong::End, &[(millis(1), Told::Ended(Slot(0)))]),
        (
            Wrong::Leave,
            &[(millis(1), Told::Received(Slot(0), ANSWER)), (millis(1), Told::Ended(Slot(0)))],
        ),
        (Wrong::Unavailable, &[(millis(1), Told::Received(Slot(0), 55))]),
    ];
    for (what, expected) in cases {
        let (mut sim, payload) = connected(&faulty(what), 1);
        let _free = sim.send(Slot(0), payload, 0..REQUEST);
        assert_eq!(story(&mut sim, millis(9)), expected, "{what:?}");
    }
}

#[test]
fn a_body_drips_piece_by_piece() {
    let (mut sim, payload) = connected(&faulty(Wrong::Drip(micros(10))), 1);
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    let heard = story(&mut sim, millis(9));
    let pieces = (0..10).map(|n| {
        let len = if n == 0 { ANSWER - 9 } else { 1 };
        (millis(1) + micros(10 * n), Told::Received(Slot(0), len))
    });
    assert_eq!(heard, pieces.collect::<Vec<_>>());
}

#[test]
fn nothing_follows_a_request_that_was_lost_on_its_connection() {
    let (mut sim, payload) = connected(&faulty(Wrong::Lose), 2);
    let _free = sim.send(Slot(0), payload, 0..2 * REQUEST);
    // Number 2 is lost as well, and number 3 is not.
    let _free = sim.send(Slot(1), payload, 0..REQUEST);
    assert_eq!(story(&mut sim, millis(9)), []);
}

#[test]
fn a_failed_send_takes_what_follows_with_it() {
    let (mut sim, payload) = connected(&faulty(Wrong::FailSend), 1);
    let _free = sim.send(Slot(0), payload, 0..4 * REQUEST);
    sim.wait(ORIGIN).unwrap();
    let first = sim.pop().unwrap();
    assert!(matches!(first, Completion::Failed(Slot(0), During::Send, _)), "{first:?}");
    let second = sim.pop().unwrap();
    assert!(matches!(second, Completion::Failed(Slot(0), During::Receive, _)), "{second:?}");
    assert_eq!(story(&mut sim, millis(9)), []);
}

#[test]
fn an_entrance_has_so_many_places_and_gets_them_back() {
    let entrance = Entrance { most: Some(2), ..Entrance::default() };
    let faults = vec![Fault { when: When::Nth(1), what: Wrong::Close }];
    let mut sim = World::new(&Model { entrance, faults, ..Model::default() }).reactor(3, REQUEST);
    let payload = sim.publish(vec![b'x'; REQUEST], Confirm::Failure).unwrap();
    (0..3).map(Slot).for_each(|slot| sim.connect(slot, &address(), None));
    let refused = |slot| Told::Failed(Slot(slot), During::Connect, Errno::REFUSED);
    let connected = |slot| Told::Connected(Slot(slot));
    assert_eq!(told(&mut sim, ORIGIN), [connected(0), connected(1), refused(2)]);
    sim.close(Slot(2), Close::Finish);
    // The client leaves.
    sim.close(Slot(0), Close::Finish);
    sim.connect(Slot(2), &address(), None);
    assert_eq!(told(&mut sim, ORIGIN), [connected(2)]);
    sim.connect(Slot(0), &address(), None);
    assert_eq!(told(&mut sim, ORIGIN), [refused(0)]);
    sim.close(Slot(0), Close::Finish);
    // The server leaves: its place is free before the client has closed.
    let _free = sim.send(Slot(1), payload, 0..REQUEST);
    let _free = sim.send(Slot(1), payload, 0..REQUEST);
    assert_eq!(told(&mut sim, ORIGIN).last(), Some(&Told::Ended(Slot(1))));
    sim.connect(Slot(0), &address(), None);
    assert_eq!(told(&mut sim, ORIGIN), [connected(0)]);
    sim.close(Slot(1), Close::Finish);
    sim.connect(Slot(1), &address(), None);
    assert_eq!(told(&mut sim, ORIGIN), [refused(1)], "a place is given back once");
}

#[test]
fn doors_do_what_they_are_told() {
    let attempt = |knock| {
        let faults = vec![(When::Every { of: 1, offset: 0 }, knock)];
        let entrance = Entrance { takes: micros(30), most: None, faults };
        let mut sim = World::new(&Model { entrance, ..Model::default() }).reactor(1, REQUEST);
        sim.connect(Slot(0), &address(), None);
        story(&mut sim, millis(1))
    };
    let refused = Told::Failed(Slot(0), During::Connect, Errno::REFUSED);
    assert_eq!(attempt(Knock::Refuse), [(micros(30), refused)]);
    assert_eq!(attempt(Knock::Ignore), []);
    let slammed = [(micros(30), Told::Connected(Slot(0))), (micros(30), Told::Ended(Slot(0)))];
    assert_eq!(attempt(Knock::Slam), slammed);
}

#[test]
fn sleepers_are_late_and_those_who_spin_are_not() {
    let late = Client { late: Law::Constant(micros(40)), stalls: Vec::new() };
    let (mut sim, _) = connected(&Model { client: late, ..Model::default() }, 1);
    assert_eq!(told(&mut sim, at(millis(1))), []);
    assert_eq!(sim.now(), at(millis(1) + micros(40)));
    sim.spin(at(millis(2))).unwrap();
    assert_eq!((sim.now(), sim.spun()), (at(millis(2)), micros(960)));
}

#[test]
fn a_client_that_stands_still_goes_on_at_the_end_of_that() {
    let stall = |at, length| Stall { at: millis(at), length: millis(length) };
    let client = Client { stalls: vec![stall(5, 3), stall(7, 2)], ..Client::default() };
    let (mut sim, payload) = connected(&Model { client, ..constant(millis(1)) }, 1);
    sim.wait(at(millis(20))).unwrap();
    assert_eq!(sim.now(), at(millis(20)), "times count from the first request");
    let _free = sim.send(Slot(0), payload, 0..REQUEST);
    let heard = story(&mut sim, millis(24));
    assert_eq!(heard, [(millis(21), Told::Received(Slot(0), ANSWER))]);
    sim.spin(at(millis(26))).unwrap();
    assert_eq!(sim.now(), at(millis(29)), "whoever spins stands still as well");
}

#[test]
fn shards_of_one_world_share_its_server() {
    let model = Model { service: Service::Queue(Law::Constant(millis(1))), ..Model::default() };
    let world = World::listed(&model);
    let shards = [world.reactor(1, REQUEST), world.reactor(1, REQUEST)];
    let heard = shards.map(|mut sim| {
        let payload = sim.publish(vec![b'x'; REQUEST], Confirm::Failure).unwrap();
        sim.connect(Slot(0), &address(), None);
        assert_eq!(told(&mut sim, ORIGIN).len(), 1);
        let _free = sim.send(Slot(0), payload, 0..REQUEST);
        story(&mut sim, millis(9))[0].0
    });
    assert_eq!(heard, [millis(1), millis(2)]);
    let answered = |n| Some(at(millis(n)));
    let expected = [
        Exchange { sent: ORIGIN, line: 0, answered: answered(1) },
        Exchange { sent: ORIGIN, line: 1, answered: answered(2) },
    ];
    assert_eq!(world.exchanges(), expected);
}

/// Answers of a run of requests, each sent so long after the one before it.
fn answers(model: &Model, gaps: &[u64]) -> Vec<u64> {
    let world = World::listed(model);
    let mut sim = world.reactor(1, REQUEST);
    let payload = sim.publish(vec![b'x'; REQUEST], Confirm::Failure).unwrap();
    sim.connect(Slot(0), &address(), None);
    assert_eq!(told(&mut sim, ORIGIN).len(), 1);
    let mut next = Nanos::ZERO;
    for &gap in gaps {
        next += micros(gap);
        let _heard = story(&mut sim, next);
        let _free = sim.send(Slot(0), payload, 0..REQUEST);
    }
    let exchanges = world.exchanges();
    let first = exchanges[0].sent;
    let answered = exchanges.iter().map(|exchange| exchange.answered.unwrap());
    answered.map(|answered| answered.since(first).get() / 1_000).collect()
}

proptest! {
    /// A server that is simulated microsecond by microsecond, and not solved.
    #[test]
    fn a_queue_is_worked_off_between_freezes(
        gaps in prop::collection::vec(1_u64..400, 1..20),
        takes in 1_u64..200,
        (first, length, rest) in (0_u64..500, 1_u64..300, 1_u64..300),
    ) {
        let freeze = Freeze {
            first: micros(first),
            length: micros(length),
            every: Some(micros(length + rest)),
        };
        let model = Model {
            service: Service::Queue(Law::Constant(micros(takes))),
            freeze: Some(freeze),
            ..Model::default()
        };
        let frozen = |time: u64| time >= first && (time - first) % (length + rest) < length;
        let (mut time, mut arrived, mut truth) = (0, 0, Vec::new());
        for (number, gap) in gaps.iter().enumerate() {
            // The first request is sent at the time that all others count from.
            arrived += if number == 0 { 0 } else { *gap };
            time = arrived.max(time);
            let mut left = takes;
            while left > 0 {
                left -= u64::from(!frozen(time));
                time += 1;
            }
            truth.push(time);
        }
        prop_assert_eq!(answers(&model, &gaps), truth);
    }

    #[test]
    fn a_freeze_holds_what_falls_into_it(time in 0_u64..5_000, once: bool) {
        let every = (!once).then(|| micros(1_000));
        let freeze = Freeze { first: micros(700), length: micros(200), every };
        let model = Model { freeze: Some(freeze), ..constant(micros(time)) };
        let within = if once { time } else { time % 1_000 };
        let frozen = (700..900).contains(&within);
        let end = if once { 900 } else { time / 1_000 * 1_000 + 900 };
        prop_assert_eq!(answers(&model, &[1]), [if frozen { end } else { time }]);
    }
}

#[test]
fn laws_are_drawn_from_their_seed() {
    let times = |seed, law| {
        let model = Model { seed, service: Service::Parallel(law), ..Model::default() };
        let mut answered = answers(&model, &[20_000; 300]);
        (1..300).rev().for_each(|n| answered[n] -= 20_000 * n as u64);
        answered
    };
    let law = Law::Bimodal { short: micros(10), long: millis(1), longs: 250_000 };
    let drawn = times(1, law);
    let longs = drawn.iter().filter(|&&time| time == 1_000).count();
    assert!((50..100).contains(&longs), "{longs} of 300");
    assert_eq!(drawn.iter().filter(|&&time| time == 10).count(), 300 - longs);
    assert_eq!(drawn, times(1, law));
    assert_ne!(drawn, times(2, law));
    assert_ne!(times(1, Law::Exponential(millis(1))), times(2, Law::Exponential(millis(1))));
}
