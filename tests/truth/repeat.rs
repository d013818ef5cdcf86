//! The same again: a seed is a run, whoever watches it.

use pummel_engine::plan::Plan;
use pummel_engine::reactor::sim::{
    Client, Entrance, Fault, Freeze, Knock, Law, Model, Service, Way, When, World, Wrong,
};
use pummel_engine::{Control, Event, Observers, Report, simulate};

use crate::plan::{micros, millis, on, open, secs};

/// A world with something of everything.
fn model(seed: u64) -> Model {
    Model {
        seed,
        way: Way { there: micros(90), back: micros(110), jitter: micros(400) },
        entrance: Entrance {
            takes: micros(300),
            most: Some(40),
            faults: vec![(When::Share(100_000), Knock::Refuse)],
        },
        service: Service::Parallel(Law::Exponential(millis(2))),
        freeze: Some(Freeze { first: secs(2), length: millis(300), every: Some(secs(2)) }),
        faults: vec![
            Fault { when: When::Share(2_000), what: Wrong::Lose },
            Fault { when: When::Share(2_000), what: Wrong::Reset },
            Fault { when: When::Nth(500), what: Wrong::Close },
            Fault { when: When::Share(10_000), what: Wrong::Unavailable },
        ],
        client: Client { late: Law::Exponential(micros(30)), ..Client::default() },
    }
}

fn plan() -> Plan {
    let mut plan = on(3, open(2_000, secs(5), 48));
    plan.timeouts.request = millis(500);
    plan.stop.warmup = millis(400);
    plan
}

/// All of a report.
fn all(report: &Report) -> String {
    format!("{report:?}")
}

fn report(seed: u64, observers: Observers) -> Report {
    simulate(plan(), &World::new(&model(seed)), observers, &Control::default()).unwrap()
}

#[test]
fn a_seed_gives_the_same_report_twice_and_another_one_another() {
    for seed in 1..4 {
        let once = report(seed, Observers::none());
        let again = report(seed, Observers::none());
        assert!(all(&once) == all(&again), "seed {seed} gives two reports");
        let other = report(seed + 100, Observers::none());
        assert!(all(&once) != all(&other), "seeds {seed} and {} give one report", seed + 100);
    }
}

#[test]
fn whoever_watches_a_run_changes_nothing() {
    let alone = report(5, Observers::none());
    let mut observers = Observers::none();
    let queues: Vec<_> = (0..3).map(|_| observers.add()).collect();
    let watched = report(5, observers);
    assert!(all(&alone) == all(&watched), "the report differs when watched");
    for queue in queues {
        let events: Vec<Event> = queue.iter().collect();
        assert!(matches!(events.first(), Some(Event::Started { .. })), "{events:?}");
        let Some(Event::Finished(told)) = events.last() else { panic!("{events:?}") };
        assert!(all(told) == all(&watched), "observers are told another report");
        let ticks = events.iter().filter(|event| matches!(event, Event::Tick(_))).count();
        assert!(ticks >= 10, "{ticks} ticks");
    }
}
