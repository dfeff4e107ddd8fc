//! How clients reach the server, whatever the octets travel on.

use std::io;
use std::time::Duration;

/// One connection as a client sees it. All that a client does waits on this, and on
/// [`Dial::pause`].
#[allow(async_fn_in_trait, reason = "all clients of a run share one thread")]
pub trait Wire {
    /// Sends all; an error when the connection is gone.
    async fn send(&mut self, octets: &[u8]) -> io::Result<()>;
    /// The next octets that come, 1 or more; none is the end of the stream.
    async fn recv(&mut self) -> io::Result<Vec<u8>>;
    /// The client sends no more.
    fn close(&mut self);
    /// The connection ends at once, in both directions.
    fn reset(&mut self);
}

/// Makes connections.
#[allow(async_fn_in_trait, reason = "as for Wire")]
pub trait Dial {
    /// What it makes.
    type Wire: Wire;
    /// An error when the server is not there.
    async fn dial(&self) -> io::Result<Self::Wire>;
    /// Lets time pass.
    async fn pause(&self, duration: Duration);
}

/// Why a client ends before its time.
#[derive(Debug)]
pub enum Stop {
    /// The connection has gone.
    Gone(io::ErrorKind),
    /// The server did what it must not: what, where, and what the model expected.
    Wrong(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Gone(error.kind())
    }
}

impl Stop {
    /// Says what is wrong with what.
    pub fn about(self, what: impl FnOnce() -> String) -> Stop {
        match self {
            Stop::Wrong(text) => Stop::Wrong(format!("{}: {text}", what())),
            gone => gone,
        }
    }
}

/// What a check gives.
pub type Checked<T = ()> = Result<T, Stop>;

/// Fails with [`Stop::Wrong`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::model::wire::Stop::Wrong(format!($($text)+)));
        }
    };
}
pub(super) use ensure;

/// [`Stop::Wrong`].
pub fn wrong<T>(text: impl Into<String>) -> Checked<T> {
    Err(Stop::Wrong(text.into()))
}
