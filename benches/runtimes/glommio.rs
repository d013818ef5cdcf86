//! The closed HTTP/1.1 loop on glommio: one task per connection, one executor.
//!
//! glommio is taken as it comes: its rings cannot be built with flags of ours.

use std::{cell::RefCell, process::ExitCode, rc::Rc};

use anyhow::{Context, Result, anyhow, ensure};
use benches::{
    bare_loop::{LoopArgs, LoopReport, conclude},
    clock,
    exchange::{ExchangeError, Progress, RESPONSE_BYTES_MAX, is_complete},
};
use clap::Parser;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::{LocalExecutorBuilder, Placement, net::TcpStream};

/// Entries of each of the executor's rings: as many as connections may need at once.
const ENTRIES: usize = 4096;

/// Measures the CPU time that a request costs on glommio
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    bare_loop: LoopArgs,
}

fn main() -> ExitCode {
    conclude(run(Args::parse()))
}

/// Builds the executor and runs the loop on it; the caller's affinity decides the core.
fn run(args: Args) -> Result<LoopReport> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .ring_depth(ENTRIES)
        .make()
        .map_err(|error| anyhow!("start an executor: {error}"))?;
    executor.run(work(args.bare_loop))
}

/// Opens the connections, drives each in a task, and reports.
async fn work(args: LoopArgs) -> Result<LoopReport> {
    let request: Rc<[u8]> = args.url.request().into();
    let mut streams = Vec::new();
    for _ in 0..args.connections.get() {
        let stream = TcpStream::connect(args.url.address()).await;
        let stream = stream.map_err(|error| anyhow!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| anyhow!("set TCP_NODELAY: {error}"))?;
        streams.push(stream);
    }
    let progress = Rc::new(RefCell::new(Progress::start(args.requests)?));
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| glommio::spawn_local(drive(stream, request.clone(), progress.clone())))
        .collect();
    for task in tasks {
        task.await?;
    }
    Rc::into_inner(progress).context("a task is still running")?.into_inner().finish()
}

/// Asks and waits on one connection until no request is left.
async fn drive(
    mut stream: TcpStream,
    request: Rc<[u8]>,
    progress: Rc<RefCell<Progress>>,
) -> Result<()> {
    let mut received = vec![0; RESPONSE_BYTES_MAX];
    let mut start = clock::now();
    while progress.borrow_mut().take() {
        stream.write_all(&request).await.context("write")?;
        let mut filled = 0;
        loop {
            let (answer, free) = received.split_at_mut(filled);
            ensure!(!free.is_empty(), "a response of more than {} bytes", answer.len());
            let read = stream.read(free).await.context("read")?;
            ensure!(read > 0, ExchangeError::Closed);
            filled += read;
            if is_complete(received.get(..filled).unwrap_or_default())? {
                break;
            }
        }
        start = progress.borrow_mut().record(start);
    }
    Ok(())
}
