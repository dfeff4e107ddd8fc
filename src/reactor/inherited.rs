//! Listening sockets passed by a service manager (socket activation), by the protocol of
//! sd_listen_fds(3).

use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::{env, fmt, io};

use rustix::io::{FdFlags, fcntl_setfd};

/// The first passed descriptor; the others follow it.
const FIRST: RawFd = 3;

/// A listening socket that existed before this process and outlives it.
#[derive(Clone, Debug)]
pub struct Inherited(pub(super) Arc<TcpListener>);

/// The passed sockets, by the names in their units.
#[derive(Clone, Debug, Default)]
pub struct HandedOver {
    /// Clear text: `FileDescriptorName=imap`.
    pub imap: Option<Inherited>,
    /// Implicit TLS: `FileDescriptorName=imaps`.
    pub imaps: Option<Inherited>,
}

/// Why passed sockets cannot be used.
#[derive(Debug)]
pub enum HandOverError {
    /// LISTEN_FDS or LISTEN_PID is not a number, or the number of names differs.
    Malformed(String),
    /// A socket's name is not `imap` or `imaps`, or is used twice.
    Name(String),
    /// A descriptor is not a listening TCP socket.
    Socket {
        /// Its name.
        name: String,
        /// Its number.
        descriptor: RawFd,
        /// The cause.
        error: io::Error,
    },
}

impl HandedOver {
    /// Takes the sockets that the environment announces for this process, if any. Call it once,
    /// before anything else opens files.
    ///
    /// # Errors
    /// See [`HandOverError`].
    pub fn take() -> Result<HandedOver, HandOverError> {
        let variable = |name| env::var(name).ok();
        let names = names(
            variable("LISTEN_PID").as_deref(),
            variable("LISTEN_FDS").as_deref(),
            variable("LISTEN_FDNAMES").as_deref(),
            std::process::id(),
        )?;
        let mut handed = HandedOver::default();
        for (descriptor, name) in (FIRST..).zip(names) {
            let place = match name.as_str() {
                "imap" => &mut handed.imap,
                "imaps" => &mut handed.imaps,
                _ => return Err(HandOverError::Name(name)),
            };
            *place = Some(Inherited::adopt(descriptor).map_err(|error| HandOverError::Socket {
                name,
                descriptor,
                error,
            })?);
        }
        Ok(handed)
    }
}

/// The names of the sockets, in order; empty if they are meant for another process.
fn names(
    pid: Option<&str>,
    count: Option<&str>,
    names: Option<&str>,
    own: u32,
) -> Result<Vec<String>, HandOverError> {
    let (Some(pid), Some(count)) = (pid, count) else { return Ok(Vec::new()) };
    let malformed = |what: &str, text: &str| HandOverError::Malformed(format!("{what}={text:?}"));
    let for_whom: u32 = pid.parse().map_err(|_| malformed("LISTEN_PID", pid))?;
    if for_whom != own {
        return Ok(Vec::new());
    }
    let count: usize = count.parse().map_err(|_| malformed("LISTEN_FDS", count))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let names: Vec<String> = names.unwrap_or_default().split(':').map(str::to_owned).collect();
    if names.len() != count {
        let text = format!("LISTEN_FDS={count}, but LISTEN_FDNAMES has {} names", names.len());
        return Err(HandOverError::Malformed(text));
    }
    let twice = (1..count).find(|&at| names[..at].contains(&names[at]));
    match twice {
        Some(at) => Err(HandOverError::Name(names[at].clone())),
        None => Ok(names),
    }
}

impl Inherited {
    fn adopt(descriptor: RawFd) -> io::Result<Inherited> {
        // SAFETY: the parent process placed the descriptor here for us, as the environment says,
        // and it is taken once, before anything else opens a file. If the environment is wrong, the
        // descriptor is closed, and the first use below fails.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        if let Err(error) = fcntl_setfd(&owned, FdFlags::CLOEXEC) {
            // The descriptor is not open: closing it would be an error too.
            std::mem::forget(owned);
            return Err(error.into());
        }
        let socket = socket2::Socket::from(owned);
        let address = socket.local_addr()?.as_socket();
        if !socket.is_listener()? || socket.r#type()? != socket2::Type::STREAM || address.is_none()
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a listening TCP socket",
            ));
        }
        socket.set_nonblocking(false)?;
        Ok(Inherited(Arc::new(socket.into())))
    }
}

impl fmt::Display for HandOverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandOverError::Malformed(what) => {
                write!(f, "invalid environment for socket activation: {what}")
            }
            HandOverError::Name(name) => write!(
                f,
                "unexpected socket {name:?} from socket activation: use the names imap and imaps \
                 once each (FileDescriptorName= in the socket unit)"
            ),
            HandOverError::Socket { name, descriptor, error } => {
                write!(f, "cannot use socket {name} from socket activation (descriptor ")?;
                write!(f, "{descriptor}): {error}")
            }
        }
    }
}

impl std::error::Error for HandOverError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_when_they_are_for_this_process() {
        let names = |pid, count, list| names(Some(pid), Some(count), list, 7).ok();
        let owned = |list: &[&str]| Some(list.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(names("7", "2", Some("imap:imaps")), owned(&["imap", "imaps"]));
        assert_eq!(names("7", "1", Some("imap")), owned(&["imap"]));
        assert_eq!(names("8", "1", Some("imap")), owned(&[]));
        assert_eq!(names("7", "0", None), owned(&[]));
        for (pid, count, list) in [
            ("x", "1", Some("imap")),
            ("7", "-1", Some("imap")),
            ("7", "99999999999999999999", Some("imap")),
            ("7", "2", Some("imap")),
            ("7", "2", Some("imap:imap")),
            ("7", "3000000", None),
        ] {
            assert_eq!(names(pid, count, list), None, "{pid} {count} {list:?}");
        }
        assert!(super::names(None, Some("1"), None, 7).is_ok_and(|names| names.is_empty()));
    }
}
