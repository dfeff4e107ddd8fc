//! What lives in each segment: how many fragments of messages lie in it, and how many octets they
//! have. Copies count like other messages, although they share their octets: a segment may seem to
//! hold more than it does, and one that seems empty is empty.
//!
//! A mailbox counts what changed since the last checkpoint
//! ([`LiveChanges`](counts::LiveChanges)). The checkpoint adds that to the rows of these tables:
//!
//! ```text
//! live      (segment, account, mailbox) → fragments, octets
//! live_in   (mailbox, segment) → nothing: finds the rows of a mailbox that is deleted
//! segments  segment → fragments, octets: the sum of its rows in `live`
//! ```
//!
//! A row that comes to nothing is removed. So the mailboxes with mail in a segment are found
//! without reading any mailbox, and so is a segment in which nothing lives.

pub(super) mod counts;
pub(super) mod deaths;
pub(super) mod residents;
mod since;
pub(super) mod stopped;
pub(super) mod tables;
