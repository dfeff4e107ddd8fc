//! Checks whether a server could start with a configuration, without starting one.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::folder::SEGMENTS;
use super::running::Server;
use super::{Config, StartError};
use crate::auth::{Tokens, Users};
use crate::net::{Acceptor, Concern};
use crate::reactor::unix_seconds;
use crate::store::DataLock;

/// Findings of a check that do not prevent a start.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// A server uses this data folder. Addresses in use are assumed to be its own.
    pub running: bool,
    /// Sentences about what should be fixed soon.
    pub warnings: Vec<String>,
}

impl Server {
    /// Checks what a start checks, except io_uring: permissions of the data folder, users,
    /// certificates with their dates, token keys, addresses. Changes nothing.
    ///
    /// # Errors
    /// See [`StartError`]; also [`StartError::Certificate`], where a start would only log it.
    pub fn check(config: &Config) -> Result<Checked, StartError> {
        rights(&config.data)?;
        let mut checked =
            Checked { running: DataLock::is_held(&config.data), ..Checked::default() };
        let users = Users::open(&config.data).map_err(StartError::Users)?;
        checked.warnings.extend(unknown_masters(config, &users));
        config.tokens.clone().map(Tokens::open).transpose().map_err(StartError::Tokens)?;
        let acceptor =
            config.tls.clone().map(Acceptor::new).transpose().map_err(StartError::Tls)?;
        match acceptor.and_then(|acceptor| acceptor.concern(unix_seconds())) {
            Some(Concern::Invalid(text)) => return Err(StartError::Certificate(text)),
            Some(Concern::Soon(text)) => checked.warnings.push(text),
            None => {}
        }
        if let (None, Some(address)) = (&config.tls, config.tls_listen) {
            return Err(StartError::NoCertificate(address));
        }
        for address in [Some(config.listen), config.tls_listen].into_iter().flatten() {
            bind(address, checked.running)?;
        }
        Ok(checked)
    }
}

/// Checks that this address can be listened on. While a server runs, an address in use is its own.
fn bind(address: SocketAddr, running: bool) -> Result<(), StartError> {
    match TcpListener::bind(address) {
        Err(error) if running && Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => Ok(()),
        Err(error) => Err(StartError::Listen(address, error)),
        Ok(_) => Ok(()),
    }
}

/// Checks that this user has the permissions on the data folder that a server needs.
fn rights(data: &Path) -> Result<(), StartError> {
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    let may = |path: &Path, what| {
        access(path, what).map_err(|error| StartError::Data(path.to_owned(), error.into()))
    };
    if !data.exists() {
        // A start would create it, with its parents.
        let above = data.ancestors().skip(1).find(|above| above.exists());
        let above = above.filter(|above| !above.as_os_str().is_empty());
        return may(above.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK);
    }
    for folder in [data.to_owned(), data.join(SEGMENTS)] {
        if folder == data || folder.exists() {
            may(&folder, all)?;
        }
    }
    let files = ["lock", "catalog.redb", "users", "users.secret"].map(|name| data.join(name));
    for file in files.iter().filter(|file| file.exists()) {
        let written =
            !file.file_name().is_some_and(|name| name == "users" || name == "users.secret");
        may(file, if written { Access::READ_OK | Access::WRITE_OK } else { Access::READ_OK })?;
    }
    match fs::metadata(data) {
        Ok(found) if !found.is_dir() => {
            Err(StartError::Data(data.to_owned(), Errno::NOTDIR.into()))
        }
        _ => Ok(()),
    }
}

/// A sentence for each master user who is not in the users file and so cannot log in.
pub(super) fn unknown_masters(config: &Config, users: &Users) -> Vec<String> {
    let unknown = config.master_users.iter().filter(|name| users.get(name).is_none());
    unknown
        .map(|name| format!("--master-user {name}: no such user; add it with `mailrace user add`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(data: &Path) -> Config {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Config { data: data.to_owned(), listen, ..Config::default() }
    }

    #[test]
    fn what_a_start_would_trip_over_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new/data");
        let good = config(&data);
        assert!(Server::check(&good).unwrap().warnings.is_empty());
        assert!(!data.exists(), "nothing is made");

        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let error = Server::check(&Config { listen, ..good.clone() }).unwrap_err();
        assert!(error.to_string().contains(&listen.to_string()), "{error}");

        let tls = Config { tls_listen: Some(listen), ..good.clone() };
        assert!(matches!(Server::check(&tls), Err(StartError::NoCertificate(_))));

        let master = Config { master_users: vec!["boss".into()], ..good };
        let warnings = Server::check(&master).unwrap().warnings;
        assert!(warnings[0].contains("--master-user boss"), "{warnings:?}");

        fs::write(dir.path().join("file"), "").unwrap();
        let file = config(&dir.path().join("file"));
        assert!(matches!(Server::check(&file), Err(StartError::Data(..))));
    }

    #[test]
    fn a_server_that_runs_has_its_addresses() {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let config = Config { listen, ..config(dir.path()) };
        assert!(Server::check(&config).is_err());
        let lock = DataLock::acquire(dir.path()).unwrap();
        assert!(Server::check(&config).unwrap().running);
        drop(lock);
        assert!(Server::check(&config).is_err());
    }
}
