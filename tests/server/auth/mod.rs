//! Logins with all mechanisms, users that are changed while the server runs, and the limits on
//! failed logins.

mod bound;
mod failures;
mod limits;
mod masters;
mod mechanisms;
mod scram;
mod tokens;
mod users;

use kit::Client;

/// The capabilities of a session.
fn capabilities(client: &mut Client) -> Vec<String> {
    let reply = client.ok("CAPABILITY");
    let text = reply.texts().concat();
    text.split(' ').skip(2).map(str::to_owned).collect()
}

/// The offered login mechanisms.
fn offered(client: &mut Client) -> Vec<String> {
    let all = capabilities(client);
    all.into_iter().filter(|word| word.starts_with("AUTH=") || word == "LOGINDISABLED").collect()
}

/// Base64.
fn encode(text: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// The contents of a challenge.
fn challenge(client: &mut Client) -> Vec<u8> {
    use base64::Engine;
    let text = client.response().expect("a challenge").text();
    let base64 = text.strip_prefix("+ ").unwrap_or_else(|| panic!("no challenge: {text}"));
    base64::engine::general_purpose::STANDARD.decode(base64).expect("base64")
}

/// Checks the beginning of the next line.
#[track_caller]
fn hears(client: &mut Client, beginning: &str) {
    let line = client.response().expect("a line").text();
    assert!(line.starts_with(beginning), "{line}");
}
