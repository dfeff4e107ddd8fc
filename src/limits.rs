//! Every bound in one place, each with its reason.

mod observed;

pub use imap::limits::*;
pub use observed::*;

/// One block of O_DIRECT: frames begin and end on it. 4 KiB suits every disk and file system
/// in use; 512 would save space in small frames and lose it again on 4Kn disks.
pub const BLOCK: usize = 4096;

/// Largest frame that recovery takes for one. Frames are written from leases, which are smaller;
/// this leaves them room to grow without a new format.
pub const FRAME: usize = 16 << 20;

/// Small lease: what a connection gets first and what a single message of median size fits in.
pub const SMALL_LEASE: usize = 16 << 10;

/// Large lease. 256 KiB beat 1 MiB when measured: what is received is still in cache when it is
/// checksummed and written.
pub const LARGE_LEASE: usize = 256 << 10;

/// Small leases of a reactor: one for each of so many slow uploads at a time.
pub const SMALL_LEASES: usize = 512;

/// Large leases of a reactor: 24 busy connections with 4 each (one being filled, up to three on
/// their way to the disk), and 32 for reading back.
pub const LARGE_LEASES: usize = 24 * 4 + 32;

/// The arena of one reactor, registered with the kernel at start.
pub const ARENA: usize = SMALL_LEASES * SMALL_LEASE + LARGE_LEASES * LARGE_LEASE;

/// Smallest segment that can be configured: below, changing segments costs more than writing.
pub const SEGMENT_SIZE_MIN: u64 = 4 << 20;

/// Largest segment that can be configured: offsets in it have 32 bits.
pub const SEGMENT_SIZE_MAX: u64 = 4092 << 20;

/// Smallest segment that is made for mail when the disk has no room for a whole one, in bytes: four
/// of the largest frames. What is left below that is no room for mail.
pub const SEGMENT_LEAST: u32 = 1 << 20;

/// Segments that are held back for changes of flags, mailboxes and their names, for each reactor:
/// while the disk is full, people can still mark, move and expunge mail.
pub const RESERVES: usize = 4;

/// Bytes of each of these: a change of a few messages takes a block, so all four of a reactor have
/// room for some 800, and one of them is enough to go on after a start.
pub const RESERVE: u32 = 1 << 20;

/// Bytes of disk that are held back for the catalog and given up when it finds no room: what one
/// start adds to it after a log of 256 MiB with messages of a kilobyte.
pub const SPARE: u64 = 16 << 20;

/// Ranges of UIDs in one record: 128 KiB, so that the record fits into a frame and leaves room for
/// others.
pub const UID_RANGES: usize = 16 << 10;

/// Messages that one step of a STORE, EXPUNGE or MOVE looks at: about a millisecond, after which
/// other sessions get their turn.
pub const STEP_MESSAGES: usize = 16 << 10;

/// Changes of one mailbox that are written and not applied: each step compares every message with
/// all of them. A command that finds as many waits for the disk first.
pub const UNAPPLIED: usize = 64;

/// Segments that a reactor keeps open for reading: a session reads from a handful, and opening one
/// again costs microseconds.
pub const OPEN_SEGMENTS: usize = 64;

/// Octets of a message that its announcement claims of the account's quota; more is claimed as they
/// arrive. An upload that stalls would keep the others of its account from what nobody uses. As
/// large as most messages, so that few are refused amid their octets.
pub const ANNOUNCED: u64 = 1 << 20;

/// Octets that an account with a quota may log beside its mail before its commands wait: 32,000
/// STOREs of single messages, or two million messages moved, as fast as they come.
pub const LOG_ALLOWANCE: usize = 128 << 20;

/// By how much that grows in a second until it is whole again: 256 STOREs of single messages each
/// second for ever, which is more than a person or a synchronisation does. 84 GiB a day for one who
/// tries hard, which leaves the operator time to see it.
pub const LOG_ALLOWANCE_PER_SECOND: usize = 1 << 20;

/// Octets of log that each octet of mail pays for. A message of a kilobyte by itself is written in
/// a block of four; larger ones, and batches, take little more than their own octets.
pub const LOG_OF_MAIL: usize = 4;

/// Octets that mail of an upload has paid for and that were not needed yet, at most: the records of
/// a batch are written after its mail, those of a million messages are 60 MiB.
pub const LOG_CREDIT: usize = 64 << 20;

/// Changes, in octets of index, that wait in a reactor's memory for a checkpoint.
pub const CHECKPOINT_DIRTY: usize = 4 << 20;

/// Octets of log after which a checkpoint is due: a start reads and checks as much of it for each
/// reactor, a third of a second at 1.5 GB/s.
pub const CHECKPOINT_LOG: u64 = 256 << 20;

/// Octets of all keywords of a mailbox: a thousand of the usual length, and a table that fits into
/// a record whatever else is in it.
pub const KEYWORD_TEXT: usize = 64 << 10;

/// Distinct sets of keywords that a mailbox can hold. Twenty keywords combined at random in a
/// quarter of a million messages stay below.
pub const KEYWORD_SETS: usize = 1 << 18;

/// Bytes in memory that the keywords of a mailbox and the sets of them may take. A set is a bit for
/// each keyword and 52 bytes: so many sets of twenty keywords are 14 MiB, and of sets of a
/// thousand there may be ninety thousand. Those that no message has any more count until they are
/// collected.
pub const KEYWORD_OCTETS: usize = 16 << 20;

/// The same of all mailboxes of an account together: four such mailboxes.
pub const KEYWORD_OCTETS_OF_ACCOUNT: usize = 4 * KEYWORD_OCTETS;

/// Names that an account can be subscribed to: all its mailboxes. A hundred MiB when all are as
/// long as can be, as those of the mailboxes are then.
pub const SUBSCRIPTIONS: usize = MAILBOXES;

/// Changes that the sessions of a mailbox can look up, in ranges of UIDs, of which a change counts
/// four more: a session that is this far behind looks at all messages instead, some milliseconds
/// for a million.
pub const JOURNAL: usize = 16_384;

/// Ranges of UIDs that a mailbox remembers as expunged (RFC 7162): weeks of a person who deletes
/// single messages, and 40 KiB in the mailbox's row of the catalog at most.
pub const VANISHED: usize = 2_048;

/// Messages in a chunk of the index: 40 KiB, so that a checkpoint after one message writes little,
/// and a million messages are read in 2,000 steps.
pub const CHUNK_MESSAGES: usize = 512;

/// Fragments, in a chunk, of messages that have several: 1 MiB. A chunk that has more is full,
/// though one message alone may have more: 4 GiB in small leases are 262,144.
pub const CHUNK_FRAGMENTS: usize = 1 << 16;

/// Chunks read from the catalog in one step: 2.5 MiB, some 100 microseconds.
pub const CHUNKS_AT_ONCE: usize = 64;

/// Memory that the catalog may use for its pages: a checkpoint's, and the upper levels of its
/// trees. The kernel caches the rest of the file.
pub const CATALOG_CACHE: usize = 16 << 20;

/// Changes that replay gathers in memory before it writes a checkpoint: enough that each is worth
/// its fdatasync.
pub const REPLAY_GATHERS: usize = 16 << 20;

/// Octets of a TLS handshake message that may be gathered, records' headers included: a client's
/// chain of certificates has a few KiB. While more is received there are two copies.
pub const HANDSHAKE: usize = 32 << 10;

/// Octets of a TLS record at most, header included (RFC 8446 section 5.2, RFC 5246 section 6.2.3).
pub const TLS_RECORD: usize = 5 + (16 << 10) + (2 << 10);

/// How long before a certificate expires the log begins to say so, once a day: services that renew
/// certificates do it as long before.
pub const CERTIFICATE_WARNING: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// What TLS adds to the state of a connection: keys, what rustls remembers of the handshake.
pub const TLS_SESSION: usize = 24 << 10;

/// Octets of a connection that are read and thrown away before login, as those of an APPEND are: a
/// program that sends a message right behind a LOGIN that fails is told NO to both. Whoever sends
/// more without a login uses the server as a sink, and is cut off.
pub const DISCARDED_BEFORE_LOGIN: u64 = 1 << 20;

/// Keys of one SEARCH, of all kinds: each is asked of each message. Programs join some hundreds.
pub const SEARCH_KEYS: usize = 4096;

/// Strings among the keys of one SEARCH: each is looked for in all that is read, so this bounds
/// what a SEARCH costs for each byte of mail. As many as [`SEARCH_DEPTH`] lets a program join by
/// OR.
pub const SEARCH_STRINGS: usize = 1000;

/// Work of a search that a reactor does at once, in bytes looked at times strings looked for: about
/// a millisecond. It rests after some of them.
pub const SEARCH_STEP: u64 = 1 << 20;

/// The same on a thread beside the reactors, before another user's job has its turn: a tenth of a
/// second.
pub const SEARCH_PIECE: u64 = 128 << 20;

/// Memory in bytes that all SORT, THREAD and followed results of SORT of one user take together:
/// the keys of a million messages of 250 bytes, five times what two criteria take. For a moment
/// there may be half as much more, while a list grows or is put in order.
pub const SORT_OCTETS: usize = 256 << 20;

/// Results of searches that a session may have followed (RFC 5267): programs follow a few.
pub const CONTEXTS: usize = 32;

/// Ranges of UIDs in all results that a session has followed: 2 MiB.
pub const CONTEXT_RANGES: usize = 1 << 18;

/// Messages in a result of SORT that is followed, with those that have gone from it since: it is
/// put in order again after each change, which takes some milliseconds of a thread beside the
/// reactor.
pub const CONTEXT_SORTED: usize = 1 << 14;

/// Messages in batches that are not committed, of all connections of a reactor: with 125 octets
/// each they are 190 MiB. A batch of a million fits, and half as much besides.
pub const UNFINISHED_MESSAGES: usize = 3 << 19;

/// Bytes of sets of keywords in batches that are not committed, of all connections of a reactor. A
/// batch keeps each set once, a bit for each keyword and some 100 bytes, whatever the number of
/// messages that have it: a quarter of a million sets of twenty keywords.
pub const UNFINISHED_KEYWORDS: usize = 32 << 20;

/// What a batch may take of that though it is used up: on 16,384 connections 64 MiB. Some tens of
/// sets of some tens of keywords.
pub const SMALL_BATCH_KEYWORDS: usize = 4 << 10;

/// Messages that a batch may have though there are so many: 16,384 connections with as many each
/// are 200 MiB.
pub const SMALL_BATCH: usize = 100;

/// Mailboxes of an account: users have thousands, archives split by day or sender tens of
/// thousands. Each costs half a kilobyte of memory while its account is in use.
pub const MAILBOXES: usize = 100_000;

/// Steps in which the patterns of one LIST are held against names, a nanosecond or two each: a
/// hundred thousand names of fifty characters against a hundred patterns, or half a second for one
/// who strings wildcards together.
pub const LIST_WORK: usize = 1 << 29;

/// Messages above this many bytes are large: to look at one takes a millisecond and more, so that
/// is left to threads beside the reactors.
pub const LARGE_MESSAGE: u64 = 1 << 20;

/// Large messages that a reactor has in memory at a time, one for each user at most. The second is
/// for others while the client of the first is slow to read.
pub const LARGE_MESSAGES: usize = 2;

/// Memory in bytes that it takes to look at a large message. It is read piece by piece; what is
/// kept are the headers of its parts, or its longest field, and what is said of them: an answer as
/// it is made, or the text of the field.
pub const MEMORY_OF_LARGE_MESSAGE: usize =
    4 * LARGE_MESSAGE as usize + MIME_HEADER + 3 * MIME_ANSWER;

/// Threads that look at large messages, sort and make threads, for all reactors: while one is busy
/// with a long piece of work of one user, the other serves the rest.
pub const PARSERS: usize = 2;

/// Connections of the whole server.
pub const CONNECTIONS: usize = 16_384;

/// Connections from one address (64 bits of one of IPv6): a migration opens hundreds, and some
/// thousands where many run behind one address. Three quarters of all are left to others.
pub const CONNECTIONS_PER_ADDRESS: usize = CONNECTIONS / 4;

/// Connections of one user: people have some ten programs with five each; an account that a whole
/// company journals to, some hundreds.
pub const CONNECTIONS_PER_USER: usize = 512;

/// Commands on a connection before somebody logs in: programs send five.
pub const COMMANDS_BEFORE_LOGIN: u32 = 64;

/// One in so many commands before login is answered at once. Those after them wait for each other.
pub const COMMANDS_AT_ONCE: u32 = 4;

/// How long each of those waits: five a second.
pub const COMMAND_STEP: std::time::Duration = std::time::Duration::from_millis(200);

/// User name, in octets.
pub const USER_NAME: usize = 255;

/// Password, in octets: argon2 takes more, no person types more.
pub const PASSWORD: usize = 1024;

/// The file of users, in octets: a million users of 300 octets each, and some room.
pub const USERS_FILE: u64 = 512 << 20;

/// Iterations of PBKDF2 for the keys of SCRAM-SHA-256, which the client repeats with each login.
/// The most that Cyrus SASL's client computes before it gives up; RFC 7677 asks for 4,096 at least.
pub const SCRAM_ITERATIONS: std::num::NonZeroU32 = std::num::NonZeroU32::new(65_536).unwrap();

/// Iterations that keys in the file of users may ask for. The server does not compute them; more
/// than this, and some seconds for each login, no client puts up with.
pub const SCRAM_ITERATIONS_MAX: u32 = 10_000_000;

/// Memory that the hash of one password may ask for, in KiB: 50 times the default. A slip of the
/// keyboard in the file of users must not bring the server down.
pub const ARGON2_MEMORY_KIB: u32 = 1 << 20;

/// Passes that the hash of one password may ask for.
pub const ARGON2_PASSES: u32 = 64;

/// Lanes that the hash of one password may ask for.
pub const ARGON2_LANES: u32 = 64;

/// Logins that wait for their password to be checked: each connection has one at most, of some 2
/// KiB. One whose time to log in ends before its turn is told so.
pub const LOGINS_WAITING: usize = CONNECTIONS;

/// Users whose last right password is remembered, 100 octets each.
pub const REMEMBERED_LOGINS: usize = 65_536;

/// Octets received at once outside of APPEND: a command, or the start of an APPEND.
pub const RECEIVE: usize = 8 << 10;

/// Octets of replies that may wait before a session stops taking commands: a client that does not
/// read its replies gets no new ones.
pub const REPLIES: usize = 256 << 10;

/// The same before login.
pub const REPLIES_BEFORE_LOGIN: usize = 16 << 10;

/// Room of a buffer for long replies: at this size a system call costs nothing by the octet, and it
/// is still in cache when the kernel copies it.
pub const REPLY: usize = 128 << 10;

/// What is shorter is copied to what waits already instead of being sent by itself.
pub const SHORT_REPLY: usize = 4 << 10;

/// State of a connection, with the tasks that wait beside it: half as much was measured.
pub const SESSION: usize = 8 << 10;

/// Memory of a connection before login, at most: its state; a command with its literals, in a
/// buffer that has grown to twice of that; what is being received; replies that wait, one of them
/// written over the bound. 16,384 connections of nobody stay below a gigabyte.
pub const MEMORY_BEFORE_LOGIN: usize = SESSION
    + 2 * (LINE_BEFORE_LOGIN + LITERAL_BEFORE_LOGIN)
    + RECEIVE
    + REPLIES_BEFORE_LOGIN
    + SHORT_REPLY;

/// The same by TLS: a record that was received, decrypted and not asked for, and the next, of which
/// a part has come. The handshake is over before any of this, and takes less.
pub const MEMORY_BEFORE_LOGIN_BY_TLS: usize = MEMORY_BEFORE_LOGIN + TLS_SESSION + 2 * TLS_RECORD;

/// The same after login. To this come the strings of a SEARCH, copied out of the command and made
/// ready to be looked for, and what a FETCH or SEARCH copies of mail: a message of
/// [`LARGE_MESSAGE`] and its parts decoded. Other mail comes and goes by leases, which the reactor
/// shares out ([`ARENA`]). What grows with the mailbox is counted elsewhere: for each user
/// [`SORT_OCTETS`], for each reactor [`MEMORY_OF_LARGE_MESSAGES`], for a selected mailbox that has
/// gaps, 8 bytes for each and for each range of a saved result and of [`CONTEXT_RANGES`].
pub const MEMORY_OF_SESSION: usize = SESSION
    + 2 * (LINE + LITERAL)
    + 3 * LITERAL
    + 2 * LARGE_MESSAGE as usize
    + RECEIVE
    + REPLIES
    + LARGE_LEASE
    + 2 * REPLY
    + 2 * SHORT_REPLY;

/// Memory in bytes of all large messages that a reactor has in memory.
pub const MEMORY_OF_LARGE_MESSAGES: usize = LARGE_MESSAGES * MEMORY_OF_LARGE_MESSAGE;

/// Failed logins of an address in [`LOGIN_WINDOW`], beyond which passwords from there are not
/// looked at any more, unless configured: more than people mistype, fewer than a list of passwords
/// is long.
pub const LOGIN_FAILURES: u32 = 50;

/// The same for one user from one address: so that one program with one wrong password leaves most
/// of an address's failures to others.
pub const LOGIN_FAILURES_EACH: u32 = 10;

/// Time in which so many failures are forgotten, evenly.
pub const LOGIN_WINDOW: std::time::Duration = std::time::Duration::from_secs(600);

/// How long the answer to a failed login waits, doubled with each further one: not noticed by who
/// mistypes.
pub const LOGIN_DELAY: std::time::Duration = std::time::Duration::from_millis(500);

/// Longest wait of the answer to a failed login: clients wait 20 seconds and more.
pub const LOGIN_DELAY_MAX: std::time::Duration = std::time::Duration::from_secs(15);

/// Addresses, users and pairs of them whose failures are counted, 50 octets each. Whoever comes
/// from more addresses is counted as one who comes for the first time.
pub const LOGIN_COUNTS: usize = 65_536;

/// Failed logins after which a connection ends: people have mistyped by then, and notice it in
/// their program's settings; those who guess must come again, and are counted by connections as
/// well.
pub const LOGINS_OF_CONNECTION: u32 = 4;

/// The file of token keys, in octets: sets have a dozen keys of a kilobyte.
pub const TOKEN_KEYS_FILE: u64 = 1 << 20;

/// Time from the greeting to the login. Programs need a second, people at a keyboard some more;
/// whoever does not log in shall not hold a connection. The 30 minutes of RFC 9051 section 5.4 are
/// for sessions after authentication.
pub const LOGIN_TIME: std::time::Duration = std::time::Duration::from_secs(60);

/// Idle time after which a session ends (RFC 3501 section 5.4: at least 30 minutes).
pub const AUTOLOGOUT: std::time::Duration = std::time::Duration::from_secs(30 * 60);

const _: () = {
    assert!(SMALL_LEASE.is_multiple_of(BLOCK) && LARGE_LEASE.is_multiple_of(BLOCK));
    assert!(SMALL_LEASE >= 2 * BLOCK, "a frame header and a message must fit in a small lease");
    assert!(LARGE_LEASE <= FRAME, "what fills a lease is written as one frame");
    assert!(
        KEYWORD_TEXT + 2 * KEYWORDS <= LARGE_LEASE / 2,
        "half of a record is left for messages"
    );
    assert!(SEGMENT_SIZE_MIN >= 8 * LARGE_LEASE as u64 && SEGMENT_SIZE_MAX <= u32::MAX as u64);
    assert!(RESERVE as usize >= 2 * (LARGE_LEASE + BLOCK), "a reserve holds the largest step");
    assert!(SEGMENT_LEAST as u64 <= SEGMENT_SIZE_MIN);
    assert!(8 * UID_RANGES <= LARGE_LEASE / 2, "half of a frame is left for other records");
    assert!(MEMORY_BEFORE_LOGIN * CONNECTIONS <= 1 << 30, "nobody shall fill the memory");
    assert!(MEMORY_BEFORE_LOGIN_BY_TLS * CONNECTIONS <= 2 << 30, "not by TLS either");
    assert!(SESSION + TLS_SESSION + 2 * HANDSHAKE <= MEMORY_BEFORE_LOGIN_BY_TLS);
    assert!(MEMORY_OF_SESSION <= 8 << 20, "a user's programs are some dozens");
    assert!(MEMORY_OF_LARGE_MESSAGES <= 256 << 20, "for each reactor, whoever asks");
    assert!(MIME_HEADER <= MIME_ANSWER, "a field as text has three times its octets");
    assert!(LARGE_MESSAGE >= LARGE_LEASE as u64, "what fits in a lease is looked at there");
    assert!(SEARCH_STEP * 16 <= SEARCH_PIECE, "a job is worth the way to its thread");
    assert!(ARENA <= 1 << 30, "the kernel registers buffers of 1 GiB at most");
};
