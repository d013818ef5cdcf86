//! The program `pummel`.

fn main() {}
