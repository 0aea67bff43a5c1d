//! Kinds of per-process and per-thread state, one file each.
