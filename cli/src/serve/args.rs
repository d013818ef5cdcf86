//! AS TYPED: the words of `pummel target`, and what they mean.

use core::num::{NonZeroU32, NonZeroU64};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use pummel_engine::reactor::Wish;
use pummel_engine::tls::Acceptor;
use pummel_engine::units::Nanos;
use pummel_tuning::{CpuList, Wanted, inspect, place};

use super::ServeError;
use super::certificate::Certificate;
use super::coding::Coding;
use super::h2::Manners;
use super::law::Service;
use super::model::{Faults, Freeze, Slow, Timing, Turn};
use super::reply::{Broken, Shape, TEXT};
use super::script::Script;
use crate::config::{self, duration};
use crate::output::stderr;

/// Longest body; it is held in memory, a few times over.
const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What may be typed after `pummel target`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// End when standard input is closed
    #[arg(long)]
    pub(super) until_stdin_closes: bool,
    /// End after this time
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(super) duration: Option<Nanos>,
    /// Write when each request arrived, was to be answered and was answered, as CSV, at the end;
    /// the first 10 million requests at most
    #[arg(long, value_name = "FILE")]
    pub(super) log_arrivals: Option<PathBuf>,
    #[command(flatten)]
    pub(super) machine: TargetMachineArgs,
    #[command(flatten)]
    tls: TargetTlsArgs,
    #[command(flatten)]
    answer: AnswerArgs,
    #[command(flatten)]
    timing: TimingArgs,
    #[command(flatten)]
    fault: FaultArgs,
}

/// Shards, CPUs and the kernel.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Machine")]
pub(super) struct TargetMachineArgs {
    /// Shards, one thread each [default: one per CPU of --cores, else 1]
    #[arg(long, value_name = "N")]
    pub(super) shards: Option<NonZeroU32>,
    /// CPUs to pin the shards to: 1,3-5
    #[arg(long, value_name = "LIST")]
    pub(super) cores: Option<CpuList>,
    /// How to meet the kernel: auto, uring or epoll
    #[arg(long, value_name = "KIND", default_value = "auto",
          value_parser = |kind: &str| config::reactor(Some(kind)))]
    pub(super) reactor: Wish,
    /// Poll instead of sleeping [default: when replies are timed]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    spin: Option<bool>,
}

/// How connections are secured.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "TLS")]
struct TargetTlsArgs {
    /// Serve over TLS, with a certificate made for the occasion
    #[arg(long)]
    tls: bool,
    /// The certificate to show instead, and its issuers, in PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key to it, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Write the certificate to this file, for clients to believe it
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    write_cert: Option<PathBuf>,
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Answers")]
struct AnswerArgs {
    /// Bytes of the body
    #[arg(long, value_name = "BYTES", default_value_t = 13,
          value_parser = clap::value_parser!(u64).range(..=BODY_BYTES_MAX))]
    body_size: u64,
    /// The content coding of the body, whatever a client accepts
    #[arg(long, value_name = "CODING", value_enum)]
    encoding: Option<Coding>,
    /// Send the body in chunks, with extensions and a trailer
    #[arg(long)]
    chunked: bool,
    /// Statuses, in turns: 200,200,500
    #[arg(long, value_name = "STATUS", default_value = "200", value_delimiter = ',',
          value_parser = clap::value_parser!(u16).range(200..=599))]
    status: Vec<u16>,
    /// Where redirects lead: the field Location of 301, 302, 303, 307 and 308
    #[arg(long, value_name = "URL", value_parser = location)]
    location: Option<String>,
    /// Close each connection with the answer to its N-th request
    #[arg(long, value_name = "N")]
    close_after: Option<NonZeroU64>,
    /// HTTP/2: streams that a client may have open at once
    #[arg(long, value_name = "N", default_value_t = STREAMS_MAX,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_streams: u32,
}

/// A text that can stand in the field Location of a response.
fn location(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
        .ok_or_else(|| "it is empty or has what no URL has; write other characters as %XX".into())
}

/// Streams that a client may have open at once, unless told otherwise.
const STREAMS_MAX: u32 = 1024;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Timing")]
struct TimingArgs {
    /// From the complete request to its reply
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    delay: Option<Nanos>,
    /// A queue: per shard, requests are served one after the other, each for this time
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    service_time: Option<Nanos>,
    /// Whether each takes exactly that time, or that time in the mean [default: constant]
    #[arg(long, value_name = "LAW", value_enum, requires = "service_time")]
    service_law: Option<Law>,
    /// Seed of the law [default: 1]
    #[arg(long, value_name = "N", requires = "service_law")]
    seed: Option<u64>,
    /// Every N-th reply takes longer
    #[arg(long, value_name = "N", requires = "slow_by")]
    slow_every: Option<NonZeroU64>,
    /// By how much
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "slow_every")]
    slow_by: Option<Nanos>,
    /// No replies during the first part of each period; what is due then leaves at its end, at
    /// once, or with a queue as fast as it is served
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "freeze_every")]
    freeze: Option<Nanos>,
    /// The period
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "freeze")]
    freeze_every: Option<Nanos>,
    /// From the start of the target to the first period [default: 0]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "freeze")]
    freeze_offset: Option<Nanos>,
    /// Send the body in small pieces over this time
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    drip: Option<Nanos>,
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Faults")]
struct FaultArgs {
    /// Reset the connection in the middle of every N-th body
    #[arg(long, value_name = "N")]
    reset_every: Option<NonZeroU64>,
    /// But of the request K, and every N-th after it [default: N]
    #[arg(long, value_name = "K", requires = "reset_every")]
    reset_offset: Option<u64>,
    /// Never answer every N-th request
    #[arg(long, value_name = "N")]
    silent_every: Option<NonZeroU64>,
    /// But the request K, and every N-th after it [default: N]
    #[arg(long, value_name = "K", requires = "silent_every")]
    silent_offset: Option<u64>,
    /// Answer with what breaks the protocol
    #[arg(long, value_name = "KIND", value_enum)]
    r#break: Option<Broken>,
    /// But only every N-th request [default: 1]
    #[arg(long, value_name = "N", requires = "break")]
    break_every: Option<NonZeroU64>,
    /// HTTP/2: ask the client to go with the N-th stream of each connection
    #[arg(long, value_name = "N")]
    h2_goaway_after: Option<NonZeroU64>,
    /// HTTP/2: refuse every N-th request, as not processed
    #[arg(long, value_name = "N")]
    h2_refuse_every: Option<NonZeroU64>,
    /// HTTP/2: reset the stream of every N-th request, with an internal error
    #[arg(long, value_name = "N")]
    h2_reset_every: Option<NonZeroU64>,
}

/// How service times are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Law {
    /// All the same
    Constant,
    /// With as many short ones as a memoryless server has
    Exponential,
}

/// Seed of the law if none is given.
const SEED: u64 = 1;

impl TargetArgs {
    /// What the words say about answers.
    ///
    /// # Errors
    /// [`ServeError::Usage`] if they do not go together.
    pub(super) fn script(&self) -> Result<Script, ServeError> {
        let timing = self.timing.understand()?;
        Ok(Script {
            shape: self.answer.shape(self.fault.r#break.unwrap_or_default())?,
            faults: self.fault.understand()?,
            close_after: self.answer.close_after,
            spins: self.machine.spin.unwrap_or(timing.is_timed()),
            timing,
            manners: Manners {
                streams_max: self.answer.max_streams,
                goaway_after: self.fault.h2_goaway_after.map_or(u64::MAX, NonZeroU64::get),
            },
            acceptor: self.tls.understand(self.listen.ip())?,
        })
    }

    /// One entry per shard: the CPU to pin it to, if there is one.
    ///
    /// # Errors
    /// [`ServeError::Placement`] if there are too few CPUs, or one that is not ours.
    pub(super) fn shards(&self) -> Result<Vec<Option<usize>>, ServeError> {
        let TargetMachineArgs { shards, cores, .. } = self.machine.clone();
        if cores.is_none() {
            return Ok(vec![None; shards.map_or(1, NonZeroU32::get).min(SHARDS_MAX) as usize]);
        }
        let placement = place(&inspect(), &Wanted { shards, cores })?;
        Ok(placement.shards.into_iter().map(Some).collect())
    }
}

impl AnswerArgs {
    fn shape(&self, broken: Broken) -> Result<Shape, ServeError> {
        let body_bytes = usize::try_from(self.body_size).unwrap_or(usize::MAX);
        let code = |coding: Coding| {
            let body: Vec<u8> = TEXT.iter().copied().cycle().take(body_bytes).collect();
            coding.code(&body).map_err(|error| usage(&format!("--encoding: {error}")))
        };
        let coded = self.encoding.map(code).transpose()?;
        Ok(Shape {
            statuses: self.status.clone(),
            body_bytes: coded.as_ref().map_or(body_bytes, |coded| coded.bytes.len()),
            coded,
            chunked: self.chunked,
            location: self.location.clone(),
            broken,
        })
    }
}

/// Most shards that are not pinned; more than any machine has a use for.
const SHARDS_MAX: u32 = 1024;

/// The words make no sense together.
fn usage(text: &str) -> ServeError {
    ServeError::Usage(text.to_owned())
}

impl TargetTlsArgs {
    fn understand(&self, listen: IpAddr) -> Result<Option<Acceptor>, ServeError> {
        let shown = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some(Certificate::read(cert, key)?),
            _ if self.tls => Some(Certificate::make(listen)?),
            _ => None,
        };
        match (&self.write_cert, &shown) {
            (None, _) => {}
            (Some(path), Some(shown)) => {
                shown.write(path)?;
                stderr::line(&format!("the certificate is in {}", path.display()));
            }
            (Some(_), None) => return Err(usage("--write-cert is for TLS; give --tls with it")),
        }
        shown.map(|shown| shown.acceptor()).transpose()
    }
}

impl FaultArgs {
    fn understand(&self) -> Result<Faults, ServeError> {
        let broken = self.r#break.map(|_| self.break_every.unwrap_or(NonZeroU64::MIN));
        Ok(Faults {
            reset: turn("reset", self.reset_every, self.reset_offset)?,
            silent: turn("silent", self.silent_every, self.silent_offset)?,
            broken: broken.map(Turn::every),
            stream_refused: self.h2_refuse_every.map(Turn::every),
            stream_reset: self.h2_reset_every.map(Turn::every),
        })
    }
}

/// The turn of the fault `name`, if it has one.
fn turn(
    name: &str,
    every: Option<NonZeroU64>,
    offset: Option<u64>,
) -> Result<Option<Turn>, ServeError> {
    let Some(every) = every else { return Ok(None) };
    let offset = offset.unwrap_or(0);
    let refused = || {
        let last = every.get() - 1;
        usage(&format!("no request is ever the one of --{name}-offset {offset}; give 0 to {last}"))
    };
    Turn::new(every, offset).ok_or_else(refused).map(Some)
}

impl TimingArgs {
    fn service(&self) -> Result<Service, ServeError> {
        let law = self.service_law.unwrap_or(Law::Constant);
        match (self.service_time.unwrap_or_default(), law) {
            (_, Law::Constant) if self.seed.is_some() => {
                Err(usage("a constant takes no --seed; give --service-law exponential with it"))
            }
            (Nanos::ZERO, _) => Ok(Service::None),
            (time, Law::Constant) => Ok(Service::Constant(time)),
            (mean, Law::Exponential) => {
                Ok(Service::Exponential { mean, seed: self.seed.unwrap_or(SEED) })
            }
        }
    }

    fn understand(&self) -> Result<Timing, ServeError> {
        let freeze = match (self.freeze, self.freeze_every) {
            (Some(span), Some(period)) => {
                let refused = || {
                    usage("a freeze must end before the next begins; give a longer --freeze-every")
                };
                let offset = self.freeze_offset.unwrap_or_default();
                Some(Freeze::new(span, period, offset).ok_or_else(refused)?)
            }
            _ => None,
        };
        let slow = self.slow_every.zip(self.slow_by).map(|(every, by)| {
            let turn = Turn::every(every);
            Slow { turn, by }
        });
        Ok(Timing {
            service: self.service()?,
            delay: self.delay.unwrap_or_default(),
            slow,
            freeze,
            drip: self.drip.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        target: TargetArgs,
    }

    fn words(line: &str) -> Result<TargetArgs, clap::Error> {
        let words = ["target"].into_iter().chain(line.split_whitespace());
        Words::try_parse_from(words).map(|words| words.target)
    }

    #[test]
    fn without_a_word_it_answers_hello_at_once_and_sleeps_when_idle() {
        let script = words("").unwrap().script().unwrap();
        assert_eq!(script.shape.statuses, [200]);
        assert_eq!(script.shape.body_bytes, 13);
        assert!(!script.timing.is_timed() && !script.spins);
    }

    #[test]
    fn a_timed_target_spins_unless_told_otherwise() {
        assert!(words("--delay 1ms").unwrap().script().unwrap().spins);
        assert!(!words("--delay 1ms --spin=false").unwrap().script().unwrap().spins);
        assert!(words("--spin").unwrap().script().unwrap().spins);
    }

    #[test]
    fn the_law_of_the_queue_is_constant_unless_told_otherwise_and_its_seed_is_known() {
        let law = |line: &str| words(line).unwrap().script().unwrap().timing.service;
        let mean = Nanos::from_millis(1);
        assert_eq!(law(""), Service::None);
        assert_eq!(law("--service-time 0 --service-law exponential"), Service::None);
        assert_eq!(law("--service-time 1ms"), Service::Constant(mean));
        let exponential = "--service-time 1ms --service-law exponential";
        assert_eq!(law(exponential), Service::Exponential { mean, seed: 1 });
        let seeded = format!("{exponential} --seed 9");
        assert_eq!(law(&seeded), Service::Exponential { mean, seed: 9 });
    }

    #[test]
    fn a_fault_that_would_never_happen_is_refused_with_what_to_give() {
        let line = "--silent-every 100 --reset-every 1000 --reset-offset 1050";
        let error = words(line).unwrap().script().unwrap_err().to_string();
        assert_eq!(error, "no request is ever the one of --reset-offset 1050; give 0 to 999");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--status 100",
            "--status 200,600",
            "--delay -1s",
            "--delay 1d",
            "--freeze 1s",
            "--slow-every 2",
            "--slow-every 0 --slow-by 1s",
            "--break nonsense",
            "--break-every 2",
            "--service-law exponential",
            "--service-time 1ms --service-law gamma",
            "--service-time 1ms --seed 1",
            "--service-time 1ms --service-law exponential --seed -1",
            "--freeze-offset 1s",
            "--reset-offset 1",
            "--silent-offset 1",
            "--log-arrivals",
            "--body-size 1000000000000",
            "--encoding compress",
            "--listen nowhere",
            "--reactor select",
            "--shards 0",
            "--cores 1-0",
            "--cert a.pem",
            "--key a.pem",
            "--tls --cert a.pem --key b.pem --write-cert c.pem",
            "--max-streams 0",
            "--max-streams 65537",
            "--h2-refuse-every 0",
        ] {
            assert!(words(line).is_err(), "{line}");
        }
        for line in [
            "--freeze 1s --freeze-every 1s",
            "--freeze 0 --freeze-every 0",
            "--service-time 1ms --service-law constant --seed 1",
            "--reset-every 50 --reset-offset 50",
            "--silent-every 1 --silent-offset 1",
            "--write-cert c.pem",
        ] {
            assert!(words(line).unwrap().script().is_err(), "{line}");
        }
        for line in ["--shards 9000 --cores 0", "--cores 8000"] {
            assert!(words(line).unwrap().shards().is_err(), "{line}");
        }
    }

    #[test]
    fn shards_are_pinned_if_cpus_are_named() {
        let cpu = inspect().cpus.allowed.iter().next().unwrap();
        assert_eq!(words(&format!("--cores {cpu}")).unwrap().shards().unwrap(), [Some(cpu)]);
        assert_eq!(words("--shards 2").unwrap().shards().unwrap(), [None, None]);
        assert_eq!(words("").unwrap().shards().unwrap(), [None]);
    }
}
