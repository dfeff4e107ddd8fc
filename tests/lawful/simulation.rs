//! The part of the simulation that does not care what octets travel on.

#[path = "../../src/simulation/append.rs"]
pub mod append;
#[path = "../../src/simulation/client.rs"]
pub mod client;
#[path = "../../src/simulation/commands.rs"]
pub mod commands;
#[path = "../../src/simulation/connection.rs"]
pub mod connection;
#[path = "../../src/simulation/content.rs"]
pub mod content;
#[path = "../../src/simulation/explain.rs"]
pub mod explain;
#[path = "../../src/simulation/flags.rs"]
pub mod flags;
#[path = "../../src/simulation/mailbox.rs"]
pub mod mailbox;
#[path = "../../src/simulation/message.rs"]
pub mod message;
#[path = "../../src/simulation/mirror.rs"]
pub mod mirror;
#[path = "../../src/simulation/model.rs"]
pub mod model;
#[path = "../../src/simulation/names.rs"]
pub mod names;
pub mod random {
    pub use kit::Random;
}
#[path = "../../src/simulation/reply.rs"]
pub mod reply;
#[path = "../../src/simulation/resolve.rs"]
pub mod resolve;
#[path = "../../src/simulation/session.rs"]
pub mod session;
#[path = "../../src/simulation/verify.rs"]
pub mod verify;
#[path = "../../src/simulation/wire.rs"]
pub mod wire;
