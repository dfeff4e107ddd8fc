//! Sessions: what a client's commands do. One file per family of commands.

mod append;
mod change;
mod context;
mod deadline;
mod dispatch;
mod enable;
mod fetch;
mod input;
mod login;
mod mailboxes;
mod places;
mod search;
mod selected;

pub use context::{Arrival, Enrolled, Home, LoadError, Loading, Settings, Tally};
pub use dispatch::serve;
pub use fetch::{Files, Parser};
pub use places::{Crowded, Place, Places, Seats};
