rustc --edition 2021 -O job.rs
