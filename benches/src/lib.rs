//! How fast pummel is.
