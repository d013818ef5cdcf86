//! The program `pummel`. Everything is in the library; here stands what a program alone may choose.

use std::process::ExitCode;

// The control plane allocates while shards run; mimalloc keeps that off any lock they could meet.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pummel::main()
}
