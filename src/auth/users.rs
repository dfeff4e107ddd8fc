//! The users file, `users` in the data folder: reloaded when it changes, replaced as a whole.
//!
//! It may be read and edited by hand; `mailrace user` edits it under a lock. A running server
//! notices a change by inode, times and size, which a thread checks every [`TICK`], and each login
//! checks too.
//!
//! Parsing a hundred thousand lines takes a quarter of a second. That thread, or one that verifies
//! logins, does it. Reactors do not wait: they use the previous table until the new one replaces
//! it.

mod edit;
mod error;
mod import;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) use self::edit::Kept;
use self::error::io_error;
pub(crate) use self::error::{NameError, UserError};
pub(crate) use self::import::{Format, Import};
use super::foreign;
use super::keys::{Keys, Usual};
use super::line::{self, LineError};
use super::stamp::Stamp;
use crate::limits;
use crate::reactor::give_way;

/// How often a thread checks the file. After this, plus the time to parse it, a session sees a
/// change at its next command.
pub(super) const TICK: Duration = Duration::from_millis(50);

const FILE: &str = "users";

/// The users of a data folder. Clones share the table.
#[derive(Clone, Debug)]
pub struct Users {
    folder: Arc<Path>,
    read: Arc<Reading>,
}

/// A user who can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name; compared by octets.
    pub name: Box<str>,
    /// Distinguishes the account from earlier ones with this name; `None`: the name is enough.
    pub(super) account: Option<Box<str>>,
    /// Quota in octets; `None`: no limit.
    pub quota: Option<u64>,
    /// The argon2id hash of the password, as a PHC string; or the hash of another server, see
    /// [`foreign`].
    pub(super) hash: Arc<str>,
    /// The SCRAM-SHA-256 keys, if the user can log in with it.
    pub(super) keys: Option<Arc<Keys>>,
    /// The master user who acts as this one. `None` if the user logged in directly, and for users
    /// read from the file.
    pub(super) master: Option<Arc<User>>,
}

/// Users by name, as the file had them at one moment.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Counts reloads. If it is unchanged, so are the users.
    generation: u64,
    users: HashMap<Box<str>, User>,
    without_keys: usize,
    /// Number of users with a hash of another server, of whom no keys can be known.
    foreign: usize,
    /// Number of users with each kind of keys.
    kinds: BTreeMap<Usual, usize>,
}

/// The state of the file as last read.
#[derive(Debug)]
struct Reading {
    /// Generation of the latest table.
    generation: AtomicU64,
    /// Held only briefly.
    latest: Mutex<Latest>,
    /// Held by the one thread that reads the file.
    reads: Mutex<()>,
}

/// The last read of the file, successful or not.
#[derive(Debug)]
struct Latest {
    stamp: Stamp,
    users: Arc<Table>,
    /// The previous table, kept until the next check of the file, so that no reactor has to free
    /// it.
    former: Option<Arc<Table>>,
}

impl User {
    /// The name of the user's account in the log and the catalog. A number is separated by a blank,
    /// which no user name contains, so no user is named like such an account.
    #[must_use]
    pub fn account(&self) -> Box<str> {
        account_name(&self.name, self.account.as_deref())
    }

    /// Whether the user can log in with SCRAM-SHA-256.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The scheme of the password's hash if it is of another server, as `SHA512-CRYPT`.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.hash.strip_prefix('{')?.split_once('}').map(|(scheme, _)| scheme)
    }

    pub(super) fn is_foreign(&self) -> bool {
        foreign::is_foreign(&self.hash)
    }

    /// The name of the master user who acts as this one.
    #[must_use]
    pub fn acting(&self) -> Option<&str> {
        self.master.as_ref().map(|master| &*master.name)
    }

    /// Whether account and password, in every stored form, equal those of `other`.
    fn has_password_of(&self, other: &User) -> bool {
        self.hash == other.hash && self.keys == other.keys && self.account == other.account
    }
}

fn account_name(name: &str, number: Option<&str>) -> Box<str> {
    match number {
        None => name.into(),
        Some(number) => format!("{name} {number}").into(),
    }
}

impl Table {
    pub(super) fn get(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether every user has SCRAM-SHA-256 keys.
    pub(super) fn all_have_keys(&self) -> bool {
        self.without_keys == 0
    }

    /// The current entry of a user who logged in before. `None` if the user was removed or the
    /// password was changed, or that of the master user who acts.
    pub(super) fn still(&self, user: &User) -> Option<User> {
        let same = |old: &User| self.get(&old.name).filter(|new| new.has_password_of(old));
        let mut now = same(user)?.clone();
        now.master = match &user.master {
            Some(master) => Some(Arc::new(same(master)?.clone())),
            None => None,
        };
        Some(now)
    }

    /// The parameters of most users' keys, which keys of unknown names must have too.
    pub(super) fn usual(&self) -> Usual {
        let most = self.kinds.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(Usual::of_ours, |(kind, _)| *kind)
    }

    /// What to store of the password of a user whose hash is of another server: as of all others.
    fn usually_kept(&self) -> Kept {
        match self.without_keys == self.foreign {
            true => Kept::HashAndKeys,
            false => Kept::HashOnly,
        }
    }

    /// Adds a user; returns whether the name was free.
    fn insert(&mut self, user: User) -> bool {
        self.foreign += usize::from(user.is_foreign());
        match &user.keys {
            None => self.without_keys += 1,
            Some(keys) => *self.kinds.entry(keys.usual()).or_default() += 1,
        }
        self.users.insert(user.name.clone(), user).is_none()
    }
}

impl Users {
    /// Loads the users of a data folder. If folder or file are missing, there are no users.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is malformed.
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

    /// Starts a thread that checks the file for as long as these users are in use.
    ///
    /// # Errors
    /// If the system refuses a thread.
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

    /// The user with this name; reloads a changed file first. If that is malformed, an error is
    /// logged and the previous users stay.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<User> {
        self.current().get(name).cloned()
    }

    /// Generation of the latest table. If it is unchanged, so are the users. Costs nothing.
    pub(super) fn generation(&self) -> u64 {
        self.read.generation.load(Ordering::Acquire)
    }

    /// The latest table, if the file has not changed since. Costs one stat.
    pub(super) fn unchanged(&self) -> Option<Arc<Table>> {
        let stamp = Stamp::of(&self.folder.join(FILE));
        let latest = self.latest();
        (stamp == Some(latest.stamp)).then(|| latest.users.clone())
    }

    /// The latest table, whether or not the file has changed.
    pub(super) fn last(&self) -> Arc<Table> {
        self.latest().users.clone()
    }

    /// The users as the file has them now. Blocks while the file is read.
    pub(super) fn current(&self) -> Arc<Table> {
        if let Some(users) = self.unchanged() {
            return users;
        }
        // Of many logins that notice the change, one reads the file.
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
                // Remembered, so that a bad file is reported once and not at every login.
                latest.stamp = stamp.unwrap_or(latest.stamp);
            }
        }
        latest.users.clone()
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.read.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads and parses the file. An error comes with the stamp of the file, if it could be read.
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
