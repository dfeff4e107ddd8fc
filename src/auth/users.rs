//! The file of users, `users` in the data folder: read when it changed, replaced whole.
//!
//! A person may read and edit it; `mailrace user` does so under a lock. A running server notices by
//! the file's inode, time and size, looked at with every login and every command.

mod edit;
mod error;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

pub use self::edit::Kept;
use self::error::io_error;
pub use self::error::{NameError, UserError};
use super::keys::{Keys, Usual};
use super::line::{self, LineError};
use super::stamp::Stamp;
use crate::limits;

const FILE: &str = "users";

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
    /// What SCRAM-SHA-256 needs, if the user may log in by it.
    pub(super) keys: Option<Arc<Keys>>,
    /// The master user who acts as this one; `None` when somebody logged in as himself, and in
    /// the file.
    pub(super) master: Option<Arc<User>>,
}

/// Users by name, as the file had them at one moment.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Counts the readings; another number, perhaps other users.
    generation: u64,
    users: HashMap<Box<str>, User>,
    without_keys: usize,
    /// How many have keys of each kind.
    kinds: BTreeMap<Usual, usize>,
}

/// The last time the file was read, well or badly.
#[derive(Debug)]
struct Reading {
    stamp: Stamp,
    users: Arc<Table>,
}

impl User {
    /// Whether SCRAM-SHA-256 knows this user.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The master user who acts as this one.
    #[must_use]
    pub fn acting(&self) -> Option<&str> {
        self.master.as_ref().map(|master| &*master.name)
    }

    /// Whether the password, in all forms in which it is kept, is that of another.
    fn has_password_of(&self, other: &User) -> bool {
        self.phc == other.phc && self.keys == other.keys
    }
}

impl Table {
    pub fn get(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether nobody would fail by SCRAM-SHA-256 for want of keys.
    pub fn all_have_keys(&self) -> bool {
        self.without_keys == 0
    }

    /// How the table has a user now who logged in once; `None` when there is no such user any more
    /// or the password is another one, or so with the master user who acts.
    pub fn still(&self, user: &User) -> Option<User> {
        let same = |old: &User| self.get(&old.name).filter(|new| new.has_password_of(old));
        let mut now = same(user)?.clone();
        now.master = match &user.master {
            Some(master) => Some(Arc::new(same(master)?.clone())),
            None => None,
        };
        Some(now)
    }

    /// What the keys of most users are like: those of a name that does not exist must be so, too.
    pub fn usual(&self) -> Usual {
        let most = self.kinds.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(Usual::of_ours, |(kind, _)| *kind)
    }

    /// Whether the name was free.
    fn insert(&mut self, user: User) -> bool {
        match &user.keys {
            None => self.without_keys += 1,
            Some(keys) => *self.kinds.entry(keys.usual()).or_default() += 1,
        }
        self.users.insert(user.name.clone(), user).is_none()
    }
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

    /// The users as of the last reading, if the file has not changed since. Costs one stat.
    pub(super) fn unchanged(&self) -> Option<Arc<Table>> {
        let reading = self.reading();
        (Stamp::of(&self.folder.join(FILE)) == Some(reading.stamp)).then(|| reading.users.clone())
    }

    /// The users as of the last reading, whatever the file is now.
    pub(super) fn last(&self) -> Arc<Table> {
        self.reading().users.clone()
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
            Ok((stamp, mut users)) => {
                tracing::info!(users = users.users.len(), "users read anew");
                users.generation = reading.users.generation + 1;
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
            return Ok((Stamp::NONE, Vec::new()));
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
    let mut users = Table::default();
    for (index, text) in text.split(|&octet| octet == b'\n').enumerate() {
        let malformed = |error| UserError::Malformed { path: path.into(), line: index + 1, error };
        let Some(user) = line::parse(text).map_err(malformed)? else {
            continue;
        };
        if !users.insert(user) {
            return Err(malformed(LineError::Duplicate));
        }
    }
    Ok(users)
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut user = f.debug_struct("User");
        user.field("name", &self.name).field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
