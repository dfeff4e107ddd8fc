use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::auth::line::LineError;
use crate::auth::password::PasswordError;
use crate::limits;

/// Why users cannot be read or changed.
#[derive(Debug)]
pub enum UserError {
    /// A user with this name already exists.
    Exists,
    /// There is no user with this name.
    Unknown,
    /// The name is not allowed.
    Name(NameError),
    /// The password is not allowed.
    Password(PasswordError),
    /// A line of the file is malformed.
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
    /// The operating system returned an error.
    Io {
        /// The operation: `read`, `write`, ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// Hashing failed for lack of memory.
    Hash(argon2::Error),
    /// The system provides no random numbers.
    Random(getrandom::Error),
}

/// Why a user cannot have this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// The name is empty.
    Empty,
    /// The name is longer than [`limits::USER_NAME`] octets.
    TooLong,
    /// The name begins with `#`, like comments in the file.
    Comment,
    /// The name contains a colon, a blank or a control character; or, if it is new, an asterisk.
    Character(char),
}

pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> UserError {
    move |error| UserError::Io { doing, path: path.into(), error }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::Exists => f.write_str("a user with this name already exists"),
            UserError::Unknown => f.write_str("there is no user with this name"),
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
            UserError::Random(error) => write!(f, "cannot get random numbers: {error}"),
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
            NameError::Character(c) => write!(f, "the name contains {c:?}"),
        }
    }
}
