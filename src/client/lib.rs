#![doc = include_str!("README.md")]
#![deny(missing_docs)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod mail;
mod source;
mod error;
mod input;
mod slices;
mod stream;
mod answer;
mod connection;
mod append;
mod compare;
#[cfg(test)]
mod tests;

pub use answer::{AppendUid, Completion, Status};
pub use append::{Literals, Pending, Prepared};
pub use compare::{Comparison, Expected};
pub use connection::{Client, Reply};
pub use error::{ClientError, TrustError};
pub use mail::Mail;
pub use slices::{SLICES, write_slices};
pub use source::{Folder, Mbox, Source, SourceError, maildir_flags};
pub use stream::Trust;
