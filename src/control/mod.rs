//! The control socket: how commands ask a running server.
//!
//! The server makes the Unix socket `control` in its data folder; only its own user and root can
//! connect. A command connects, writes a [`Request`] as a line of JSON, and reads [`Answer`]s, also
//! as lines of JSON, until the server closes the connection.
//!
//! ```text
//! space, clean, user ──▶ control ──▶ Handle ──▶ catalog, files, coordinator of the cleaning
//! ```
//!
//! A thread of its own with low priority serves the socket. No reactor waits for it.

mod serving;
mod socket;

use serde::{Deserialize, Serialize};

pub(crate) use serving::Control;
pub(crate) use socket::connect;

use crate::home::Purged;
use crate::server::{Cleaned, Space};

/// What a command asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// What takes space. There is one answer.
    Space {},
    /// To clean. The answers end with [`Cleaned::All`] or [`Cleaned::Failed`]. A command that hangs
    /// up ends the cleaning after the current segment.
    Clean {
        /// Whether everything is cleaned that gives something back.
        all: bool,
        /// Whether everything is cleaned that may have octets of expunged mail, too.
        #[serde(default)]
        purge: bool,
    },
    /// To delete everything that the account of a removed user has. There is one answer, when that
    /// is durable.
    Purge {
        /// The account.
        account: String,
    },
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To [`Request::Space`].
    Space(Box<Space>),
    /// To [`Request::Clean`].
    Cleaned(Cleaned),
    /// To [`Request::Purge`].
    Purged(Purged),
    /// To anything: it is not done, for this reason.
    Refused(String),
}
