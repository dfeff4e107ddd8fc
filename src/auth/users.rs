//! The file of users, `users` in the data folder: read when it changed, replaced whole.
//!
//! A person may read and edit it; `mailrace user` does so under a lock. A running server notices by
//! the file's inode, time and size. A thread looks at them every [`TICK`], and so does each login.
//!
//! To read a hundred thousand lines takes a quarter of a second. It is done by that thread, or by
//! one that verifies logins, and holds up nobody else: reactors have the users as they were until
//! the new table takes the place of the old one.

mod edit;
mod error;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub use self::edit::Kept;
use self::error::io_error;
pub use self::error::{NameError, UserError};
use super::keys::{Keys, Usual};
use super::line::{self, LineError};
use super::stamp::Stamp;
use crate::limits;
use crate::reactor::give_way;

/// How often a thread looks at the file: after so long, and the time it takes to read it, a session
/// knows of a change at its next command.
pub const TICK: Duration = Duration::from_millis(50);

const FILE: &str = "users";

/// The users of one data folder. Clones share what was read.
#[derive(Clone, Debug)]
pub struct Users {
    folder: Arc<Path>,
    read: Arc<Reading>,
}

/// Someone who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name, compared octet for octet.
    pub name: Box<str>,
    /// What tells the account from others that the name had before; `None`: the name is enough.
    pub(super) account: Option<Box<str>>,
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

/// What was read of the file.
#[derive(Debug)]
struct Reading {
    /// That of the latest table.
    generation: AtomicU64,
    /// Held for moments only.
    latest: Mutex<Latest>,
    /// Held by the one thread that reads the file.
    reads: Mutex<()>,
}

/// The last time the file was read, well or badly.
#[derive(Debug)]
struct Latest {
    stamp: Stamp,
    users: Arc<Table>,
    /// The table before this one, until the next look at the file: so it is not a reactor that
    /// frees it.
    former: Option<Arc<Table>>,
}

impl User {
    /// The account whose mail is hers: its name in the log and the catalog. No user has a name like
    /// one with a number in it, since names have no blanks.
    #[must_use]
    pub fn account(&self) -> Box<str> {
        match &self.account {
            None => self.name.clone(),
            Some(number) => format!("{} {number}", self.name).into(),
        }
    }

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

    /// Whether account and password, in all forms in which it is kept, are those of another.
    fn has_password_of(&self, other: &User) -> bool {
        self.phc == other.phc && self.keys == other.keys && self.account == other.account
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
        let latest = Latest { stamp, users: Arc::new(users), former: None };
        let read = Reading {
            generation: AtomicU64::new(0),
            latest: Mutex::new(latest),
            reads: Mutex::default(),
        };
        Ok(Users { folder: folder.into(), read: Arc::new(read) })
    }

    /// Has a thread look at the file for as long as somebody has these users.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn watch(&self) -> io::Result<()> {
        #[cfg(test)]
        if crate::reactor::files::are_simulated() {
            return Ok(());
        }
        let (folder, read) = (self.folder.clone(), Arc::downgrade(&self.read));
        let look = move || {
            give_way();
            loop {
                thread::sleep(TICK);
                let Some(read) = read.upgrade() else { return };
                let users = Users { folder: folder.clone(), read };
                drop(users.latest().former.take());
                users.current();
            }
        };
        thread::Builder::new().name("users".to_owned()).spawn(look).map(drop)
    }

    /// The user of this name, read anew if the file changed. When the changed file makes no
    /// sense, that is logged, and the users of the last good one stay.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<User> {
        self.current().get(name).cloned()
    }

    /// The number of the latest table; another number, perhaps other users. Costs nothing.
    pub(super) fn generation(&self) -> u64 {
        self.read.generation.load(Ordering::Acquire)
    }

    /// The users as of the last reading, if the file has not changed since. Costs one stat.
    pub(super) fn unchanged(&self) -> Option<Arc<Table>> {
        let stamp = Stamp::of(&self.folder.join(FILE));
        let latest = self.latest();
        (stamp == Some(latest.stamp)).then(|| latest.users.clone())
    }

    /// The users as of the last reading, whatever the file is now.
    pub(super) fn last(&self) -> Arc<Table> {
        self.latest().users.clone()
    }

    /// The users as the file has them now. Blocks while it is read.
    pub(super) fn current(&self) -> Arc<Table> {
        if let Some(users) = self.unchanged() {
            return users;
        }
        // Of many logins that see the change, one reads.
        let _reads = self.read.reads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(users) = self.unchanged() {
            return users;
        }
        let found = read(&self.folder.join(FILE));
        let mut latest = self.latest();
        match found {
            Ok((stamp, mut users)) => {
                tracing::info!(users = users.users.len(), "users reloaded");
                users.generation = latest.users.generation + 1;
                self.read.generation.store(users.generation, Ordering::Release);
                let former = std::mem::replace(&mut latest.users, Arc::new(users));
                (latest.stamp, latest.former) = (stamp, Some(former));
            }
            Err((stamp, error)) => {
                tracing::error!(%error, "users file not reloaded, keeping the previous one");
                // Remembered, so that a bad file is reported once and not with every login.
                latest.stamp = stamp.unwrap_or(latest.stamp);
            }
        }
        latest.users.clone()
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.read.latest.lock().unwrap_or_else(PoisonError::into_inner)
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
