//! # Architecture
//!
//! mailrace does one thing that others do not: it makes the upload of a million messages cost
//! little more than the disk's own time. Everything below follows from that.
//!
//! ## The path of a message
//!
//! ```text
//! socket ─recv▶ lease in the reactor's registered arena ─write_fixed, O_DIRECT▶ segment file
//!                  │ parsed and checksummed in place                                │
//!                  └─ never copied in user space                     one fdatasync ─┴▶ tagged OK
//! ```
//!
//! There is one copy by the processor: the kernel's own, from the socket's buffers into the arena.
//! Registered buffers do not avoid that one; they avoid pinning pages for every operation. "Zero
//! copy" here means: none in user space.
//!
//! By TLS there are two copies more. rustls decrypts a record where it was received, and puts it
//! into memory of its own until it is asked for; from there it is copied into the lease. One of the
//! two could be had back by a record layer of our own, on keys that rustls hands over; what that
//! would gain was not measured, and a mistake in it would cost more.
//!
//! **The wire is the log.** While a connection is inside an APPEND with literals, its octets are
//! received straight into a *lease*, a piece of the [arena](crate::reactor::Arena), at the place
//! from which they will be written. The octets of a message stay where they arrived. The few octets
//! of command text between two messages are stored along with them, as a gap that nothing points
//! at. So a batch of a thousand messages costs no copy and no write for each message.
//!
//! What is not mail never reaches the disk. A connection outside APPEND reads into a small command
//! buffer; the start of a literal that has arrived there already is copied into the first lease,
//! the only copy there is. When a batch ends in the middle of a lease, what follows it (the next
//! command, perhaps a LOGIN) moves on before the lease is written, and the rest of the last block
//! is zeroed.
//!
//! ## Shared nothing
//!
//! There is one *reactor* for each core: a thread with a ring, an arena, a listener and a log of
//! its own. No lock lies on the path of a message. An account belongs to one reactor, chosen by a
//! hash of the user's name, and after login a connection moves to it; so the changes of an account
//! have one order, that of its log. Reactors talk by messages.
//!
//! What would make a reactor wait runs elsewhere: [password hashes](crate::auth::Verifier),
//! preparing [segments](crate::store) and opening them for reading, checkpoints of the catalog.
//!
//! The number of reactors may be another one at every start. Each start is a new *epoch*, written
//! into the segments of that run, so that an account's older logs come before its newer ones.
//!
//! What a reactor holds is its [`Home`](crate::home::Home): memory, log, catalog, the accounts that
//! live on it and the connections it serves. Sessions and uploads borrow it, and hold only what is
//! their own.
//!
//! ## One way into the log
//!
//! Every change of an account goes the same way: APPEND, COPY, MOVE, STORE, EXPUNGE, and changes of
//! mailboxes and their names. A [`Ledger`](crate::home::Ledger) waits for memory and for room in
//! the log, and then has a closure compose one frame. The closure cannot await, so what it sees of
//! the account is still true when the frame is written. When the frame is durable the ledger
//! applies the change to the account, hands replies to the sessions that are owed them, and
//! notifies the others. The log itself gives room only inside such a closure
//! ([`Log::slot`](crate::store::Log::slot)), and only the ledger has the log.
//!
//! An upload does not write to its client, but for the invitations to go on. It hands each
//! [`Answer`](crate::ingest::Answer) to its session, which knows what the client has to hear first.
//!
//! ## Back-pressure instead of failure
//!
//! Memory does not grow with load. The arena has a fixed size, a sum with a reason for each term in
//! [`limits`](crate::limits). A connection that finds no lease waits, and stops reading from its
//! socket; TCP passes that on to the client. Ten thousand slow uploads do not hold ten thousand
//! leases: when they run out, those filled in part are written out as they are.
//!
//! ## The log is the truth
//!
//! A mailbox is what the log says it is. The catalog is a checkpoint of the log that makes starting
//! quick, and nothing else: see [durability](super::durability). In memory there is what is in use:
//! an ingested mailbox needs its counters and its last chunk of entries, a selected one its
//! entries.
//!
//! ## The seam
//!
//! [`reactor`](crate::reactor) is the only module that knows io_uring, and the only one with unsafe
//! code. What stands above it sees connections, files, threads, time and leases. The protocol is
//! sans I/O: octets in, events out; so every dialogue that an RFC prints can be a test.
//!
//! The seam has two sides. In unit tests a machine out of one seed takes the place of the ring, and
//! `src/simulation/` runs the whole server on it, with crashes at any step: see
//! [`durability`](super::durability).
//!
//! ## Where a change belongs
//!
//! - A command or a response of IMAP: its grammar in [`protocol`](imap::protocol), what it does in
//!   [`session`](crate::session): the state of a session in `session.rs`, its life in `life.rs`,
//!   which command runs what in `dispatch.rs`, and a file or folder for each family of commands.
//! - What a message says of itself, for FETCH, SEARCH, SORT and THREAD: [`mime`](imap::mime).
//! - What a reactor holds for its sessions, and how a change gets into the log:
//!   [`home`](crate::home).
//! - What APPEND accepts: [`ingest`](crate::ingest).
//! - A figure for the operator: declared in [`stats`](crate::stats::Figure) and counted where it
//!   happens. Metrics, page, `top` and [`observability`](super::observability) follow.
//! - A bound: [`limits`](crate::limits), with its reason.
//! - Something new that must survive a crash: a record in [`store`](crate::store), its use in
//!   [`index`](crate::index), its octets in [`format`](super::format).
//! - An operation of the kernel: [`reactor`](crate::reactor).
//! - A setting: a flag in [`command`](crate::command::ServeArgs). Configuration file, example and
//!   [`settings`](super::settings) follow.
//!
//! A module uses those above it in the list of `src/lib.rs`, never those below. `tests/tidy`
//! fails when that is broken.
