//! # Durability
//!
//! ## What an OK promises
//!
//! `OK [APPENDUID ...]` is sent after the fdatasync that covers every octet of the batch, its
//! commit record, and every frame of this log before it, has returned. From then on the messages
//! are there: after kill -9, after a panic of the kernel, after a power loss, as long as the disk
//! keeps what it said it had written.
//!
//! The same holds for every other command that changes something: CREATE, DELETE, RENAME,
//! SUBSCRIBE, UNSUBSCRIBE, STORE, EXPUNGE, COPY and MOVE.
//!
//! A batch is atomic. A connection that breaks, a `{0}` that cancels, a disk that is full, a power
//! loss: all messages of the APPEND are there, or none. So it is with the messages of a COPY. Of a
//! MOVE each message is in one of the two mailboxes at any moment, never in both and never in none;
//! and all of them move at once, unless their UIDs are scattered over more than 16,384 ranges.
//!
//! A copy is no second copy of the octets: both messages name the same ones.
//!
//! UIDs are given when the commit record is composed, in the order of the log. Other sessions see a
//! batch when it is durable, not before: nobody reads mail that a power loss could still take back.
//!
//! ## What it does not promise
//!
//! - There is one copy. A disk that loses what it acknowledged loses mail; mailrace notices by the
//!   checksums and says so.
//! - Without an OK nothing is known. When a connection breaks after the last literal, the batch may
//!   be there in full. A client that sends it again gets it twice.
//! - A file system or controller that answers fdatasync before the data is on stable storage breaks
//!   the promise for every program, and for this one.
//!
//! ## How it is kept
//!
//! Each reactor appends *frames* to its log. A frame is one write of a multiple of 4 KiB, with a
//! header that has its log sequence number (LSN), its length, a checksum, and the *durable
//! watermark*: the LSN that was known to be durable when this frame was composed.
//!
//! Commits are grouped. While one fdatasync runs, batches that come to their end wait for the next
//! one, which serves them all. Writes go on meanwhile. Under load there is far less than one
//! fdatasync for each batch; a lone client pays one for each.
//!
//! Segments are made before they are needed, at their full size, and written over with zeros once.
//! Allocating alone is not enough: the first write into space that is allocated but unwritten
//! changes the file system's own records, and the fdatasync after it has to wait for the journal.
//! The measurement is in `tuning/README.md`. When mail comes in faster than segments can be
//! prepared, one that is merely allocated is used; a counter tells how often.
//!
//! The segment's name in its folder is synced before the first frame in it is acknowledged. When a
//! log moves to the next segment, the old one is synced whole before anything in the new one is
//! acknowledged.
//!
//! ## After a crash
//!
//! The log is read from the last checkpoint to its first invalid frame: one whose checksum, LSN or
//! place in the log is wrong. Since an OK waits for all smaller LSNs, everything acknowledged lies
//! before that frame. What lies behind was never acknowledged, and is cut off.
//!
//! Unless it was. If a frame behind the invalid one carries a durable watermark above it, then the
//! invalid frame had been durable, may have been acknowledged, and is damaged. mailrace does not
//! start then. It names file, offset and messages, and changes nothing: what to do is for a person
//! to decide, with a backup at hand.
//!
//! Frames of a batch that never got its commit record are dead space. Nothing points at them.
//!
//! ## When the disk fails
//!
//! A failed fdatasync is never tried again. The kernel may have dropped the dirty pages and would
//! answer the second call with success, having written nothing. The log is poisoned instead:
//! sessions on it end with BYE, nothing is acknowledged any more, and the next start reads from the
//! disk what is really there. A command that was under way gets no answer, neither OK nor NO: it
//! was carried out or not, but whole.
//!
//! A disk that is full is not a failure. It is a tagged NO, nothing was done, and service goes on.
//!
//! ## The catalog
//!
//! `catalog.redb` holds accounts, mailboxes and entries as of a position in the log, and that
//! position. It is written by a checkpoint in the background, in one transaction. It may lag; it
//! may be deleted while no server runs. What it lacks is read from the log.
