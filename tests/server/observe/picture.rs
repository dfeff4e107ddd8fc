//! Makes the picture of the live page in the manual:
//!
//! ```sh
//! cargo test --test server -- --ignored the_picture_of_the_manual
//! ```
//!
//! After some minutes of load by several users it writes `src/manual/live-page.png`.
//! `MAILRACE_MINUTES` sets the length of the load.

use std::fs;
use std::thread;
use std::time::Duration;

use kit::{Folder, Message, PASSWORD};

use super::load::{Load, Uploader};
use super::webdriver::{Browser, keep};
use super::{observed, until};

/// User, mailbox, octets of a message, messages of a batch, milliseconds between batches.
const PEOPLE: [(&str, &str, usize, usize, u64); 7] = [
    ("amelia", "Archive/2019", 42_000, 40, 250),
    ("bertrand", "INBOX", 18_000, 60, 220),
    ("chiara", "Sent", 65_000, 20, 300),
    ("dmitri", "INBOX", 9_000, 150, 260),
    ("eunice", "Projects/Mühle", 120_000, 10, 350),
    ("farid", "Lists/announce", 5_000, 100, 400),
    ("greta", "Archive/2021", 30_000, 50, 420),
];

#[test]
#[ignore = "takes minutes, and changes a file of the repository"]
fn the_picture_of_the_manual() {
    let minutes = std::env::var("MAILRACE_MINUTES").map_or(4.0, |n| n.parse().expect("a number"));
    let Some(browser) = Browser::open(1120, 1420, false) else { panic!("it takes a browser") };
    let folder = Folder::new();
    PEOPLE.iter().for_each(|person| folder.add_user(person.0, PASSWORD, &[]));
    folder.add_user("henri", PASSWORD, &["--quota", "1M"]);
    let (server, admin) = observed(&folder, &["--segment-size", "64M"]);
    browser.go(&format!("http://{admin}/"));
    let uploaders = PEOPLE.map(|(user, mailbox, size, batch, pause)| {
        let (user, mailbox) = (user.to_owned(), format!("\"{}\"", mailbox.replace("ü", "&APw-")));
        Uploader { user, mailbox, size, batch, pause: Duration::from_millis(pause) }
    });
    let step = Duration::from_secs_f64(minutes * 60.0 / 10.0);
    let _always = Load::start(&server, &uploaders[..3]);
    thread::sleep(step);
    let mut client = server.connect();
    client.ok(&format!("LOGIN henri {PASSWORD}"));
    let large = Message { options: "", octets: &vec![b'x'; 2 << 20] };
    assert!(client.append("INBOX", &[large]).tagged.starts_with("NO [OVERQUOTA]"));
    let more = Load::start(&server, &uploaders[3..5]);
    thread::sleep(step * 3);
    assert!(
        client.append("Drafts", &[Message { options: "", octets: b"x" }]).tagged.starts_with("NO")
    );
    assert!(server.connect().command("LOGIN ingrid guess").tagged.starts_with("NO"));
    drop(more);
    thread::sleep(step * 2);
    let _all = Load::start(&server, &uploaders[3..]);
    thread::sleep(step * 4);
    until(|| browser.text("uploads").contains("Mühle").then_some(()));
    // The path of a test's data is of no interest.
    browser.run("document.getElementById('disk-path').textContent = '/srv/mail'");
    let picture = browser.picture();
    keep("live-page", &picture);
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/manual/live-page.png"), picture).unwrap();
}
