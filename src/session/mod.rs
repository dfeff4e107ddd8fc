//! Sessions: what a client's commands do. One file per family of commands.

mod allowance;
mod append;
mod change;
mod deadline;
mod dispatch;
mod enable;
mod fetch;
mod input;
mod login;
mod mailboxes;
mod observed;
mod reply;
mod search;
mod selected;
mod tls;
mod trouble;
mod vigil;

pub use dispatch::serve;
pub use login::CAPABILITIES;
