//! Reading what the log holds: segments that are open for reading.

mod files;

pub use files::Files;
