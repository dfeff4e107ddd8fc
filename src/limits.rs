//! Upper bounds on what clients, mail and operators can make the server hold, do or wait for, each
//! with its reason. Sums and the figures in their comments are checked at compile time, at the end.
//!
//! Constants that concern a single module, such as step sizes, retry pauses and the lengths of
//! quoted texts, are in that module.

mod observed;

pub use imap::limits::*;
pub use observed::*;

/// Block size of O_DIRECT, in bytes; frames begin and end on it. 4 KiB suits every disk and file
/// system in use. 512 would save space in small frames and lose it again on 4Kn disks.
pub const BLOCK: usize = 4096;

/// Largest frame that recovery accepts, in bytes. Frames are written from leases, which are
/// smaller; the rest is room to grow without a new format.
pub const FRAME: usize = 16 << 20;

/// Small lease, in bytes: the first lease of a connection. It holds a message of median size.
pub const SMALL_LEASE: usize = 16 << 10;

/// Large lease, in bytes. 256 KiB was faster than 1 MiB: received octets are still in cache when
/// they are checksummed and written.
pub const LARGE_LEASE: usize = 256 << 10;

/// Small leases of a reactor: one for each of this many slow uploads.
pub const SMALL_LEASES: usize = 512;

/// Large leases of a reactor: 4 for each of 24 busy connections (one being filled, up to three
/// being written), and 32 for reading back.
pub const LARGE_LEASES: usize = 24 * 4 + 32;

/// The arena of a reactor in bytes, 40 MiB, registered with the kernel at start.
pub const ARENA: usize = SMALL_LEASES * SMALL_LEASE + LARGE_LEASES * LARGE_LEASE;

/// Smallest configurable segment, in bytes. With smaller ones, changing segments costs more than
/// writing.
pub const SEGMENT_SIZE_MIN: u64 = 4 << 20;

/// Largest configurable segment, in bytes. Offsets in a segment have 32 bits.
pub const SEGMENT_SIZE_MAX: u64 = 4092 << 20;

/// Smallest segment made for mail when the disk has no room for a whole one, in bytes: four large
/// leases. With less than that the disk counts as full.
pub const SEGMENT_LEAST: u32 = 1 << 20;

/// A segment is at most this part of the disk. The room of one is held back for cleaning, and mail
/// can have the rest.
pub const SEGMENTS_OF_DISK: u64 = 16;

/// Time in which the scrub reads everything once. Disks rot over months, and copies are kept
/// for longer than this.
pub const SCRUB_EVERY: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// Segments that each reactor reserves for changes to flags and mailboxes: while the disk is full,
/// users can still mark, move and expunge mail.
pub const RESERVES: usize = 4;

/// Size of a reserved segment, in bytes. A change to a few messages takes a block, so the four of a
/// reactor have room for about 800 changes. One is enough to go on after a restart.
pub const RESERVE: u32 = 1 << 20;

/// Disk space reserved for the catalog, in bytes, released when the catalog finds none: what one
/// start adds to it after 256 MiB of log with messages of a kilobyte.
pub const SPARE: u64 = 16 << 20;

/// UID ranges in one record: 128 KiB, so that the record fits into a frame and leaves room for
/// others.
pub const UID_RANGES: usize = 16 << 10;

/// Messages that STORE, EXPUNGE or MOVE examines in one step: about a millisecond, after which
/// other sessions run.
pub const STEP_MESSAGES: usize = 16 << 10;

/// Changes to a mailbox that are written but not applied yet. Each step compares every message with
/// all of them; a command that finds this many waits for the disk first.
pub const UNAPPLIED: usize = 64;

/// Segments that a reactor keeps open for reading. A session reads from a handful, and reopening
/// one takes microseconds.
pub const OPEN_SEGMENTS: usize = 64;

/// Octets that announcing a message claims from the account's quota; the rest is claimed as it
/// arrives. A stalled upload should not hold quota that it does not use, and most messages should
/// not be refused halfway. Most messages are smaller than this.
pub const ANNOUNCED: u64 = 1 << 20;

/// Bytes that an account with a quota may log in addition to its mail before its commands wait:
/// 32,000 STOREs of single messages, or two million moved messages, at any speed.
pub const LOG_ALLOWANCE: usize = 128 << 20;

/// Bytes by which the allowance recovers each second: 256 STOREs of single messages, more than a
/// person or a synchronisation needs. A determined user can log 84 GiB a day, slow enough for the
/// operator to notice.
pub const LOG_ALLOWANCE_PER_SECOND: usize = 1 << 20;

/// Bytes of log that each octet of mail pays for. A single message of a kilobyte takes a block of
/// four; larger messages and batches take little more than their own size.
pub const LOG_OF_MAIL: usize = 4;

/// Most bytes of log that the mail of an upload can pay for in advance. The records of a batch are
/// written after its mail; those of a million messages take 60 MiB.
pub const LOG_CREDIT: usize = 64 << 20;

/// Changed index entries in a reactor's memory, in bytes, after which a checkpoint is due.
pub const CHECKPOINT_DIRTY: usize = 4 << 20;

/// Bytes of log after which a checkpoint is due. A start reads and checks that much for each
/// reactor: with two reactors a third of a second at 1.5 GB/s.
pub const CHECKPOINT_LOG: u64 = 256 << 20;

/// Total length of a mailbox's keywords, in octets: a thousand of the usual length. The table of
/// keywords fits into a record with room to spare.
pub const KEYWORD_TEXT: usize = 64 << 10;

/// Distinct keyword sets in a mailbox. Random combinations of twenty keywords on a quarter of a
/// million messages stay below this.
pub const KEYWORD_SETS: usize = 1 << 18;

/// Memory for a mailbox's keywords and keyword sets, in bytes. A set takes a bit for each keyword
/// and 52 bytes: [`KEYWORD_SETS`] sets of twenty keywords are 14 MiB; ninety thousand sets of a
/// thousand keywords fit. Sets that no message has count until they are collected.
pub const KEYWORD_OCTETS: usize = 16 << 20;

/// Memory for the keywords of all mailboxes of an account, in bytes: four full mailboxes.
pub const KEYWORD_OCTETS_OF_ACCOUNT: usize = 4 * KEYWORD_OCTETS;

/// Subscriptions of an account: one for each possible mailbox. With the longest names they take a
/// hundred MiB, as the mailboxes do.
pub const SUBSCRIPTIONS: usize = MAILBOXES;

/// Changes to a mailbox that its sessions can look up, in UID ranges; each change counts as four
/// more. A session further behind examines all messages instead: some milliseconds for a million.
pub const JOURNAL: usize = 16_384;

/// UID ranges that a mailbox remembers as expunged (RFC 7162): weeks of deleting single messages,
/// and at most 40 KiB in the mailbox's catalog row.
pub const VANISHED: usize = 2_048;

/// Messages in a chunk of the index: 40 KiB. A checkpoint after one message writes little, and a
/// million messages are read in 2,000 steps.
pub const CHUNK_MESSAGES: usize = 512;

/// Fragments in a chunk, of messages that have several: 1 MiB. A chunk with more is full, although
/// a single message may have more: 4 GiB in small leases are 262,144.
pub const CHUNK_FRAGMENTS: usize = 1 << 16;

/// Chunks read from the catalog in one step: 2.5 MiB, about 100 microseconds.
pub const CHUNKS_AT_ONCE: usize = 64;

/// Memory for the catalog's pages, in bytes: the pages of a checkpoint and the upper levels of the
/// trees. The kernel caches the rest of the file.
pub const CATALOG_CACHE: usize = 16 << 20;

/// Changes that replay gathers in memory before it writes a checkpoint, in bytes: enough to be
/// worth an fdatasync.
pub const REPLAY_GATHERS: usize = 16 << 20;

/// Longest TLS handshake message, in bytes with record headers. A client's certificate chain takes
/// a few KiB. There are two copies while more arrives.
pub const HANDSHAKE: usize = 32 << 10;

/// Longest TLS record, in bytes with its header (RFC 8446 section 5.2, RFC 5246 section 6.2.3).
pub const TLS_RECORD: usize = 5 + (16 << 10) + (2 << 10);

/// Time before a certificate expires from which the log warns once a day. Renewal services renew
/// this long before.
pub const CERTIFICATE_WARNING: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// Memory that TLS adds to a connection, in bytes: keys and the handshake state that rustls keeps.
pub const TLS_SESSION: usize = 24 << 10;

/// Octets of a connection that are read and discarded before login. A client that pipelines an
/// APPEND behind a failed LOGIN gets NO to both. A client that sends more without logging in is
/// disconnected.
pub const DISCARDED_BEFORE_LOGIN: u64 = 1 << 20;

/// Keys in one SEARCH; each is evaluated for each message. Clients join a few hundred.
pub const SEARCH_KEYS: usize = 4096;

/// Strings in one SEARCH. Each is searched in all text read, so this bounds the cost of a SEARCH
/// per byte of mail. It equals [`SEARCH_DEPTH`], the number that a client can join by OR.
pub const SEARCH_STRINGS: usize = 1000;

/// Search work in one step of a reactor, in bytes times strings: about a millisecond. The search
/// pauses after a few steps.
pub const SEARCH_STEP: u64 = 1 << 20;

/// Search work of one job on a parser thread, in bytes times strings: a tenth of a second, after
/// which another user's job has its turn.
pub const SEARCH_PIECE: u64 = 128 << 20;

/// Memory for all SORT, THREAD and followed SORT results of a user, in bytes: a million messages
/// with keys of 250 bytes, five times what two criteria need. While a list grows or is sorted, it
/// may briefly take half as much again.
pub const SORT_OCTETS: usize = 256 << 20;

/// Search results that a session can follow (RFC 5267). Clients follow a few.
pub const CONTEXTS: usize = 32;

/// UID ranges in all followed results of a session: 2 MiB.
pub const CONTEXT_RANGES: usize = 1 << 18;

/// Messages in a followed SORT result, including those removed from it. Each change sorts it again,
/// which takes a parser thread some milliseconds.
pub const CONTEXT_SORTED: usize = 1 << 14;

/// Messages in uncommitted batches of all connections of a reactor: 190 MiB at 125 bytes each. A
/// batch of a million fits, and half as much besides.
pub const UNFINISHED_MESSAGES: usize = 3 << 19;

/// Memory for the keyword sets of uncommitted batches of all connections of a reactor, in bytes. A
/// batch keeps each set once, at a bit for each keyword and about 100 bytes, however many messages
/// have it: room for a quarter of a million sets of twenty keywords.
pub const UNFINISHED_KEYWORDS: usize = 32 << 20;

/// Memory for keyword sets that a batch may take even when [`UNFINISHED_KEYWORDS`] is used up: some
/// tens of sets of some tens of keywords, 64 MiB for 16,384 connections.
pub const SMALL_BATCH_KEYWORDS: usize = 4 << 10;

/// Messages that a batch may have even when [`UNFINISHED_MESSAGES`] is used up: 200 MiB for 16,384
/// connections.
pub const SMALL_BATCH: usize = 100;

/// Mailboxes of an account. Users have thousands; archives split by day or sender have tens of
/// thousands. Each takes half a kilobyte of memory while its account is in use.
pub const MAILBOXES: usize = 100_000;

/// Steps in which the patterns of one LIST are matched against names, one or two nanoseconds each:
/// a hundred thousand names of fifty characters against a hundred patterns, or half a second for a
/// hostile pattern.
pub const LIST_WORK: usize = 1 << 29;

/// Longest name of a metadata entry (RFC 5464), in octets; names in use have some tens.
pub const METADATA_NAME: usize = 255;

/// Largest value of a metadata entry, in octets. RFC 5464 section 4.1 requires at least 1,024;
/// values in use, such as the types and colours of groupware folders, have some tens.
pub const METADATA_VALUE: usize = 16 << 10;

/// Metadata entries of a mailbox. RFC 5464 section 4.1 requires at least 10.
pub const METADATA_ENTRIES: usize = 100;

/// Bytes of memory of a mailbox's metadata. It is part of the mailbox's row in the catalog, which
/// is written after every change in the mailbox.
pub const METADATA_OCTETS: usize = 64 << 10;

/// Bytes of memory of the metadata of all mailboxes of an account: a short entry for each of
/// [`MAILBOXES`].
pub const METADATA_OCTETS_OF_ACCOUNT: usize = 16 << 20;

/// Size in bytes above which a message is large. Parsing one takes a millisecond and more, so
/// parser threads do it.
pub const LARGE_MESSAGE: u64 = 1 << 20;

/// Large messages that a reactor has in memory at a time, at most one for each user. While one
/// client is slow to read, others use the second.
pub const LARGE_MESSAGES: usize = 2;

/// Memory to parse a large message, in bytes. The message is read piece by piece. Kept are the
/// headers of its parts, or its longest field, and the result: a growing response, or the text of
/// the field.
pub const MEMORY_OF_LARGE_MESSAGE: usize =
    4 * LARGE_MESSAGE as usize + MIME_HEADER + 3 * MIME_ANSWER;

/// Threads that parse large messages, sort and build threads, for all reactors. While one is busy
/// with a long job of one user, the other serves the rest.
pub const PARSERS: usize = 2;

/// Threads that open segments for reading, for all reactors: while one waits for a slow disk, the
/// other serves those whose segment is in memory.
pub const OPENERS: usize = 2;

/// Connections of the whole server.
pub const CONNECTIONS: usize = 16_384;

/// Connections from one address, or one /64 of IPv6. A migration opens hundreds; where many run
/// behind one address, thousands. Three quarters of all connections remain for others.
pub const CONNECTIONS_PER_ADDRESS: usize = CONNECTIONS / 4;

/// Connections of one user. People have about ten clients with five each; the journal account of a
/// whole company has hundreds.
pub const CONNECTIONS_PER_USER: usize = 512;

/// Commands on a connection before login. Clients send five.
pub const COMMANDS_BEFORE_LOGIN: u32 = 64;

/// The first `1/COMMANDS_AT_ONCE` of a connection's commands before login are answered immediately;
/// each later one waits [`COMMAND_STEP`].
pub const COMMANDS_AT_ONCE: u32 = 4;

/// Wait before the answer to each later command before login: five commands a second.
pub const COMMAND_STEP: std::time::Duration = std::time::Duration::from_millis(200);

/// Longest user name, in octets.
pub const USER_NAME: usize = 255;

/// Longest password, in octets. argon2 takes longer ones; people do not type them.
pub const PASSWORD: usize = 1024;

/// Largest users file, in bytes: a million users of 300 bytes each, and some room.
pub const USERS_FILE: u64 = 512 << 20;

/// PBKDF2 iterations of new SCRAM-SHA-256 keys, which the client repeats at each login. The most
/// that Cyrus SASL's client accepts; RFC 7677 asks for at least 4,096.
pub const SCRAM_ITERATIONS: std::num::NonZeroU32 = std::num::NonZeroU32::new(65_536).unwrap();

/// Most iterations of keys in the users file. The server does not compute them, but no client
/// accepts more, or waits several seconds at each login.
pub const SCRAM_ITERATIONS_MAX: u32 = 10_000_000;

/// Most memory that a password hash in the users file may ask for, in KiB: 50 times the default. A
/// typing error there must not bring the server down.
pub const ARGON2_MEMORY_KIB: u32 = 1 << 20;

/// Most passes that a password hash may ask for.
pub const ARGON2_PASSES: u32 = 64;

/// Most lanes that a password hash may ask for.
pub const ARGON2_LANES: u32 = 64;

/// Most rounds of a SHA-crypt hash that another server made: a second on one core.
pub const SHA_CRYPT_ROUNDS: u32 = 1_000_000;

/// Highest cost of a bcrypt hash that another server made: a second on one core.
pub const BCRYPT_COST: u32 = 14;

/// Most rounds of a PBKDF2 hash that another server made: a second on one core.
pub const PBKDF2_ROUNDS: u32 = 2_000_000;

/// Logins that wait for a password check: one for each connection, at about 2 KiB. A login that
/// reaches [`LOGIN_TIME`] first is told so.
pub const LOGINS_WAITING: usize = CONNECTIONS;

/// Users whose last correct password is remembered, at 100 bytes each.
pub const REMEMBERED_LOGINS: usize = 65_536;

/// Octets received at once outside APPEND: a command, or the start of an APPEND.
pub const RECEIVE: usize = 8 << 10;

/// Bytes of unsent replies after which a session takes no more commands: a client that does not
/// read its replies gets no new ones.
pub const REPLIES: usize = 256 << 10;

/// Bytes of unsent replies before login.
pub const REPLIES_BEFORE_LOGIN: usize = 16 << 10;

/// Buffer for long replies, in bytes. At this size the cost of the system call is negligible, and
/// the buffer is still in cache when the kernel copies it.
pub const REPLY: usize = 128 << 10;

/// Replies shorter than this, in bytes, are copied to the buffer that waits instead of being sent
/// on their own.
pub const SHORT_REPLY: usize = 4 << 10;

/// State of a connection with its tasks, in bytes: twice what was measured.
pub const SESSION: usize = 8 << 10;

/// Most memory of a connection before login, in bytes: its state; a command with its literals, in a
/// buffer that has grown to twice that; the receive buffer; unsent replies, the last of which may
/// exceed the bound. 16,384 connections stay below a gigabyte.
pub const MEMORY_BEFORE_LOGIN: usize = SESSION
    + 2 * (LINE_BEFORE_LOGIN + LITERAL_BEFORE_LOGIN)
    + RECEIVE
    + REPLIES_BEFORE_LOGIN
    + SHORT_REPLY;

/// As [`MEMORY_BEFORE_LOGIN`], with TLS: adds the session, a decrypted record that was not read
/// yet, and part of the next. The handshake is over by then, and takes less.
pub const MEMORY_BEFORE_LOGIN_WITH_TLS: usize = MEMORY_BEFORE_LOGIN + TLS_SESSION + 2 * TLS_RECORD;

/// Most memory of a session after login, in bytes: a command with its literals; the strings of a
/// SEARCH, copied and prepared; a message of [`LARGE_MESSAGE`] and its decoded parts; buffers.
///
/// Other mail passes through leases, which the reactor shares out ([`ARENA`]). Memory that grows
/// with the mailbox is counted elsewhere: [`SORT_OCTETS`] for each user,
/// [`MEMORY_OF_LARGE_MESSAGES`] for each reactor, and for a selected mailbox with gaps 8 bytes for
/// each gap, each range of a saved result and each of [`CONTEXT_RANGES`].
pub const MEMORY_OF_SESSION: usize = SESSION
    + 2 * (LINE + LITERAL)
    + 3 * LITERAL
    + 2 * LARGE_MESSAGE as usize
    + RECEIVE
    + REPLIES
    + LARGE_LEASE
    + 2 * REPLY
    + 2 * SHORT_REPLY;

/// Most memory for large messages of a reactor, in bytes.
pub const MEMORY_OF_LARGE_MESSAGES: usize = LARGE_MESSAGES * MEMORY_OF_LARGE_MESSAGE;

/// Default number of failed logins of an address within [`LOGIN_WINDOW`]; after that, passwords
/// from it are not checked. More than people mistype, fewer than a password list contains.
pub const LOGIN_FAILURES: u32 = 50;

/// Failed logins of one user from one address within [`LOGIN_WINDOW`]. One client with a wrong
/// password leaves most of its address's failures to others.
pub const LOGIN_FAILURES_EACH: u32 = 10;

/// Time in which these failures are forgotten, at an even rate.
pub const LOGIN_WINDOW: std::time::Duration = std::time::Duration::from_secs(600);

/// Delay of the answer to a failed login; each further failure doubles it. Too short to annoy
/// people who mistype.
pub const LOGIN_DELAY: std::time::Duration = std::time::Duration::from_millis(500);

/// Longest delay of the answer to a failed login. Clients wait at least 20 seconds.
pub const LOGIN_DELAY_MAX: std::time::Duration = std::time::Duration::from_secs(15);

/// Addresses, users and pairs of them whose failures are counted, at 50 bytes each. The oldest
/// entries are forgotten, so an attacker with more addresses than this is not remembered.
pub const LOGIN_COUNTS: usize = 65_536;

/// Failed logins after which a connection is closed. People who mistype notice by then; attackers
/// have to reconnect, and run into the limits on connections.
pub const LOGINS_OF_CONNECTION: u32 = 4;

/// Largest file of token keys, in bytes. Key sets have about a dozen keys of a kilobyte.
pub const TOKEN_KEYS_FILE: u64 = 1 << 20;

/// Time from greeting to login. Clients need a second, people at a keyboard a few more. A client
/// that does not log in must not hold a connection. The 30 minutes of RFC 9051 section 5.4 apply
/// after authentication.
pub const LOGIN_TIME: std::time::Duration = std::time::Duration::from_secs(60);

/// Idle time after which a session is closed. RFC 3501 section 5.4 requires at least 30 minutes.
pub const AUTOLOGOUT: std::time::Duration = std::time::Duration::from_secs(30 * 60);

/// Checks of relations that other code depends on.
const _: () = {
    assert!(SMALL_LEASE.is_multiple_of(BLOCK) && LARGE_LEASE.is_multiple_of(BLOCK));
    assert!(SMALL_LEASE >= 2 * BLOCK, "a small lease holds a frame header and a message");
    assert!(LARGE_LEASE <= FRAME, "a full lease is written as one frame");
    assert!(KEYWORD_TEXT + 2 * KEYWORDS <= LARGE_LEASE / 2, "half of a record is for messages");
    assert!(8 * UID_RANGES <= LARGE_LEASE / 2, "half of a frame is for other records");
    assert!(METADATA_OCTETS >= 10 * (1024 + 2 * METADATA_NAME) && METADATA_ENTRIES >= 10);
    assert!(
        METADATA_OCTETS + METADATA_ENTRIES * 2 * METADATA_NAME <= LARGE_LEASE / 2,
        "one SETMETADATA is one record"
    );
    assert!(SEGMENT_SIZE_MIN >= 8 * LARGE_LEASE as u64 && SEGMENT_SIZE_MAX <= u32::MAX as u64);
    assert!(SEGMENT_LEAST as u64 <= SEGMENT_SIZE_MIN);
    assert!(RESERVE as usize >= 2 * (LARGE_LEASE + BLOCK), "a reserve holds the largest step");
    assert!(ARENA <= 1 << 30, "the kernel registers buffers of at most 1 GiB");
    assert!(LARGE_MESSAGE >= LARGE_LEASE as u64, "a message in one lease is parsed there");
    assert!(MIME_HEADER <= MIME_ANSWER, "a field as text takes up to three times its octets");
    assert!(SEARCH_STEP * 16 <= SEARCH_PIECE, "a job is worth handing to another thread");
    assert!(SESSION + TLS_SESSION + 2 * HANDSHAKE <= MEMORY_BEFORE_LOGIN_WITH_TLS);
    assert!(MEMORY_BEFORE_LOGIN * CONNECTIONS <= 1 << 30, "clients that never log in");
    assert!(MEMORY_BEFORE_LOGIN_WITH_TLS * CONNECTIONS <= 2 << 30, "the same clients with TLS");
    assert!(MEMORY_OF_SESSION <= 8 << 20, "a user has some dozens of sessions");
    assert!(MEMORY_OF_LARGE_MESSAGES <= 256 << 20, "of each reactor");
};

/// Checks of the figures in the comments above.
const _: () = {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    /// Bytes of a message in the index, and of a fragment there.
    const ENTRY: usize = 80;
    const FRAGMENT: usize = 16;
    /// Bytes of a set of twenty keywords: 52 and a bit for each.
    const SET_OF_20: usize = 52 + 3;
    /// Bytes of a message in an uncommitted batch, and of a set of twenty keywords there.
    const UNFINISHED: usize = 125;
    const UNFINISHED_SET: usize = 100 + 3;
    assert!(ARENA == 40 * MIB);
    assert!(SEGMENT_LEAST as usize == 4 * LARGE_LEASE);
    assert!(RESERVES * RESERVE as usize / BLOCK >= 800);
    assert!(8 * UID_RANGES == 128 * KIB);
    assert!(LOG_ALLOWANCE / BLOCK >= 32_000 && LOG_ALLOWANCE_PER_SECOND / BLOCK == 256);
    assert!(LOG_ALLOWANCE_PER_SECOND * 24 * 3600 / (1024 * MIB) == 84);
    assert!(LOG_CREDIT >= 60 * MIB);
    assert!(CHUNK_MESSAGES * ENTRY == 40 * KIB && 1_000_000 / CHUNK_MESSAGES < 2_000);
    assert!(CHUNK_FRAGMENTS * FRAGMENT == MIB && (4096 * MIB) / SMALL_LEASE == 262_144);
    assert!(2 * CHUNKS_AT_ONCE * CHUNK_MESSAGES * ENTRY == 5 * MIB);
    assert!(KEYWORD_SETS * SET_OF_20 <= 14 * MIB && KEYWORD_OCTETS / (52 + 125) >= 90_000);
    assert!(SUBSCRIPTIONS * MAILBOX_NAME <= 100 * MIB);
    assert!(SORT_OCTETS / 250 >= 1_000_000);
    assert!(8 * CONTEXT_RANGES == 2 * MIB);
    assert!(SEARCH_STRINGS == SEARCH_DEPTH);
    assert!(UNFINISHED_MESSAGES * UNFINISHED <= 190 * MIB && UNFINISHED_MESSAGES >= 1_500_000);
    assert!(UNFINISHED_KEYWORDS / UNFINISHED_SET >= 250_000);
    assert!(SMALL_BATCH_KEYWORDS * CONNECTIONS == 64 * MIB);
    assert!(SMALL_BATCH * UNFINISHED * CONNECTIONS <= 200 * MIB);
    assert!(USERS_FILE / 300 >= 1_000_000);
    assert!(LIST_WORK >= 100_000 * 50 * 100);
    assert!(CONNECTIONS - CONNECTIONS_PER_ADDRESS == CONNECTIONS / 4 * 3);
    assert!(COMMAND_STEP.as_millis() * 5 == 1_000);
};
