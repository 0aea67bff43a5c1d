//! The only unsafe code: one system call a function.

pub mod cli_support;
