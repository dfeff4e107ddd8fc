//! The grammar of commands: one parser per rule, with the rule quoted above it.

mod access;
mod cursor;
mod fetch;
mod list;
mod mailbox;
mod message;
mod metadata;
mod parameters;
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
pub use metadata::{Depth, GetMetadata, SetMetadata};
pub(super) use metadata::{get_metadata, set_metadata};
pub use search::{
    DateField, DateOrder, PartialRange, Returns, Search, SearchKey, Sort, SortCriterion, SortKey,
    Thread, ThreadAlgorithm,
};
pub(super) use search::{search, sort, thread};
pub(super) use select::select;
pub use select::{QResync, Select};

/// Most characters of client input that an error quotes. Replies are cut to a few hundred.
const QUOTED: usize = 60;

/// Client input, shortened for an error text.
pub(super) fn quoted(octets: &[u8]) -> Box<str> {
    // A character has at most four octets.
    let text = String::from_utf8_lossy(&octets[..octets.len().min(4 * QUOTED)]);
    let cut = text.chars().count() > QUOTED;
    text.chars().take(QUOTED).chain(cut.then_some("...").into_iter().flat_map(str::chars)).collect()
}
