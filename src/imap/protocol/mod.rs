//! IMAP without I/O: octets in, values and octets out.
//!
//! Input passes three steps. [`Framer`] finds the end of a command without understanding it.
//! [`parse`](parse()) turns a whole command into a [`Command`]. APPEND is the exception: its
//! literals are never buffered, so [`parse_append_head`] and [`parse_append_options`] read the
//! lines between them one at a time. [`response`] writes the output.
//!
//! The grammar is that of RFC 3501 section 9 with the extensions of RFC 4466; each parser quotes
//! its rule. It is relaxed where clients in the field are careless: any number of spaces for one,
//! any case, a bare LF for CRLF. No input causes a panic or takes more than a small multiple of its
//! size.

mod append;
mod command;
mod framing;
mod grammar;
mod header;
mod mailbox_name;
mod parse;
#[cfg(test)]
mod proptests;
pub mod response;
mod sequence_set;
#[cfg(test)]
mod tests;
mod utf7;

pub use append::{
    ErrorReply, Head, HeadError, Next, Options, OptionsError, after_utf8, is_append,
    parse_append_head, parse_append_options,
};
pub use command::{Command, Secret, Tag, Tagged, decode_sasl};
pub use framing::{Discard, Framer, Limits, Line, Literal, Scan, line};
pub use grammar::{
    BinarySection, BodySection, Create, DateField, DateOrder, Depth, Fetch, FetchItem, FlagError,
    FlagList, GetMetadata, List, Partial, PartialRange, QResync, ReturnOptions, Returns, Search,
    SearchKey, Section, SectionText, Select, SelectionOptions, SetMetadata, Sort, SortCriterion,
    SortKey, StatusItem, Store, Thread, ThreadAlgorithm,
};
pub use header::HeaderScanner;
pub use mailbox_name::{MailboxName, NameError, Pattern};
pub use parse::{ParseError, first_words, parse};
pub use sequence_set::{Ranges, SequenceSet};
