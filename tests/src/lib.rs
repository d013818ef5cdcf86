//! Whether pummel is right.
