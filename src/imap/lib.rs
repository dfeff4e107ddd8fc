//! IMAP and the mail it carries, without I/O: octets in, values and octets out.
//!
//! - [`types`]: UIDs, mod-sequences, flags, dates. Every other module uses them.
//! - [`protocol`]: commands as clients send them, responses as servers write them (RFC 3501,
//!   RFC 9051 and extensions).
//! - [`mime`]: the structure and the text of messages, for FETCH, SEARCH, SORT and THREAD.
//! - [`limits`]: upper bounds on all of these.
//!
//! The crate reads no socket and no file, keeps no global state, and panics on no input.
//!
//! A server first finds the end of a command, then parses it:
//!
//! ```
//! use imap::protocol::{Command, Scan, Framer, Limits, parse};
//!
//! let received = b"a1 SELECT \"Sent Mail\"\r\na2 NO";
//! let mut framer = Framer::new(Limits::AFTER_LOGIN);
//! let Scan::Command { length } = framer.scan(received) else { panic!("a line is complete") };
//! let tagged = parse(&received[..length], false).unwrap();
//! assert_eq!(tagged.tag.as_str(), "a1");
//! assert!(matches!(tagged.command, Command::Select(_)));
//! ```
//!
//! One walk over a message finds everything FETCH needs:
//!
//! ```
//! use imap::mime::Message;
//!
//! let mail = b"Content-Type: text/html\r\n\r\n<p>Hello";
//! let mut answer = bytes::BytesMut::new();
//! Message::parse(mail, false).body_structure(false, &mut answer).unwrap();
//! assert_eq!(&answer[..], br#"("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 8 0)"#);
//! ```
#![deny(missing_docs)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod limits;
pub mod types;
pub mod protocol;
pub mod mime;
