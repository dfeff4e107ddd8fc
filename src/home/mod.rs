//! The state of one reactor, and the only way for a change into its log.
//!
//! [`Home`] is a reactor as its sessions and uploads see it: memory, log, catalog, accounts and
//! connections. [`Owner`] is one of the accounts, with its quota and its changes in flight.
//! [`Ledger`] writes changes of an account and applies them once they are durable. [`Checkpoints`]
//! copies applied changes to the catalog.
//!
//! ```text
//!  session, ingest ──compose──▶ Ledger ──▶ store: frame, fdatasync
//!                                  │                │ durable
//!                                  └─▶ Owner ◀──────┘ applied, sessions notified
//!                                        │
//!                                        └──▶ Checkpoints ──▶ catalog
//! ```

mod accounts;
mod allowance;
mod arrival;
mod checkpoints;
mod connections;
mod guarded;
mod ledger;
mod offload;
mod owner;
mod page;
mod publish;
mod seats;
mod settings;
mod state;
mod unfinished;

pub use allowance::Credit;
pub use arrival::{Arrival, Farewell, Trail};
pub use checkpoints::Checkpoints;
pub use connections::{ConnectionLimit, ConnectionPermit};
pub use guarded::GuardedLog;
pub use ledger::{FAULTY, Ledger};
pub use offload::{Offload, Turn};
pub use owner::{Attending, Claim, Owner, Pinned};
pub use page::{Page, ROOM, Room, Stream};
pub use publish::publish;
pub use seats::{HeldMemory, Seat};
pub use settings::Settings;
pub use state::Home;
pub use unfinished::UnfinishedShare;
