//! What the black-box tests share: the real binary on a folder of its own, a client that sends
//! octets exactly as it is told, and a runner for dialogues written down as text.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod client;
mod fetched;
mod pattern;
mod random;
mod server;
mod tls;
mod transcript;

pub use client::{Client, Message, Reply, Response, append_text};
pub use fetched::{Fetched, without_nul};
pub use random::Random;
pub use server::{Folder, Server, command, mailrace};
pub use tls::{Identity, Stream};
pub use transcript::{run as run_transcript, run_sliced as run_transcript_sliced};

/// The user that every [`Folder`] begins with.
pub const USER: &str = "alice";

/// Her password.
pub const PASSWORD: &str = "secret";

/// The address of this machine that others would use, if it has one. Nothing is sent.
pub fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // The kernel only chooses an address.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}
