//! One run of one contender: what it did, and what that cost.

use std::{num::NonZeroU64, path::Path};

use anyhow::{Context, Result, bail, ensure};
use benches::bare_loop::per;
use serde::Serialize;

use crate::{
    meter::{Cost, End, MeterArgs},
    metered::{Metered, printed},
    tools::{Amount, Contender, Work},
};

/// A run in which every request was completed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Run {
    /// Requests completed, in the contender's own count.
    pub(crate) requests: NonZeroU64,
    /// What they cost, starting and connecting included, for all contenders alike.
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

impl Run {
    /// CPU time per request, user and system, in µs.
    #[must_use]
    pub(crate) fn cpu_us(&self) -> f64 {
        per(self.cost.cpu_user_us + self.cost.cpu_sys_us, self.requests)
    }

    /// The part of it in user space.
    #[must_use]
    pub(crate) fn user_us(&self) -> f64 {
        per(self.cost.cpu_user_us, self.requests)
    }

    /// Requests per second of wall time.
    #[must_use]
    pub(crate) fn rate(&self) -> f64 {
        per(self.requests.get(), NonZeroU64::MIN) / self.cost.seconds
    }

    /// Peak resident memory in MiB.
    #[must_use]
    pub(crate) fn peak_rss_mib(&self) -> f64 {
        const KIB_PER_MIB: NonZeroU64 = NonZeroU64::new(1024).unwrap();
        per(self.cost.peak_rss_kib, KIB_PER_MIB)
    }
}

/// Runs a contender once, at most `bound` seconds long.
///
/// # Errors
/// The run failed in any way: it could not start, did not end, or left work undone. The text is
/// meant for the row of the contender.
pub(crate) fn measure(
    contender: &Contender,
    work: &Work,
    bound: u64,
    directory: &Path,
) -> Result<Run> {
    let args = MeterArgs {
        core: work.core,
        bound,
        directory: directory.to_owned(),
        command: contender.command(work),
    };
    let cost = Metered::start(&args)?.finish()?;
    let output = printed(directory, "stdout");
    match cost.end {
        End::Exited(0) => {}
        End::Exited(code) => {
            let errors = printed(directory, "stderr");
            let last = [&output, &errors].into_iter().flat_map(|text| text.lines()).last();
            bail!("exit code {code}: {}", last.unwrap_or("no output"));
        }
        End::Signalled => bail!("ended by a signal"),
        End::OutOfTime => bail!("ended after {bound} s without a result"),
        End::Released => bail!("released before its end"),
    }
    let requests = contender.tally(&output).context("count the requests")?.0;
    if contender.tool.amount == Amount::Requests {
        ensure!(requests == work.requests, "completed {requests} of {} requests", work.requests);
    }
    let requests = NonZeroU64::new(requests).context("completed no request")?;
    Ok(Run { requests, cost })
}
