//! How clients reach the server: a real socket, a simulated network, or paper.

pub mod reply;

use std::io;
use std::time::Duration;

/// One connection as a client sees it. A client waits for nothing but this and [`Dial::pause`].
#[allow(async_fn_in_trait, reason = "all clients of a run share one thread")]
pub trait Wire {
    /// Sends all octets. An error when the connection is gone.
    async fn send(&mut self, octets: &[u8]) -> io::Result<()>;
    /// The next octets, at least one. None at the end of the stream.
    async fn recv(&mut self) -> io::Result<Vec<u8>>;
    /// Ends the sending side.
    fn close(&mut self);
    /// Ends the connection at once, in both directions.
    fn reset(&mut self);
}

/// Makes connections.
#[allow(async_fn_in_trait, reason = "as for Wire")]
pub trait Dial {
    /// The connections it makes.
    type Wire: Wire;
    /// Connects. An error when the server is not there.
    async fn dial(&self) -> io::Result<Self::Wire>;
    /// Lets time pass.
    async fn pause(&self, duration: Duration);
}

/// Why a client ends early.
#[derive(Debug)]
pub enum Stop {
    /// The connection has gone.
    Gone(io::ErrorKind),
    /// The server is wrong: what it did, where, and what the model expected.
    Wrong(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Gone(error.kind())
    }
}

impl Stop {
    /// Adds what the text is about.
    pub fn about(self, what: impl FnOnce() -> String) -> Stop {
        match self {
            Stop::Wrong(text) => Stop::Wrong(format!("{}: {text}", what())),
            gone => gone,
        }
    }
}

/// The result of a check.
pub type Checked<T = ()> = Result<T, Stop>;

/// Fails with [`Stop::Wrong`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::model::wire::Stop::Wrong(format!($($text)+)));
        }
    };
}
pub(in crate::model) use ensure;

/// [`Stop::Wrong`].
pub fn wrong<T>(text: impl Into<String>) -> Checked<T> {
    Err(Stop::Wrong(text.into()))
}
