//! Why users cannot be read or changed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::auth::line::LineError;
use crate::auth::password::PasswordError;
use crate::limits;

/// Why users cannot be read or changed.
#[derive(Debug)]
pub enum UserError {
    /// There is a user of this name already.
    Exists,
    /// There is no user of this name.
    Unknown,
    /// This cannot be a user's name.
    Name(NameError),
    /// This cannot be a new user's password.
    Password(PasswordError),
    /// The file holds a line that makes no sense.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        error: LineError,
    },
    /// The file is larger than [`limits::USERS_FILE`].
    TooLarge(PathBuf),
    /// The operating system refused.
    Io {
        /// What was to be done: `read`, `write`, ...
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// No hash could be made: no memory.
    Hash(argon2::Error),
    /// No randomness was to be had.
    Random(getrandom::Error),
}

/// Why a text cannot be a user's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is empty.
    Empty,
    /// It is longer than [`limits::USER_NAME`] octets.
    TooLong,
    /// It begins with `#`, as comments in the file do.
    Comment,
    /// It holds a colon, a blank or a control character; a new one, an asterisk.
    Character(char),
}

pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> UserError {
    move |error| UserError::Io { doing, path: path.into(), error }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::Exists => f.write_str("there is a user of this name already"),
            UserError::Unknown => f.write_str("there is no user of this name"),
            UserError::Name(error) => error.fmt(f),
            UserError::Password(error) => error.fmt(f),
            UserError::Malformed { path, line, error } => {
                write!(f, "{}, line {line}: {error}", path.display())
            }
            UserError::TooLarge(path) => {
                write!(f, "{} is larger than {} octets", path.display(), limits::USERS_FILE)
            }
            UserError::Io { doing, path, error } => {
                write!(f, "cannot {doing} {}: {error}", path.display())
            }
            UserError::Hash(error) => write!(f, "cannot hash the password: {error}"),
            UserError::Random(error) => write!(f, "the system gives no randomness: {error}"),
        }
    }
}

impl std::error::Error for UserError {}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("the name is empty"),
            NameError::TooLong => {
                write!(f, "the name is longer than {} octets", limits::USER_NAME)
            }
            NameError::Comment => f.write_str("the name begins with #"),
            NameError::Character(c) => write!(f, "the name holds {c:?}"),
        }
    }
}
