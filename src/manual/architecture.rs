//! # Architecture
//!
//! mailrace is built for one goal: uploading a million messages takes little more time than the
//! disk needs to write them. Everything below follows from that.
//!
//! ## The path of a message
//!
//! ```text
//! socket ─recv▶ lease in the reactor's registered arena ─write_fixed, O_DIRECT▶ segment file
//!                  │ parsed and checksummed in place                                │
//!                  └─ never copied in user space                     one fdatasync ─┴▶ tagged OK
//! ```
//!
//! The CPU copies each octet once: in the kernel, from the socket's buffers into the arena.
//! Registered buffers do not avoid that copy; they avoid pinning pages for every operation. "Zero
//! copy" here means none in user space.
//!
//! TLS adds two copies. rustls decrypts a record in place, and then keeps it in memory of its own
//! until it is read; from there it is copied into the lease. A record layer of our own, with the
//! keys from rustls, could avoid one of the two. The gain was not measured, and a mistake in it
//! would cost more.
//!
//! **The wire is the log.** While a connection is inside an APPEND with literals, its octets are
//! received straight into a *lease*, a piece of the [arena](crate::reactor::Arena), at the place
//! from which they will be written. Nothing copies them on the way. The few octets of command text
//! between two messages are stored along with them, as a gap that nothing points at. So a batch of
//! a thousand messages needs no copy and no write per message.
//!
//! Commands never reach the disk, apart from these gaps. A connection outside APPEND reads into a
//! small command buffer. The part of a literal that has already arrived there is copied into the
//! first lease; this is the only copy. When a batch ends in the middle of a lease, the octets after
//! it (the next command, perhaps a LOGIN) are moved out before the lease is written, and the rest
//! of the last block is zeroed.
//!
//! ## Shared nothing
//!
//! There is one *reactor* for each core: a thread with a ring, an arena, a listener and a log of
//! its own. There is no lock on the path of a message. An account belongs to one reactor, chosen by
//! a hash of the user's name, and a connection moves there after login. So the changes of an
//! account have one order, that of its log. Reactors communicate by messages.
//!
//! Work that would block a reactor runs on other threads: [password hashes](crate::auth::Verifier),
//! preparing [segments](crate::store) and opening them for reading, checkpoints of the catalog.
//!
//! The number of reactors may change at every start. Each start is a new *epoch*, written into the
//! segments of that run, so that an account's older logs come before its newer ones.
//!
//! The state of a reactor is its [`Home`](crate::home::Home): memory, log, catalog, accounts and
//! connections. Sessions and uploads borrow it, and own only their private state.
//!
//! ## One way into the log
//!
//! Every change of an account takes one path: APPEND, COPY, MOVE, STORE, EXPUNGE, and changes of
//! mailboxes and their names. A [`Ledger`](crate::home::Ledger) waits for memory and for room in
//! the log, and then calls a closure that composes one frame. The closure cannot await, so its view
//! of the account is still true when the frame is written. When the frame is durable, the ledger
//! applies the change to the account, passes replies to the sessions that wait for them, and
//! notifies the others. The log gives room only inside such a closure
//! ([`Log::slot`](crate::store::Log::slot)), and only the ledger has the log.
//!
//! An upload writes nothing to its client except continuation requests (`+`). It hands each
//! [`Answer`](crate::ingest::Answer) to its session, which knows which replies must come first.
//!
//! ## Back-pressure instead of failure
//!
//! Memory does not grow with load. The arena has a fixed size: a sum in
//! [`limits`](crate::limits), with a reason for each term. A connection that finds no lease waits
//! and stops reading from its socket; TCP slows down the client. Ten thousand slow uploads do not
//! hold ten thousand leases: when leases run out, partly filled ones are written as they are.
//!
//! ## The log is the truth
//!
//! The content of a mailbox is defined by the log. The catalog is only a checkpoint of the log that
//! makes starts fast: see [durability](super::durability). Memory holds what is in use: for a
//! mailbox that receives mail, its counters and last chunk of entries; for a selected mailbox, all
//! its entries.
//!
//! ## The seam
//!
//! [`reactor`](crate::reactor) is the only module that uses io_uring, and the only one with unsafe
//! code. The rest of the server sees connections, files, threads, time and leases. The protocol
//! code does no I/O: octets in, events out. So every dialogue printed in an RFC can be a test.
//!
//! In unit tests, a simulated machine determined by one seed replaces the ring. `src/simulation/`
//! runs the whole server on it, with crashes at any step: see [`durability`](super::durability).
//!
//! ## Where a change belongs
//!
//! - A command or a response of IMAP: its grammar in [`protocol`](imap::protocol), what it does in
//!   [`session`](crate::session): the state of a session in `session.rs`, its life in `life.rs`,
//!   the choice of code for each command in `dispatch.rs`, and a file or folder for each family of
//!   commands.
//! - Headers and parts of a message, for FETCH, SEARCH, SORT and THREAD: [`mime`](imap::mime).
//! - State of a reactor that sessions share, and the path of a change into the log:
//!   [`home`](crate::home).
//! - What APPEND accepts: [`ingest`](crate::ingest).
//! - A figure for the operator: declare it in [`stats`](crate::stats::Figure), and count it where
//!   it happens. Metrics, page, `top` and [`observability`](super::observability) follow.
//! - A limit: [`limits`](crate::limits), with its reason.
//! - New state that must survive a crash: its record in [`store`](crate::store), its use in
//!   [`index`](crate::index), its encoding in [`format`](super::format).
//! - A kernel operation: [`reactor`](crate::reactor).
//! - A setting: a flag in [`command`](crate::command::ServeArgs). Configuration file, example and
//!   [`settings`](super::settings) follow.
//!
//! A module uses only modules above it in the list in `src/lib.rs`. `tests/tidy` enforces this.
