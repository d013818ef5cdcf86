//! The closed HTTP/1.1 loop on monoio: one task per connection, one thread.
//!
//! monoio lets its ring be built with flags of ours, and `DEFER_TASKRUN` is the one that matters;
//! the driver is therefore an argument: the ring with it, the ring as monoio makes it, or epoll.

use std::{cell::RefCell, num::NonZeroU32, process::ExitCode, rc::Rc};

use anyhow::{Context, Result, ensure};
use benches::{
    bare_loop::{LoopArgs, LoopReport, conclude},
    clock,
    exchange::{ExchangeError, Progress, RESPONSE_BYTES_MAX, is_complete},
};
use clap::{Parser, ValueEnum};
use monoio::{
    IoUringDriver, LegacyDriver, RuntimeBuilder,
    buf::IoBufMut,
    io::{AsyncReadRent, AsyncWriteRentExt},
    net::TcpStream,
};

/// Entries of the submission queue: as many as connections may need at once.
const ENTRIES: u32 = 4096;

/// Measures the CPU time that a request costs on monoio
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    bare_loop: LoopArgs,
    /// What moves the bytes
    #[arg(long, default_value = "deferred")]
    driver: DriverChoice,
}

#[derive(Clone, Copy, ValueEnum)]
enum DriverChoice {
    /// `io_uring` with `SINGLE_ISSUER` and `DEFER_TASKRUN`
    Deferred,
    /// `io_uring` as monoio sets it up
    Uring,
    /// epoll
    Epoll,
}

fn main() -> ExitCode {
    conclude(run(Args::parse()))
}

/// Builds the runtime that was asked for and runs the loop on it.
fn run(args: Args) -> Result<LoopReport> {
    let work = work(args.bare_loop);
    match args.driver {
        DriverChoice::Deferred => {
            let mut ring = io_uring::IoUring::builder();
            ring.setup_single_issuer().setup_defer_taskrun();
            let builder = RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring);
            builder.with_entries(ENTRIES).build()?.block_on(work)
        }
        DriverChoice::Uring => {
            let builder = RuntimeBuilder::<IoUringDriver>::new();
            builder.with_entries(ENTRIES).build()?.block_on(work)
        }
        DriverChoice::Epoll => {
            let builder = RuntimeBuilder::<LegacyDriver>::new();
            builder.with_entries(ENTRIES).build()?.block_on(work)
        }
    }
}

/// Opens the connections, drives each in a task, and reports.
async fn work(args: LoopArgs) -> Result<LoopReport> {
    let request = args.url.request();
    let streams = connect(&args, args.connections).await?;
    let progress = Rc::new(RefCell::new(Progress::start(args.requests)?));
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| monoio::spawn(drive(stream, request.clone(), Rc::clone(&progress))))
        .collect();
    for task in tasks {
        task.await?;
    }
    Rc::into_inner(progress).context("a task is still running")?.into_inner().finish()
}

/// Opens every connection before the first request.
async fn connect(args: &LoopArgs, count: NonZeroU32) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..count.get() {
        let stream = TcpStream::connect_addr(args.url.address()).await.context("connect")?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    Ok(streams)
}

/// Asks and waits on one connection until no request is left.
///
/// monoio takes buffers by value and gives them back, so both go round with the loop.
async fn drive(
    mut stream: TcpStream,
    mut request: Vec<u8>,
    progress: Rc<RefCell<Progress>>,
) -> Result<()> {
    let mut received = Vec::with_capacity(RESPONSE_BYTES_MAX);
    let mut start = clock::now();
    while progress.borrow_mut().take() {
        let written;
        (written, request) = stream.write_all(request).await;
        written.context("write")?;
        received.clear();
        loop {
            let filled = received.len();
            ensure!(filled < received.capacity(), "a response of more than {filled} bytes");
            let (read, slice) = stream.read(received.slice_mut(filled..)).await;
            received = slice.into_inner();
            ensure!(read.context("read")? > 0, ExchangeError::Closed);
            if is_complete(&received)? {
                break;
            }
        }
        start = progress.borrow_mut().record(start);
    }
    Ok(())
}
