//! The segment log.

mod record;

pub use record::{Commit, FlagChange, MessageRecord, Record};
