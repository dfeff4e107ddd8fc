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
mod cleaning;
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

pub(crate) use allowance::Credit;
pub(crate) use arrival::{Arrival, Farewell, PurgeRequest, Purged, Trail};
pub(crate) use checkpoints::Checkpoints;
pub(crate) use cleaning::{CleanError, Cleaning, Emptied, Pace, carry_out};
pub(crate) use connections::{ConnectionLimit, ConnectionPermit};
pub(crate) use guarded::GuardedLog;
pub(crate) use ledger::{FAULTY, Ledger};
pub(crate) use offload::{Offload, Turn};
pub(crate) use owner::{Attending, Claim, Owner, Pinned};
pub(crate) use page::{Page, ROOM, Room, Stream};
pub(crate) use publish::publish;
pub(crate) use seats::{HeldMemory, Seat};
pub(crate) use settings::Settings;
pub(crate) use state::Home;
pub(crate) use unfinished::UnfinishedShare;
