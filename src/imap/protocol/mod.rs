//! IMAP without I/O: octets in, values and octets out.
//!
//! What arrives passes through three steps. [`Framer`] says how far a command reaches, without
//! understanding it. [`parse`] turns a whole command into a [`Command`]. APPEND is the exception:
//! its literals never gather in memory, so the lines between them are read one at a time by
//! [`parse_append_head`] and [`parse_append_options`]. What leaves is written by [`response`].
//!
//! The grammar is that of RFC 3501 section 9 with the extensions of RFC 4466; each parser quotes
//! the rule it reads. It is taken generously where clients in the field are careless: any number
//! of spaces where one is asked for, any case, a bare LF for CRLF. Nothing here panics on any
//! input or holds more than a small multiple of it.

mod append;
mod command;
mod framing;
mod grammar;
mod header;
mod mailbox_name;
#[cfg(test)]
mod proptests;
pub mod response;
mod sequence_set;
#[cfg(test)]
mod tests;
mod utf7;

pub use append::{
    Head, HeadError, Next, Options, OptionsError, Refusal, after_utf8, is_append,
    parse_append_head, parse_append_options,
};
pub use command::{Command, ParseError, Secret, Tag, Tagged, decode_sasl, first_words, parse};
pub use framing::{Discard, Frame, Framer, Limits, Line, Literal, line};
pub use grammar::{
    BinarySection, BodySection, Create, DateField, DateOrder, Fetch, FetchItem, FlagError,
    FlagList, List, Partial, PartialRange, QResync, ReturnOptions, Returns, Search, SearchKey,
    Section, SectionText, Select, SelectionOptions, Sort, SortCriterion, SortKey, StatusItem,
    Store, Thread, ThreadAlgorithm,
};
pub use header::HeaderScanner;
pub use mailbox_name::{MailboxName, NameError, Pattern};
pub use sequence_set::{Ranges, SequenceSet};
