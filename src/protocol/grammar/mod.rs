//! The grammar of commands: one parser for each rule, the rule quoted above it.

mod access;
mod cursor;
mod fetch;
mod list;
mod mailbox;
mod message;
mod search;
mod select;

pub(super) use access::{authenticate, cancel_update, enable, id, login};
pub(super) use cursor::{Cursor, Expected, Parsed, is_astring_char};
pub(super) use fetch::fetch;
pub use fetch::{BinarySection, BodySection, Fetch, FetchItem, Partial, Section, SectionText};
pub use list::{List, ReturnOptions, SelectionOptions};
pub(super) use list::{list, lsub};
pub use mailbox::{Create, StatusItem};
pub(super) use mailbox::{create, mailbox, status};
pub use message::{FlagError, FlagList, Store};
pub(super) use message::{flag_list, store};
pub use search::{
    DateField, DateOrder, PartialRange, Returns, Search, SearchKey, Sort, SortCriterion, SortKey,
    Thread, ThreadAlgorithm,
};
pub(super) use search::{search, sort, thread};
pub(super) use select::select;
pub use select::{QResync, Select};
