//! The file of users, `users` in the data folder: read when it changed, replaced whole.
//!
//! A person may read and edit it; `mailrace user add` does so under a lock. A running server
//! notices by the file's inode, time and size, looked at with every login.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::line::{self, LineError};
use super::password::{self, Password, PasswordError};
use crate::limits;

const FILE: &str = "users";
const LOCK: &str = "users.lock";
const TEMPORARY: &str = "users.new";
const HEADING: &str = "# mailrace users, one a line: name:argon2id hash:quota in octets or none\n";

/// The users of one data folder. Clones share what was read.
#[derive(Clone, Debug)]
pub struct Users {
    folder: Arc<Path>,
    read: Arc<Mutex<Reading>>,
}

/// Someone who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name, compared octet for octet.
    pub name: Box<str>,
    /// How many octets of mail the user may keep; `None`: no limit.
    pub quota: Option<u64>,
    /// The argon2id hash of the password, as a PHC string.
    pub(super) phc: Arc<str>,
}

/// Users by name, as the file had them at one moment.
pub(super) type Table = HashMap<Box<str>, User>;

/// The last time the file was read, well or badly.
#[derive(Debug)]
struct Reading {
    stamp: Stamp,
    users: Arc<Table>,
}

/// What tells one state of the file from the next; `None` when there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(Option<(u64, i64, i64, u64)>);

/// Why users cannot be read or added.
#[derive(Debug)]
pub enum UserError {
    /// There is a user of this name already.
    Exists,
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
    /// No hash could be made: no randomness or no memory.
    Hash(argon2::Error),
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
    /// It holds a colon, a blank or a control character.
    Character(char),
}

impl Users {
    /// Reads the users of a data folder. A folder or file that does not exist has no users.
    ///
    /// # Errors
    /// When the file cannot be read or a line of it makes no sense.
    pub fn open(folder: &Path) -> Result<Users, UserError> {
        let (stamp, users) = read(&folder.join(FILE)).map_err(|(_, error)| error)?;
        let reading = Reading { stamp, users: Arc::new(users) };
        Ok(Users { folder: folder.into(), read: Arc::new(Mutex::new(reading)) })
    }

    /// The user of this name, read anew if the file changed. When the changed file makes no
    /// sense, that is logged, and the users of the last good one stay.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<User> {
        self.current().get(name).cloned()
    }

    /// Adds a user, so that it survives a power loss. Works with and without a running server;
    /// makes the folder if there is none. Takes as long as a password hash, some tens of
    /// milliseconds.
    ///
    /// # Errors
    /// When the name is taken, name or password will not do, the file makes no sense, or the
    /// disk refuses.
    pub fn add(
        &self,
        name: &str,
        password: &Password,
        quota: Option<u64>,
    ) -> Result<(), UserError> {
        line::check_name(name).map_err(UserError::Name)?;
        password.check().map_err(UserError::Password)?;
        let path = self.folder.join(FILE);
        make_folder(&self.folder)?;
        let _lock = self.lock()?;
        let (_, users) = read(&path).map_err(|(_, error)| error)?;
        if users.contains_key(name) {
            return Err(UserError::Exists);
        }
        let phc = password::hash(password).map_err(UserError::Hash)?.into();
        let user = User { name: name.into(), quota: quota.filter(|&octets| octets > 0), phc };
        self.replace(&with_line(read_text(&path)?, &line::format(&user)))
    }

    /// The users as of the last reading, if the file has not changed since. Costs one stat.
    pub(super) fn unchanged(&self) -> Option<Arc<Table>> {
        let reading = self.reading();
        (Stamp::of(&self.folder.join(FILE)) == Some(reading.stamp)).then(|| reading.users.clone())
    }

    /// The users as the file has them now.
    pub(super) fn current(&self) -> Arc<Table> {
        if let Some(users) = self.unchanged() {
            return users;
        }
        // Read under the lock: of many logins that see the change, one reads.
        let mut reading = self.reading();
        let path = self.folder.join(FILE);
        if Stamp::of(&path) == Some(reading.stamp) {
            return reading.users.clone();
        }
        match read(&path) {
            Ok((stamp, users)) => {
                tracing::info!(users = users.len(), "users read anew");
                *reading = Reading { stamp, users: Arc::new(users) };
            }
            Err((stamp, error)) => {
                tracing::error!(%error, "users not read, the former ones stay");
                // Remembered, so that a bad file is reported once and not with every login.
                reading.stamp = stamp.unwrap_or(reading.stamp);
            }
        }
        reading.users.clone()
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.read.lock().expect("nothing panics while it holds this lock")
    }

    /// Keeps other processes from adding a user at the same time, until it is dropped.
    fn lock(&self) -> Result<File, UserError> {
        let path = self.folder.join(LOCK);
        let locked = private_file().open(&path).and_then(|file| {
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
            Ok(file)
        });
        locked.map_err(io_error("lock", &path))
    }

    /// Puts a new file in the place of the old one: after a power loss, there is one or the other.
    fn replace(&self, text: &[u8]) -> Result<(), UserError> {
        let (path, temporary) = (self.folder.join(FILE), self.folder.join(TEMPORARY));
        let written = private_file().truncate(true).open(&temporary).and_then(|mut file| {
            give_to_owner_of(&self.folder, &file)?;
            file.write_all(text)?;
            file.sync_all()
        });
        written.map_err(io_error("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(io_error("replace", &path))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io_error("sync", &self.folder))
    }
}

impl Stamp {
    /// `None` when the file cannot be looked at.
    fn of(path: &Path) -> Option<Stamp> {
        match fs::metadata(path) {
            Ok(metadata) => Some(Stamp::from(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Stamp(None)),
            Err(_) => None,
        }
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(m: &fs::Metadata) -> Stamp {
        Stamp(Some((m.ino(), m.mtime(), m.mtime_nsec(), m.size())))
    }
}

/// Reads and understands the file. An error comes with the stamp of what was read, if it got so
/// far.
fn read(path: &Path) -> Result<(Stamp, Table), (Option<Stamp>, UserError)> {
    let (stamp, text) = read_file(path).map_err(|error| (None, error))?;
    let users = parse(path, &text).map_err(|error| (Some(stamp), error))?;
    Ok((stamp, users))
}

fn read_text(path: &Path) -> Result<Vec<u8>, UserError> {
    read_file(path).map(|(_, text)| text)
}

fn read_file(path: &Path) -> Result<(Stamp, Vec<u8>), UserError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Stamp(None), Vec::new()));
        }
        Err(error) => return Err(io_error("read", path)(error)),
    };
    let metadata = file.metadata().map_err(io_error("read", path))?;
    let mut text = Vec::new();
    file.take(limits::USERS_FILE + 1).read_to_end(&mut text).map_err(io_error("read", path))?;
    if text.len() as u64 > limits::USERS_FILE {
        return Err(UserError::TooLarge(path.into()));
    }
    Ok((Stamp::from(&metadata), text))
}

fn parse(path: &Path, text: &[u8]) -> Result<Table, UserError> {
    let mut users = Table::new();
    for (index, text) in text.split(|&octet| octet == b'\n').enumerate() {
        let malformed = |error| UserError::Malformed { path: path.into(), line: index + 1, error };
        let Some(user) = line::parse(text).map_err(malformed)? else {
            continue;
        };
        if users.insert(user.name.clone(), user).is_some() {
            return Err(malformed(LineError::Duplicate));
        }
    }
    Ok(users)
}

/// The text with a line more. What a person wrote into the file stays; a last line that lacks its
/// line end gets it.
fn with_line(mut text: Vec<u8>, line: &str) -> Vec<u8> {
    if text.is_empty() {
        text.extend_from_slice(HEADING.as_bytes());
    } else if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(line.as_bytes());
    text
}

fn make_folder(folder: &Path) -> Result<(), UserError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error("create", folder))
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// When root adds a user, the server, which runs as someone else, must still be able to read.
fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(folder)?;
    std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> UserError {
    move |error| UserError::Io { doing, path: path.into(), error }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut user = f.debug_struct("User");
        user.field("name", &self.name).field("quota", &self.quota).finish_non_exhaustive()
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::Exists => f.write_str("there is a user of this name already"),
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

#[cfg(test)]
mod tests;
