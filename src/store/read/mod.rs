//! Reading the octets of messages while the server runs.
//!
//! A [`Reader`] belongs to one command. It is given the messages that the command will ask for,
//! reads ahead what lies together in a segment, and hands out the octets where they were read to.
//! Who asks names a message and a range of its octets, and learns nothing of segments.

mod checking;
mod error;
mod files;
mod message;
mod reader;

pub use checking::MessageCheck;
pub use error::ReadError;
pub use files::Files;
pub use message::{Checksum, Damaged, Stored, verify};
pub use reader::Reader;
