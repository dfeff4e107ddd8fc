//! Upper bounds on commands and on what is read of a message, each with its reason.

/// Longest keyword, in octets. Longer ones are not in use, and every FLAGS repeats each keyword.
pub const KEYWORD_LENGTH: usize = 255;

/// Keywords in a mailbox. Dovecot users have dozens; a thousand is abuse.
pub const KEYWORDS: usize = 1024;

/// Command line before login, in octets, without the literals of LOGIN.
pub const LINE_BEFORE_LOGIN: usize = 8 << 10;

/// Command line after login, in octets. RFC 2683 section 3.2.1.5 asks servers for at least 8,000;
/// clients send sets of thousands of UIDs.
pub const LINE: usize = 64 << 10;

/// Literals in a command before login, in octets: a user name or a password.
pub const LITERAL_BEFORE_LOGIN: usize = 4 << 10;

/// Total literals in a command other than APPEND, in octets: search strings, names.
pub const LITERAL: usize = 1 << 20;

/// Nesting of parentheses, NOT and OR in a SEARCH: keys are evaluated by recursion. Clients that
/// join a hundred terms by OR nest a hundred deep; a thousand fit in any stack.
pub const SEARCH_DEPTH: usize = 1000;

/// Mailbox name, in octets of UTF-8.
pub const MAILBOX_NAME: usize = 1000;

/// Levels of a mailbox name.
pub const MAILBOX_LEVELS: usize = 64;

/// Octets read of one header, and of all part headers of a message together. Mail to a hundred
/// thousand recipients has 6 MiB. A message with more is stored and fetched as usual, but anything
/// that needs its headers is refused.
pub const MIME_HEADER: usize = 24 << 20;

/// Bytes of an ENVELOPE or BODYSTRUCTURE: ten times what a hundred thousand recipients need. A list
/// of nothing but commas grows fifteenfold.
pub const MIME_ANSWER: usize = 32 << 20;

/// Levels of nested parts; deeper ones become leaves. This is Dovecot's limit. Real mail has about
/// five, the worst known message 38.
pub const MIME_DEPTH: usize = 100;

/// Parts of a message; everything after them belongs to the last part. This is Dovecot's limit.
pub const MIME_PARTS: usize = 10_000;

/// Octets of a multipart boundary that are compared; longer boundaries that differ only after that
/// are equal. This is Dovecot's limit; RFC 2046 section 5.1.1 allows 70.
pub const MIME_BOUNDARY: usize = 80;

/// Longest Message-ID that THREAD uses, in octets: one line of mail (RFC 5322 section 2.1.1). A
/// longer one is ignored.
pub const MESSAGE_ID: usize = 998;

/// Octets of a string that SORT compares: one line of mail. Strings that differ only after that
/// stay in mailbox order.
pub const SORT_STRING: usize = 1000;

/// Octets of a field that SORT reads to find its first address: a name, a route and an address,
/// each as long as a line.
pub const SORT_ADDRESS: usize = 4096;

/// Characters of a PREVIEW. RFC 8970 section 3.3 recommends 200 and forbids more than 256.
pub const PREVIEW: usize = 200;

/// Octets of a text part, before decoding, that are read for its PREVIEW: a few screens of
/// quotation before the answer.
pub const PREVIEW_READ: usize = 16 << 10;

/// Octets of an HTML part that are read for its PREVIEW. HTML may begin with this much style sheet.
pub const PREVIEW_READ_HTML: usize = 256 << 10;

/// Default limit on the size of a message, in octets (RFC 7889): the largest 32-bit number.
pub const APPEND_LIMIT: u64 = u32::MAX as u64;
