//! The grammar of commands: one parser for each rule, the rule quoted above it.

mod access;
mod cursor;
mod fetch;
mod mailbox;
mod message;

pub(super) use access::{authenticate, enable, id, login};
pub(super) use cursor::{Cursor, Expected, Parsed, is_astring_char};
pub(super) use fetch::fetch;
pub use fetch::{BinarySection, BodySection, Fetch, FetchItem, Partial, Section, SectionText};
pub use mailbox::{List, Parameter, Select, StatusItem};
pub(super) use mailbox::{create, list, mailbox, select, status};
pub use message::{FlagError, FlagList, Store, StoreChange};
pub(super) use message::{flag_list, store};
