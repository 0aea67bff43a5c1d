//! Stubs.
