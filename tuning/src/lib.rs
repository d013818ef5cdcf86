//! Reads the facts of a Linux machine that hold a load generator back.
