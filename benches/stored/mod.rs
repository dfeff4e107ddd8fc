//! What the benchmark of a large store needs: its mail, and what the disk can do.

pub mod disk;
pub mod mail;
