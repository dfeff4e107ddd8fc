//! The place of the control socket. A socket's address has room for a path of 107 bytes; that of a
//! data folder may be longer. Then the folder is opened, and the path leads over its descriptor.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The name of the socket in the data folder.
const NAME: &str = "control";

/// Bytes of a path that fit into the address of a socket (`sun_path`, without the zero behind it).
const LONGEST: usize = 107;

/// A path to the socket that is short enough.
struct Place {
    path: PathBuf,
    /// The data folder, if the path leads over its descriptor.
    _folder: Option<File>,
}

impl Place {
    fn of(data: &Path) -> io::Result<Place> {
        let path = data.join(NAME);
        if path.as_os_str().as_bytes().len() <= LONGEST {
            return Ok(Place { path, _folder: None });
        }
        let folder = File::open(data)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
        Ok(Place { path, _folder: Some(folder) })
    }
}

/// Connects to the server of a data folder.
///
/// # Errors
/// When none listens, or this user may not ask it.
pub(crate) fn connect(data: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(Place::of(data)?.path)
}

/// Makes the socket. The caller has the lock on the data folder: a socket that is there already was
/// left by a server that was killed, and is replaced.
pub(super) fn listen(data: &Path) -> io::Result<UnixListener> {
    let place = Place::of(data)?;
    remove(data)?;
    let listener = UnixListener::bind(&place.path)?;
    // Nobody connects before this: the folder belongs to this user alone.
    fs::set_permissions(&place.path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes the socket, if it is there.
pub(super) fn remove(data: &Path) -> io::Result<()> {
    let path = data.join(NAME);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_has_a_socket_too() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("long".repeat(50));
        for data in [place.path(), &data] {
            fs::create_dir_all(data).unwrap();
            assert!(connect(data).is_err());
            let first = listen(data).unwrap();
            connect(data).unwrap();
            // As a killed server leaves it.
            drop(first);
            assert!(connect(data).is_err());
            let second = listen(data).unwrap();
            connect(data).unwrap();
            second.accept().unwrap();
            let mode = fs::metadata(data.join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            remove(data).unwrap();
            remove(data).unwrap();
        }
    }

    #[test]
    fn a_file_of_that_name_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join(NAME), "mine").unwrap();
        assert!(listen(data.path()).unwrap_err().to_string().contains("not a socket"));
        assert_eq!(fs::read(data.path().join(NAME)).unwrap(), b"mine");
    }
}
