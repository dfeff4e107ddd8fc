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

/// Characters of what a client has sent that an error quotes at most: of a response not more than
/// some hundred are shown.
const QUOTED: usize = 60;

/// What a client has sent, for an error that names it.
pub(super) fn quoted(octets: &[u8]) -> Box<str> {
    // Four octets a character is the most there is.
    let text = String::from_utf8_lossy(&octets[..octets.len().min(4 * QUOTED)]);
    let cut = text.chars().count() > QUOTED;
    text.chars().take(QUOTED).chain(cut.then_some("...").into_iter().flat_map(str::chars)).collect()
}
