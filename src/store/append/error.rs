//! Errors of writing to a log.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why the log accepts no write. One failure may be reported to many tasks, so clones share its
/// cause.
#[derive(Clone, Debug)]
pub enum LogError {
    /// There is no space for another segment, or no file descriptor. Acknowledged data is safe, and
    /// the client may try again later.
    Full(Cause),
    /// A write or an fdatasync failed. The contents of the disk are unknown until the server starts
    /// again and reads it, so this log acknowledges nothing any more.
    Poisoned(Cause),
}

/// The cause, for the operator, with the underlying error if there is one.
#[derive(Clone, Debug)]
pub struct Cause {
    text: Arc<str>,
    error: Option<Arc<dyn Error + Send + Sync>>,
}

impl Cause {
    /// From the operation and its error.
    pub(super) fn new(what: impl fmt::Display, error: impl Error + Send + Sync + 'static) -> Cause {
        Cause { text: format!("{what}: {error}").into(), error: Some(Arc::new(error)) }
    }
}

/// The text of this error needs no addition.
impl From<crate::store::pool::NoSegment> for Cause {
    fn from(error: crate::store::pool::NoSegment) -> Cause {
        Cause { text: error.to_string().into(), error: Some(Arc::new(error)) }
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Cause {
        Cause { text: text.into(), error: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Full(cause) | LogError::Poisoned(cause) => cause.fmt(f),
        }
    }
}

impl Error for LogError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LogError::Full(cause) | LogError::Poisoned(cause) => {
                cause.error.as_deref().map(|error| error as &(dyn Error + 'static))
            }
        }
    }
}
