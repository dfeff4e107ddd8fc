//! Sessions: the commands of a client, one file per family.

mod allowance;
mod append;
mod change;
mod deadline;
mod dispatch;
mod enable;
mod enabled;
mod fetch;
mod input;
mod life;
mod login;
mod mailboxes;
mod observed;
mod reply;
mod search;
mod selected;
#[expect(clippy::module_inception, reason = "a session is what this folder is about")]
mod session;
mod tls;
mod trouble;
mod vigil;

pub(crate) use life::serve;
#[cfg(test)]
pub(crate) use login::CAPABILITIES;
pub(crate) use mailboxes::purge;
