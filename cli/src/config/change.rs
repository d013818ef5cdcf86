//! From an edited file to another load for a run that goes on.

use anyhow::{Result, anyhow, bail, ensure};
use pummel_engine::plan::{Change, ChangeError, Load, Order, Plan, Shape};

use super::Config;

/// The load that `config` asks for, as a change of the run of `plan`: all of it, whether or not it
/// is another.
///
/// # Errors
/// If that run cannot be loaded so, with what to do.
pub(crate) fn change(plan: &Plan, config: &Config) -> Result<Change> {
    let stages = match (&plan.load, &config.load) {
        (Load::Open { timetable: begun, .. }, Load::Open { timetable, .. }) => {
            match (&begun.shape, &timetable.shape) {
                (Shape::Stages(_), Shape::Stages(stages)) => Some(stages.clone()),
                _ => None,
            }
        }
        (Load::Closed { .. }, Load::Closed { .. }) => None,
        (Load::Open { .. }, Load::Closed { .. }) => bail!(
            "the run has a schedule, and without a rate there is none; put it back, or restart"
        ),
        (Load::Closed { .. }, Load::Open { .. }) => {
            bail!("the run is a closed loop, and a rate makes it another; leave it out, or restart")
        }
    };
    let work = &config.work;
    ensure!(
        work.order() == plan.work.order(),
        "rates of scenarios cannot come or go while the run goes on; put them back, or restart"
    );
    let weighed = matches!(work.order(), Order::ByWeight | Order::InProportion);
    let weights = || work.scenarios().iter().map(|scenario| scenario.weight).collect();
    let change = Change {
        stages,
        transition: config.watch.unwrap_or_default(),
        connections: Some(config.connections),
        weights: weighed.then(weights),
    };
    plan.allows(&change).map(|()| change).map_err(|error| match error {
        ChangeError::Connections { asked, most, .. } if asked > most => anyhow!(
            "-c {asked} is more than the {most} that this run has room for; \
             give less, or a higher --max-connections with which to begin"
        ),
        ChangeError::Connections { asked, least, .. } => {
            anyhow!("-c {asked} leaves a shard without any; give {least} or more, one for each")
        }
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use core::num::NonZeroU32;
    use pummel_engine::plan::{Cores, Stages};
    use pummel_engine::reactor::Kind;
    use pummel_engine::units::{Nanos, Rate};

    fn config(words: &str) -> Config {
        Config::understand(&crate::args::words(&format!("p 127.0.0.1 --watch {words}")).run)
            .unwrap()
    }

    fn plan(words: &str) -> Plan {
        let host = pummel_tuning::inspect();
        let plan = config::plan(&config(words), &host, Kind::Epoll).unwrap().0;
        Plan { cores: Cores::new(vec![0, 1]).unwrap(), ..plan }
    }

    fn refused(begun: &str, edited: &str) -> String {
        change(&plan(begun), &config(edited)).unwrap_err().to_string()
    }

    #[test]
    fn rate_and_connections_become_a_change() {
        let edited = config("-c 16 --rate 800 --watch-transition 5s");
        let made = change(&plan("-c 8 --rate 500"), &edited).unwrap();
        let rate = made.stages.as_ref().and_then(Stages::only_rate).map(Rate::per_second);
        assert_eq!(rate, Some(800.0));
        assert_eq!(made.connections, NonZeroU32::new(16));
        assert_eq!(made.transition, Nanos::from_secs(5));
        assert!(change(&plan("-c 8"), &config("-c 9")).unwrap().stages.is_none());
    }

    #[test]
    fn what_the_run_cannot_become_is_refused() {
        assert!(refused("-c 8 --rate 5", "-c 8").contains("without a rate there is none"));
        assert!(refused("-c 8", "-c 8 --rate 5").contains("the run is a closed loop"));
        let more = refused("-c 8 --max-connections 20", "-c 21 --max-connections 21");
        assert!(more.starts_with("-c 21 is more than the 20 that"), "{more}");
        assert!(refused("-c 8", "-c 1").starts_with("-c 1 leaves a shard without any; give 2"));
        assert!(refused("-c 8", "-c 81").starts_with("-c 81 is more than the 80 that"));
    }
}
