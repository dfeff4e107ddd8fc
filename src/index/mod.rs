//! The index: which messages exist, and where their bytes are. The log is the truth. The catalog is
//! a checkpoint of it; changes since the checkpoint are in memory.
//!
//! ```text
//! log ── durable changes ─▶ Account ─▶ Mailbox ─▶ Chunks ── checkpoint ─▶ Catalog (redb)
//!  └──── replay at startup ───▲                     ▲──── SELECT ────────────┘
//! ```

mod account;
mod catalog;
mod checkpoint;
mod chunk;
mod chunks;
mod codec;
mod damaged;
mod error;
mod failure;
mod file;
mod keywords;
mod live;
mod losses;
mod mailbox;
mod replay;
mod restored;
mod rows;
#[cfg(test)]
mod simulated;
mod snapshot;
mod stranded;
mod verify;
mod view;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use account::{Account, RenameError};
pub(crate) use catalog::Catalog;
pub(crate) use checkpoint::Checkpoint;
pub(crate) use chunk::{Chunk, Entry};
pub(crate) use damaged::{Finding, Quarantine};
pub(crate) use error::{ApplyError, CatalogError, Rot};
#[cfg(test)]
pub(crate) use file::{CATALOG_FORMAT, CatalogFile};
pub(crate) use keywords::{KeywordChange, KeywordSet, Keywords};
pub(crate) use live::counts::Live;
pub(crate) use live::residents::Resident;
pub(crate) use live::stopped::stored_live;
pub(crate) use losses::LOSSES;
#[cfg(test)]
pub(crate) use mailbox::Counts;
pub(crate) use mailbox::{AsWritten, Changes, Mailbox, Reserved, What};
pub(crate) use replay::{OnDamage, ReplayError, replay};
pub(crate) use restored::{Restored, note_restored};
pub(crate) use snapshot::{
    SNAPSHOTS, SnapshotError, check as check_snapshot, check_one as check_one_snapshot,
    name_of as snapshot_name, newest_of as newest_snapshot,
};
pub(crate) use verify::{Comparison, Verified, repair, verify};
pub(crate) use view::View;
pub(crate) use walk::{Batch, Found, Walk};
