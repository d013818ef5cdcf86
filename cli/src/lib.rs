//! Thread-per-core HTTP load generator for Linux on io_uring.
