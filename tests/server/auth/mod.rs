//! Logging in, by all mechanisms; users that are changed while the server runs; what keeps those
//! out, and those few, who try too much.

mod bound;
mod failures;
mod limits;
mod masters;
mod mechanisms;
mod scram;
mod tokens;
mod users;

use kit::Client;

/// The capabilities that are told.
fn capabilities(client: &mut Client) -> Vec<String> {
    let reply = client.ok("CAPABILITY");
    let text = reply.texts().concat();
    text.split(' ').skip(2).map(str::to_owned).collect()
}

/// What is offered for logging in.
fn offered(client: &mut Client) -> Vec<String> {
    let all = capabilities(client);
    all.into_iter().filter(|word| word.starts_with("AUTH=") || word == "LOGINDISABLED").collect()
}

/// Base64.
fn encode(text: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What a challenge holds.
fn challenge(client: &mut Client) -> Vec<u8> {
    use base64::Engine;
    let text = client.response().expect("a challenge").text();
    let base64 = text.strip_prefix("+ ").unwrap_or_else(|| panic!("no challenge: {text}"));
    base64::engine::general_purpose::STANDARD.decode(base64).expect("base64")
}

/// The next line must begin so.
#[track_caller]
fn hears(client: &mut Client, beginning: &str) {
    let line = client.response().expect("a line").text();
    assert!(line.starts_with(beginning), "{line}");
}
