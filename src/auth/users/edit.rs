//! Changes to the users file: under a lock, and atomic.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::error::io_error;
use super::{FILE, Table, User, UserError, Users, line, read, read_text};
use crate::auth::keys::{KEY, Keys};
use crate::auth::password::{self, Password};

const LOCK: &str = "users.lock";
const TEMPORARY: &str = "users.new";
const SECRET: &str = "users.secret";
const HEADING: &str = "# mailrace users, one a line: name:hash:quota in octets or none\n\
                       # and, for SCRAM-SHA-256, a fourth field: :SCRAM-SHA-256$...\n\
                       # before it :account=... for a name that somebody else had before\n";

/// What to store of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// An argon2id hash and the keys of SCRAM-SHA-256.
    HashAndKeys,
    /// The hash alone. A thief of the file must spend an argon2id on each guess, rather than a
    /// PBKDF2, at which special hardware is good.
    HashOnly,
}

impl Users {
    /// Adds a user durably, with or without a running server, and creates the folder if it is
    /// missing. The mail of an earlier user with this name is kept, but the new user begins without
    /// mail. Takes some tens of milliseconds for the password hash, as do the other methods that
    /// set a password.
    ///
    /// # Errors
    /// If the name is taken, name or password are not allowed, the file is malformed, or on a disk
    /// error.
    pub fn add(
        &self,
        name: &str,
        password: &Password,
        quota: Option<u64>,
        kept: Kept,
    ) -> Result<(), UserError> {
        self.add_with(name, password, quota, kept, false)
    }

    /// As [`Users::add`], but the user gets the mail of the last removed user with this name.
    ///
    /// # Errors
    /// As for [`Users::add`].
    pub fn add_with_mail(
        &self,
        name: &str,
        password: &Password,
        quota: Option<u64>,
        kept: Kept,
    ) -> Result<(), UserError> {
        self.add_with(name, password, quota, kept, true)
    }

    fn add_with(
        &self,
        name: &str,
        password: &Password,
        quota: Option<u64>,
        kept: Kept,
        with_mail: bool,
    ) -> Result<(), UserError> {
        line::check_new_name(name).map_err(UserError::Name)?;
        password.check().map_err(UserError::Password)?;
        make_folder(&self.folder)?;
        let _lock = self.lock()?;
        if self.now()?.get(name).is_some() {
            return Err(UserError::Exists);
        }
        let mut text = read_text(&self.folder.join(FILE))?;
        let account = match last_removed(&text, name) {
            None => None,
            Some((line, account)) if with_mail => {
                text.drain(line);
                account
            }
            Some(_) => Some(new_account()?),
        };
        let mut user = User {
            name: name.into(),
            account,
            quota: quota.filter(|&octets| octets > 0),
            hash: "".into(),
            keys: None,
            master: None,
        };
        keep(&mut user, password, kept)?;
        self.replace(&with_line(text, &line::format(&user)))
    }

    /// Removes a user from the file, which records the name and the account. The mail stays. A
    /// running server ends the user's sessions at their next command.
    ///
    /// # Errors
    /// If there is no such user, the file is malformed, or on a disk error.
    pub fn remove(&self, name: &str) -> Result<(), UserError> {
        self.change(name, |_, _| Ok(false))
    }

    /// The account of the last removed user with this name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn removed_account(&self, name: &str) -> Result<Option<Box<str>>, UserError> {
        let text = read_text(&self.folder.join(FILE))?;
        Ok(last_removed(&text, name)
            .map(|(_, account)| super::account_name(name, account.as_deref())))
    }

    /// Changes a user's password. A running server ends the user's sessions at their next command.
    ///
    /// # Errors
    /// As for [`Users::remove`], and if the password is not allowed.
    pub fn set_password(
        &self,
        name: &str,
        password: &Password,
        kept: Kept,
    ) -> Result<(), UserError> {
        password.check().map_err(UserError::Password)?;
        self.change(name, |user, _| keep(user, password, kept).map(|()| true))
    }

    /// Replaces the hash of another server, `old`, by an argon2id hash of the password that it was
    /// made from. Keys of SCRAM-SHA-256 are stored if all users have them whose passwords mailrace
    /// has seen. Returns the user, or `None` if the hash has changed meanwhile.
    ///
    /// # Errors
    /// As for [`Users::remove`].
    pub(in crate::auth) fn renew(
        &self,
        name: &str,
        old: &str,
        password: &Password,
    ) -> Result<Option<User>, UserError> {
        let mut renewed = None;
        self.change(name, |user, users| {
            if &*user.hash == old {
                keep(user, password, users.usually_kept())?;
                renewed = Some(user.clone());
            }
            Ok(true)
        })?;
        Ok(renewed)
    }

    /// Changes a user's quota. Sessions of a running server continue with it.
    ///
    /// # Errors
    /// As for [`Users::remove`].
    pub fn set_quota(&self, name: &str, quota: Option<u64>) -> Result<(), UserError> {
        self.change(name, |user, _| {
            user.quota = quota.filter(|&octets| octets > 0);
            Ok(true)
        })
    }

    /// All users, in file order.
    ///
    /// # Errors
    /// If the file is malformed or cannot be read.
    pub fn list(&self) -> Result<Vec<User>, UserError> {
        let users = self.now()?;
        let text = read_text(&self.folder.join(FILE))?;
        let names = text.split(|&octet| octet == b'\n').filter_map(named);
        Ok(names.filter_map(|user| users.get(&user.name).cloned()).collect())
    }

    /// A secret of this data folder that never changes. Drawn on first use.
    ///
    /// # Errors
    /// If the file can be neither read nor created.
    pub fn secret(&self) -> Result<[u8; 32], UserError> {
        if let Some(secret) = self.read_secret()? {
            return Ok(secret);
        }
        make_folder(&self.folder)?;
        let _lock = self.lock()?;
        // Another process may have created it first.
        if let Some(secret) = self.read_secret()? {
            return Ok(secret);
        }
        let mut secret = [0; KEY];
        getrandom::fill(&mut secret).map_err(UserError::Random)?;
        self.put(SECRET, &secret)?;
        Ok(secret)
    }

    /// `None` if there is none, or it has the wrong length.
    fn read_secret(&self) -> Result<Option<[u8; KEY]>, UserError> {
        let path = self.folder.join(SECRET);
        match fs::read(&path) {
            Ok(octets) => Ok(octets.try_into().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &path)(error)),
        }
    }

    /// Changes the line of a user, or turns it into that of a removed user if `change` returns
    /// `false`. All other lines stay.
    fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut User, &Table) -> Result<bool, UserError>,
    ) -> Result<(), UserError> {
        let missing = |error| match error {
            // Without the folder there are no users.
            UserError::Io { ref error, .. } if error.kind() == io::ErrorKind::NotFound => {
                UserError::Unknown
            }
            error => error,
        };
        let _lock = self.lock().map_err(missing)?;
        let users = self.now()?;
        let mut user = users.get(name).cloned().ok_or(UserError::Unknown)?;
        let new = match change(&mut user, &users)? {
            true => line::format(&user),
            false => line::format_removed(&user),
        };
        let text = read_text(&self.folder.join(FILE))?;
        let mut out = Vec::with_capacity(text.len() + new.len());
        for line in text.split_inclusive(|&octet| octet == b'\n') {
            let is_hers = named(line.strip_suffix(b"\n").unwrap_or(line))
                .is_some_and(|user| &*user.name == name);
            out.extend_from_slice(if is_hers { new.as_bytes() } else { line });
        }
        self.replace(&out)
    }

    /// The users as the file has them now.
    pub(super) fn now(&self) -> Result<Table, UserError> {
        read(&self.folder.join(FILE)).map(|(_, users)| users).map_err(|(_, error)| error)
    }

    /// Locks the file against changes by other processes until the guard is dropped.
    pub(super) fn lock(&self) -> Result<File, UserError> {
        let path = self.folder.join(LOCK);
        let locked = private_file().open(&path).and_then(|file| {
            give_to_owner_of(&self.folder, &file)?;
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
            Ok(file)
        });
        locked.map_err(io_error("lock", &path))
    }

    pub(super) fn replace(&self, text: &[u8]) -> Result<(), UserError> {
        self.put(FILE, text)
    }

    /// Replaces a file atomically: after a power loss, the old or the new one is there.
    fn put(&self, name: &str, text: &[u8]) -> Result<(), UserError> {
        let (path, temporary) = (self.folder.join(name), self.folder.join(TEMPORARY));
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

pub(super) fn keep(user: &mut User, password: &Password, kept: Kept) -> Result<(), UserError> {
    user.hash = password::hash(password).map_err(UserError::Hash)?.into();
    user.keys = match kept {
        Kept::HashAndKeys => Some(Arc::new(Keys::new(password).map_err(UserError::Random)?)),
        Kept::HashOnly => None,
    };
    Ok(())
}

/// The range of the line of the last removed user with this name, its line end included, and the
/// account's number.
fn last_removed(text: &[u8], name: &str) -> Option<(Range<usize>, Option<Box<str>>)> {
    let (mut found, mut end) = (None, 0);
    for line in text.split_inclusive(|&octet| octet == b'\n') {
        let start = end;
        end += line.len();
        if let Some((removed, account)) =
            line::parse_removed(line.strip_suffix(b"\n").unwrap_or(line))
            && removed == name
        {
            found = Some((start..end, account));
        }
    }
    found
}

pub(super) fn new_account() -> Result<Box<str>, UserError> {
    let number = getrandom::u64().map_err(UserError::Random)?;
    Ok(format!("{number:016x}").into())
}

/// The user of a line, if it has one.
fn named(line: &[u8]) -> Option<User> {
    line::parse(line).ok().flatten()
}

/// Appends a line to the text. Text that a person wrote stays; a missing last line end is added.
pub(super) fn with_line(mut text: Vec<u8>, line: &str) -> Vec<u8> {
    if text.is_empty() {
        text.extend_from_slice(HEADING.as_bytes());
    } else if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(line.as_bytes());
    text
}

/// Creates the folder, if it is missing, with a durable name.
pub(super) fn make_folder(folder: &Path) -> Result<(), UserError> {
    if folder.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(io_error("create", folder))?;
    let synced = File::open(folder).and_then(|file| Ok(rustix::fs::syncfs(file)?));
    synced.map_err(io_error("sync", folder))
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// When root adds a user, the server's own user must still be able to read the file.
fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(folder)?;
    std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))
}
