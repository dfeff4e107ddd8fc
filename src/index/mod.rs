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
mod file;
mod keywords;
mod mailbox;
mod replay;
mod rows;
#[cfg(test)]
mod simulated;
mod view;
mod walk;

#[cfg(test)]
mod tests;

pub use account::{Account, RenameError};
pub use catalog::Catalog;
pub use checkpoint::Checkpoint;
pub use chunk::{Chunk, Entry};
pub use damaged::{Finding, Quarantine};
pub use error::{ApplyError, CatalogError, Rot};
#[cfg(test)]
use file::{CATALOG_FORMAT, CatalogFile};
pub use keywords::{KeywordChange, KeywordSet, Keywords};
#[cfg(test)]
use mailbox::Counts;
pub use mailbox::{AsWritten, Changes, Mailbox, Reserved, What};
pub use replay::{OnDamage, ReplayError, replay};
pub use view::View;
pub(crate) use walk::{Batch, Found, Walk};
