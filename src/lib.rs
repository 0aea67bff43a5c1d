//! Reprise: checkpoint and restart of Linux jobs in user space.

#![deny(unsafe_code)]

pub mod cli;
pub mod engine;
pub mod error;
pub mod image;
pub mod policy;
pub mod proc;
pub mod resource;
pub mod script;
pub mod sys;
pub mod tracee;
