//! Why a log takes nothing.

use std::error::Error;
use std::fmt;
use std::rc::Rc;

/// Why the log takes nothing. Many may be told of one failure, so clones share what is behind it.
#[derive(Clone, Debug)]
pub enum LogError {
    /// There is no room for another segment, or no file descriptor. What was acknowledged is safe,
    /// and the client may try again later.
    Full(Cause),
    /// A write or an fdatasync failed. What the disk kept is unknown until the server starts again
    /// and reads it: this log promises nothing any more.
    Poisoned(Cause),
}

/// What happened, for the operator, with the error behind it if there is one.
#[derive(Clone, Debug)]
pub struct Cause {
    text: Rc<str>,
    error: Option<Rc<dyn Error>>,
}

impl Cause {
    /// What was done, and the error that it ended in.
    pub(super) fn new(what: impl fmt::Display, error: impl Error + 'static) -> Cause {
        Cause { text: format!("{what}: {error}").into(), error: Some(Rc::new(error)) }
    }
}

/// An error that needs no more words.
impl From<crate::store::pool::NoSegment> for Cause {
    fn from(error: crate::store::pool::NoSegment) -> Cause {
        Cause { text: error.to_string().into(), error: Some(Rc::new(error)) }
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
            LogError::Full(cause) | LogError::Poisoned(cause) => cause.error.as_deref(),
        }
    }
}
