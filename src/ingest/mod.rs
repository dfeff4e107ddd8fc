//! Ingest: from octets on a connection to a batch in the log.
//!
//! [`Machine`] parses an APPEND without I/O. [`Batch`] holds the state of its messages. [`Upload`]
//! moves the octets from socket to lease and from lease to log, and replies when they are durable.

mod admission;
mod batch;
mod commit;
mod copy;
mod current;
mod machine;
mod observed;
mod pending;
mod refusal;
mod taking;
mod upload;
mod uploader;

#[cfg(test)]
mod machine_tests;

pub use batch::Batch;
pub use copy::{Copied, CopyError, copy_messages};
pub use machine::{Machine, Step};
pub use pending::{Answer, Pending};
pub use refusal::Refusal;
pub use upload::{Ended, Upload};
pub use uploader::Client;
