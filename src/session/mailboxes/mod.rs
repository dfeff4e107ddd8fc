//! Commands on mailboxes: names, attributes, metadata and status.

mod create;
mod list;
mod metadata;
mod purge;
mod rename;
mod status;
mod subscribe;
mod tree;

pub(crate) use purge::purge;
pub(super) use status::mailbox_id;
