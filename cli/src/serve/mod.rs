//! The built-in target: a server of HTTP/1.1 and HTTP/2 that answers as told, and says what it did.
//!
//! For tests, for calibration and for the newcomer who has no server at hand. It is built like the
//! load generator, thread per core on the same reactor, because it must outrun it: a benchmark
//! against a slower server measures the server. And it is the other side's witness: when it ends,
//! it prints as JSON when requests arrived and how regularly, for a client's report to be compared
//! with.
//!
//! | file | what it knows |
//! |---|---|
//! | `args`, `script` | what may be typed, and what it means |
//! | `shard` | one core: the loop |
//! | `desk` | from bytes to what is owed for them |
//! | `conn` | one connection: what it is owed, in which order |
//! | `h2` | the same for one that speaks HTTP/2 |
//! | `secure`, `certificate` | one that speaks TLS, and what it is shown |
//! | `request` | where a request ends |
//! | `model` | when a reply leaves, and what is wrong with it |
//! | `law` | how long the server of a queue works on a request |
//! | `reply` | what a reply looks like |
//! | `log` | what was done |
//! | `bins` | how many requests arrived when |
//! | `record` | when each request arrived and was answered, as a file |

mod args;
mod bins;
mod certificate;
mod coding;
mod conn;
mod desk;
mod h2;
mod law;
mod log;
mod model;
mod record;
mod reply;
mod request;
mod script;
mod secure;
mod shard;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use pummel_engine::reactor::{
    ChooseError, Epoll, Kind, Reactor, Uring, choose, clock, listeners, thread as os_thread,
};
use pummel_engine::units::{Instant, Nanos};
use pummel_tuning::{PlacementError, raise_open_files};

pub(crate) use args::TargetArgs;
pub(crate) use law::Service as ServiceLaw;
pub(crate) use record::{Arrival, read as read_arrivals};

use self::log::{Document, Log, Server};
use self::script::Script;
use self::shard::{Ending, Post, Shard};
use crate::output::{self, stderr};

/// Connections that a shard serves at once, if so many files may be open. More are turned away.
const SLOTS_MAX: u32 = 16 * 1024;

/// Files that are open besides connections, with room to spare.
const FILES_RESERVED: u64 = 64;

/// Why the target cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The words make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; try --listen 127.0.0.1:0")]
    Listen { address: SocketAddr, source: io::Error },
    /// The file for the record of arrivals cannot be written.
    #[error("--log-arrivals {}: {source}; name a file that can be written", path.display())]
    Record { path: PathBuf, source: io::Error },
    /// There is no certificate to show, or it cannot be written.
    #[error("{0:#}")]
    Certificate(anyhow::Error),
    /// The shards cannot be placed on the CPUs.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The reactor that was asked for does not work here.
    #[error(transparent)]
    Reactor(#[from] ChooseError),
    /// A shard could not start, or could not go on.
    #[error("shard {shard} failed: {source}")]
    Shard { shard: usize, source: io::Error },
    /// Not every shard began to serve, and none says why.
    #[error("not every shard began to serve; try fewer --shards")]
    Unready,
    /// A signal cannot be waited for, or standard output is gone.
    #[error("cannot talk to the outside: {0}")]
    Outside(#[from] io::Error),
}

/// Serves until a signal, the end of standard input or the end of its time, whichever was asked for
/// and comes first. Prints the address as its first line, and at the end what it did.
///
/// # Errors
/// [`ServeError`] if it cannot serve, or no longer.
pub(crate) fn run(args: &TargetArgs) -> Result<(), ServeError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let target = Target::start(args, Arc::clone(&stop))?;
    output::stdout(|to| writeln!(to, "listening on {}", target.url))?;
    if args.until_stdin_closes {
        thread::spawn(move || {
            // An error ends it just as well.
            let _ended = io::copy(&mut io::stdin().lock(), &mut io::sink());
            stop.store(true, Ordering::Relaxed);
        });
    }
    let document = target.join()?;
    Ok(output::stdout(|to| {
        serde_json::to_writer(&mut *to, &document)?;
        writeln!(to)
    })?)
}

/// The service times of the queue of a target's first shard, one request after the other.
pub(crate) fn service_times(law: ServiceLaw) -> impl Iterator<Item = Nanos> {
    let mut times = law::Times::of(law.of_shard(0));
    iter::from_fn(move || times.draw())
}

/// A server that runs.
struct Target {
    url: String,
    kind: Kind,
    script: Arc<Script>,
    /// When its models began to count time.
    origin: Instant,
    shards: Vec<JoinHandle<io::Result<Log>>>,
    /// Where the record of arrivals is written to, if one is kept.
    record: Option<Recipient>,
}

/// An open file for the record of arrivals.
struct Recipient {
    path: PathBuf,
    file: File,
}

impl Recipient {
    /// Opens it before anything else is done: a name that does not do is known at once.
    fn create(path: PathBuf) -> Result<Self, ServeError> {
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(ServeError::Record { path, source }),
        }
    }

    fn write(self, logs: &[Log]) -> Result<(), ServeError> {
        let records = logs.iter().filter_map(|log| log.record.as_ref());
        let written = record::write(records, self.file);
        written.map_err(|source| ServeError::Record { path: self.path, source })
    }
}

impl Target {
    /// Listens, and starts the shards, which serve until `stop`. Returns when all of them do.
    fn start(args: &TargetArgs, stop: Arc<AtomicBool>) -> Result<Self, ServeError> {
        Self::start_on(args.shards()?, args, stop)
    }

    /// The same, with one shard for each of `cpus`.
    fn start_on(
        cpus: Vec<Option<usize>>,
        args: &TargetArgs,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, ServeError> {
        let script = Arc::new(args.script()?);
        let scheme = if script.acceptor.is_some() { "https" } else { "http" };
        let choice = choose(args.machine.reactor)?;
        if let Some(reason) = choice.fallback {
            stderr::line(&reason);
        }
        let (address, listeners) = listeners(args.listen, cpus.len())
            .map_err(|source| ServeError::Listen { address: args.listen, source })?;
        let record = args.log_arrivals.clone().map(Recipient::create).transpose()?;
        let slots = slots(cpus.len());
        let rows_max = record.is_some().then(|| rows(cpus.len()));
        let origin = clock::now();
        let ending = Ending { stop, at: args.duration.map(|span| origin + span) };
        let (ready, served) = mpsc::channel();
        let mut shards = Vec::new();
        for (shard, (cpu, listener)) in (0..).zip(cpus.into_iter().zip(listeners)) {
            let start = Start {
                kind: choice.kind,
                cpu,
                listener,
                post: Post { shard, slots, origin, rows_max },
                ready: ready.clone(),
                last_will: LastWill(Arc::clone(&ending.stop)),
                ending: ending.clone(),
            };
            let script = Arc::clone(&script);
            let thread = thread::Builder::new()
                .name(format!("target-{shard}"))
                .spawn(move || start.serve(&script))
                .map_err(|source| ServeError::Shard { shard: shards.len(), source })?;
            shards.push(thread);
        }
        drop(ready);
        let (url, kind) = (format!("{scheme}://{address}"), choice.kind);
        let target = Self { url, kind, script, origin, shards, record };
        // It ends when no shard can report any more: each serves, or is lost.
        if served.iter().count() < target.shards.len() {
            return Err(target.join().err().unwrap_or(ServeError::Unready));
        }
        Ok(target)
    }

    /// Waits for the shards to end, writes the record of arrivals, and tells what they did.
    fn join(self) -> Result<Document, ServeError> {
        let join = |(shard, thread): (usize, JoinHandle<io::Result<Log>>)| {
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
            ended.map_err(|source| ServeError::Shard { shard, source })
        };
        // All of them, even if one is lost: it has ended the others.
        let ended: Vec<_> = self.shards.into_iter().enumerate().map(join).collect();
        let logs = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
        let statuses = &self.script.shape.distinct();
        let server = Server {
            url: &self.url,
            reactor: self.kind.describe().name,
            statuses,
            origin: self.origin,
            service: self.script.timing.service,
        };
        if let Some(record) = self.record {
            record.write(&logs)?;
        }
        Ok(Document::new(&server, &logs))
    }
}

/// Connections for each of `shards` shards, within the limit on open files.
fn slots(shards: usize) -> u32 {
    let files = raise_open_files().soft.unwrap_or(u64::MAX).saturating_sub(FILES_RESERVED);
    let share = files / shards.max(1) as u64;
    u32::try_from(share).unwrap_or(u32::MAX).clamp(1, SLOTS_MAX)
}

/// Rows in the record of arrivals for each of `shards` shards.
fn rows(shards: usize) -> u32 {
    record::ROWS_MAX / u32::try_from(shards).unwrap_or(u32::MAX).max(1)
}

/// What one shard needs to begin.
struct Start {
    kind: Kind,
    cpu: Option<usize>,
    listener: OwnedFd,
    post: Post,
    ending: Ending,
    /// Hears of the shard when it serves.
    ready: Sender<()>,
    /// Held until the shard has ended.
    last_will: LastWill,
}

/// Ends all shards when it is dropped, so that the end of one, be it an error or a panic, is the
/// end of all: a server that lost a shard would leave a part of its connections unanswered.
struct LastWill(Arc<AtomicBool>);

impl Drop for LastWill {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Start {
    /// The body of a shard's thread.
    fn serve(self, script: &Script) -> io::Result<Log> {
        if let Some(cpu) = self.cpu
            && !os_thread::pin(cpu)
        {
            return Err(io::Error::other(format!("cannot be pinned to CPU {cpu}")));
        }
        os_thread::set_precise_timers();
        let slots = self.post.slots;
        match self.kind {
            Kind::Uring => self.serve_on(Uring::new(slots)?, script),
            Kind::Epoll => self.serve_on(Epoll::new(slots)?, script),
        }
    }

    fn serve_on(self, mut reactor: impl Reactor, script: &Script) -> io::Result<Log> {
        let _held = self.last_will;
        reactor.listen(self.listener)?;
        let shard = Shard::new(reactor, self.post, script)?;
        // Whoever started the shards may have given up in the meantime.
        let _ = self.ready.send(());
        drop(self.ready);
        shard.run(&self.ending)
    }
}
