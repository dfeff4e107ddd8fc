//! What a server meets in the open: crowds, the slow, the broken, the senseless and the greedy, and
//! hours of work. Nothing of it may cost what was acknowledged, the service of others, or memory
//! that does not come back.

#[path = "../support/mod.rs"]
mod support;

mod gauge;
mod mail;
mod mixed;
mod unread;

/// How much longer than in a quick run, by an environment variable.
fn wanted(name: &str, quick: usize) -> usize {
    std::env::var(name).map_or(quick, |text| text.parse().expect("a number"))
}
