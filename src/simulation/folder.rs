//! The real folders beside the simulated disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::world::PEOPLE;
use crate::auth::{Kept, Password, Users};

/// The real folder with the users file and the lock; all other files are on the simulated disk.
/// Each thread has one, and removes it at its end.
pub(super) fn folder() -> PathBuf {
    thread_local!(static FOLDER: tempfile::TempDir = users());
    FOLDER.with(|folder| folder.path().to_owned())
}

fn users() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the users");
    let backup = backup_folder(folder.path());
    fs::create_dir(&backup).expect("a folder for the users of a backup");
    for folder in [folder.path(), &backup] {
        let users = Users::open(folder).expect("no users");
        for person in &PEOPLE {
            let password = Password::new(person.password.as_bytes());
            users.add(person.name, &password, person.quota, Kept::HashOnly).expect("a user");
        }
        fs::write(folder.join("lock"), "").expect("a lock");
    }
    folder
}

/// The folder of the backup of a data folder.
pub(super) fn backup_folder(data: &Path) -> PathBuf {
    data.join("backup")
}
