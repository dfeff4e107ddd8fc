//! Commands on mailboxes: names, attributes, metadata and status.

mod create;
mod list;
mod metadata;
mod rename;
mod status;
mod subscribe;
mod tree;

pub(super) use status::mailbox_id;
