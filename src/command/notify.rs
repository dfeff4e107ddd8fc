//! Reports the state of the server to the service manager with sd_notify(3).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// The service manager; none without NOTIFY_SOCKET.
pub(super) struct Manager(Option<String>);

impl Manager {
    pub(super) fn of_environment() -> Manager {
        Manager(std::env::var("NOTIFY_SOCKET").ok().filter(|address| !address.is_empty()))
    }

    /// Connections are accepted.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The server is reloading; [`Manager::ready`] follows.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The server is stopping.
    pub(super) fn stopping(&self, why: &str) {
        self.tell(&format!("STOPPING=1\nSTATUS={}", why.replace('\n', " ")));
    }

    /// Sends a state. A failure is logged and changes nothing.
    fn tell(&self, state: &str) {
        let Some(address) = &self.0 else { return };
        if let Err(error) = send(address, state) {
            tracing::warn!("cannot send {state:?} to the service manager at {address}: {error}");
        }
    }
}

fn send(address: &str, state: &str) -> io::Result<()> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(manager: &UnixDatagram) -> String {
        let mut octets = [0; 256];
        let length = manager.recv(&mut octets).unwrap();
        String::from_utf8(octets[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_is_told_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("mailrace-{}", path.display());
        let by_name = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&by_name).unwrap();
        for (address, manager) in
            [(path.display().to_string(), by_path), (format!("@{name}"), by_name)]
        {
            let server = Manager(Some(address));
            server.ready();
            assert_eq!(told(&manager), "READY=1");
            server.reloading();
            assert!(told(&manager).starts_with("RELOADING=1\nMONOTONIC_USEC="));
            server.stopping("one\ntwo");
            assert_eq!(told(&manager), "STOPPING=1\nSTATUS=one two");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_sent() {
        Manager(None).ready();
        Manager(Some("/nowhere/to/be/found".into())).ready();
        Manager(Some("vsock:2:1".into())).ready();
    }
}
