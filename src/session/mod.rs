//! Sessions: what a client's commands do. One file per family of commands.

mod allowance;
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
mod observed;
mod places;
mod publish;
mod reply;
mod search;
mod selected;
mod tls;
mod vigil;

pub use context::{Arrival, Home, LoadError, Loading, Settings};
pub use dispatch::serve;
pub use fetch::Parser;
pub use login::CAPABILITIES;
pub use places::{Crowded, Place, Places, Seats};
pub use publish::publish;
