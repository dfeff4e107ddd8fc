//! COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851): messages that come into a mailbox by
//! reference. Their octets stay where they are in the log; what is written is what an index needs.
//!
//! A copy is a batch like that of an APPEND: all messages are there, or none. A move is one too,
//! whose commit and expunge are records of the same frame, so that no crash leaves a message in
//! both mailboxes or in none. The UIDs of a move may be so scattered that one frame cannot name
//! them all; then it is several such batches one after the other (RFC 6851 section 3.3 allows a
//! move to be carried out in part; no message is ever moved by half).

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::owner::{Claim, Owner};
use crate::index::{Chunk, Entry, KeywordSet};
use crate::limits::LARGE_LEASE;
use crate::log::{Commit, Frame, HEADER, Hold, Log, LogError, MessageRecord, Record, sealed_len};
use crate::reactor::{Arena, LeaseClass, unix_seconds};
use crate::types::{BatchId, Keyword, MailboxId, ModSeq, Uid, UidRange, UidValidity};

/// Octets for records in one frame.
const ROOM: usize = LARGE_LEASE - HEADER - 8;

/// Ranges of UIDs that a move expunges in one frame: 128 KiB, half of it.
const RANGES: usize = 16 << 10;

/// Frames of one copy that may be on their way to the disk.
const FRAMES_IN_FLIGHT: usize = 3;

/// What COPYUID tells (RFC 4315 section 3): message by message, `from` became `to`.
#[derive(Clone, Debug)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub validity: UidValidity,
    /// UIDs in the source, ascending. Empty when none of the messages was there.
    pub from: Vec<UidRange>,
    /// As many UIDs in the target, ascending.
    pub to: Vec<UidRange>,
    /// Why the messages above these were not moved. Always `None` after a copy.
    pub unfinished: Option<CopyError>,
}

/// Why nothing was copied or moved.
#[derive(Clone, Debug)]
pub enum CopyError {
    /// One of the mailboxes is gone, or on its way out; when it is the target, `NO [TRYCREATE]`.
    NoMailbox(MailboxId),
    /// The quota does not allow so many octets: `NO [OVERQUOTA]`.
    Quota,
    /// The target has as many keywords, or sets of them, as it can hold: `NO [LIMIT]`.
    Keywords,
    /// The target has run out of UIDs: `NO [LIMIT]`.
    Uids,
    /// The log takes nothing.
    Log(LogError),
}

/// Copies or moves messages of a mailbox that the caller has pinned and loaded. UIDs that do not
/// exist are passed over. The target may be the source. On return all is durable, and sessions have
/// been told.
///
/// # Errors
/// See [`CopyError`]; then nothing has changed.
///
/// # Panics
/// When messages of the source are not in memory.
pub async fn copy_messages(
    log: &Log,
    arena: &Arena,
    owner: &Rc<Owner>,
    source: MailboxId,
    uids: &[UidRange],
    target: MailboxId,
    moved: bool,
) -> Result<Copied, CopyError> {
    let _ = (log, arena, owner, source, uids, target, moved);
    todo!()
}
