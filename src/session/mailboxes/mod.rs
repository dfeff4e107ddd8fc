//! Commands on mailboxes as such: their names, what there is of them, and what is in them in
//! numbers.

mod create;
mod list;
mod metadata;
mod rename;
mod status;
mod subscribe;
mod tree;

pub(super) use status::mailbox_id;
