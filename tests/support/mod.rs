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
pub use fetched::Fetched;
pub use random::Random;
pub use server::{Folder, Server, command, mailrace};
pub use tls::{Identity, Stream};
pub use transcript::{run as run_transcript, run_sliced as run_transcript_sliced};

/// The user that every [`Folder`] begins with.
pub const USER: &str = "alice";

/// Her password.
pub const PASSWORD: &str = "secret";
