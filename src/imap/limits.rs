//! Bounds of commands and of what is read in mail, each with its reason.

/// Longest keyword, in octets: longer ones are not in use, and each is repeated in every FLAGS.
pub const KEYWORD_LENGTH: usize = 255;

/// Keywords that the messages of a mailbox can have. Dovecot's users have dozens; a thousand is
/// abuse.
pub const KEYWORDS: usize = 1024;

/// Command line before login, literals of LOGIN not counted.
pub const LINE_BEFORE_LOGIN: usize = 8 << 10;

/// Command line after login: RFC 2683 section 3.2.1.5 asks servers for 8,000 octets at least, and
/// clients send sets of thousands of UIDs.
pub const LINE: usize = 64 << 10;

/// Literal in a command other than APPEND, before login: a name or a password.
pub const LITERAL_BEFORE_LOGIN: usize = 4 << 10;

/// Literals in a command other than APPEND, all together: search strings, names.
pub const LITERAL: usize = 1 << 20;

/// Nesting of parentheses, NOT and OR in a SEARCH: the keys are evaluated by recursion. Programs
/// that join a hundred terms by OR nest a hundred deep; a thousand fit in any stack.
pub const SEARCH_DEPTH: usize = 1000;

/// Mailbox name, in octets of UTF-8.
pub const MAILBOX_NAME: usize = 1000;

/// Levels of a mailbox name.
pub const MAILBOX_LEVELS: usize = 64;

/// Octets of a header, and of all headers of the parts of a message, that are looked at together:
/// mail to a hundred thousand recipients has 6 MiB. Of a message with more, what its headers say is
/// refused; its octets are not.
pub const MIME_HEADER: usize = 24 << 20;

/// Bytes of an ENVELOPE or BODYSTRUCTURE: ten times what it takes to tell a hundred thousand
/// recipients. A list of nothing but commas becomes fifteen times as long as it is.
pub const MIME_ANSWER: usize = 32 << 20;

/// Levels of parts within parts: what is deeper is a leaf. Dovecot's limit; real mail has some
/// five, the worst that is known 38.
pub const MIME_DEPTH: usize = 100;

/// Parts of a message: what comes after them belongs to the last. Dovecot's limit.
pub const MIME_PARTS: usize = 10_000;

/// Longest boundary of a multipart that is looked at, in octets: what differs only after so many is
/// the same. Dovecot's limit; RFC 2046 section 5.1.1 allows 70.
pub const MIME_BOUNDARY: usize = 80;

/// Octets of a message-id that are read for THREAD: a line of mail (RFC 5322 section 2.1.1). What
/// is longer is none.
pub const MESSAGE_ID: usize = 998;

/// Octets of a string that SORT compares, a line of mail again: what differs only after so many is
/// in the order of the mailbox.
pub const SORT_STRING: usize = 1000;

/// Octets of a field that SORT reads for its first address: a name, a route and an address, each as
/// long as a line.
pub const SORT_ADDRESS: usize = 4096;

/// Characters of a PREVIEW (RFC 8970 section 3.3: 200, never over 256).
pub const PREVIEW: usize = 200;

/// Octets of a text, as it stands in the message, that are read for its PREVIEW: some screens of
/// quotation before the answer.
pub const PREVIEW_READ: usize = 16 << 10;

/// The same for HTML, which may begin with as much of style.
pub const PREVIEW_READ_HTML: usize = 256 << 10;

/// Largest message unless configured (RFC 7889): what a 32-bit count can hold.
pub const APPEND_LIMIT: u64 = u32::MAX as u64;
