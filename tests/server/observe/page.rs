//! The live page in a browser.

use std::time::Duration;

use kit::{Folder, Message, Server, USER};

use super::load::{Load, Uploader};
use super::webdriver::{Browser, keep};
use super::{observed, until};

/// A name that would run as a script if it were taken for HTML.
const HOSTILE: &str = "<img src=x onerror=document.title=1>";

fn uploader(mailbox: &str) -> Uploader {
    let pause = Duration::from_millis(5);
    Uploader { user: USER.into(), mailbox: mailbox.into(), size: 20_000, batch: 10, pause }
}

fn number(text: &str) -> u64 {
    text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

#[test]
fn it_shows_what_happens_as_it_happens() {
    let Some(browser) = Browser::open(1180, 1400, false) else { return };
    let (server, admin) = observed(&Folder::new(), &[]);
    browser.go(&format!("http://{admin}/"));
    until(|| (browser.text("state") == "accepts mail").then_some(()));
    assert_eq!(browser.text("messages"), "0");
    assert!(browser.shows("no-uploads") && browser.shows("no-refusals"));

    let load = Load::start(&server, &[uploader("Archive"), uploader("Sent")]);
    let first = until(|| Some(number(&browser.text("messages"))).filter(|&messages| messages > 0));
    until(|| (number(&browser.text("messages")) > first).then_some(()));
    until(|| (browser.text("rate") != "0.0 MB/s").then_some(()));
    let uploads = until(|| Some(browser.text("uploads")).filter(|text| text.contains("Sent")));
    assert!(uploads.contains("alice") && uploads.contains("127.0.0.1:"), "{uploads}");
    let curve = browser.run("return document.querySelector('.curve').getAttribute('d')");
    assert!(curve.as_str().unwrap().contains('L'), "{curve}");
    let figures = browser.run("return document.getElementById('figures').textContent");
    assert!(figures.as_str().unwrap().contains("mailrace_messages_total"), "{figures}");
    keep("page-light", &browser.picture());

    // A reload shows the history as well: the server keeps it.
    let seconds = "return picture.history.octets.length";
    let before = browser.run(seconds).as_u64().unwrap();
    browser.go(&format!("http://{admin}/"));
    until(|| (browser.text("state") == "accepts mail").then_some(()));
    assert!(browser.run(seconds).as_u64().unwrap() >= before);
    drop(load);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn names_are_text_whatever_is_in_them() {
    let Some(browser) = Browser::open(1180, 1400, true) else { return };
    let (server, admin) = observed(&Folder::new(), &[]);
    let mut client = server.login();
    client.ok(&format!("CREATE \"{HOSTILE}\""));
    let message = Message { options: "", octets: &[b'x'; 3000] };
    assert!(client.append(&format!("\"{HOSTILE}\""), &[message]).tagged.starts_with("OK"));
    let mut other = server.login();
    let nowhere = format!("\"nowhere/{HOSTILE}\"");
    assert!(other.append(&nowhere, &[message]).tagged.starts_with("NO"));
    let mut stranger = server.connect();
    assert!(stranger.command(&format!("LOGIN \"{HOSTILE}\" x")).tagged.starts_with("NO"));

    browser.go(&format!("http://{admin}/"));
    let uploads = until(|| Some(browser.text("uploads")).filter(|text| text.contains("onerror")));
    assert!(uploads.contains(HOSTILE), "{uploads}");
    let refusals = until(|| {
        Some(browser.text("refusals")).filter(|text| text.matches("onerror").count() == 2)
    });
    assert!(refusals.contains("no such mailbox; CREATE it first"), "{refusals}");
    assert!(refusals.contains("user name, password or token is wrong"), "{refusals}");
    keep("page-dark", &browser.picture());
    assert_eq!(browser.run("return document.images.length"), 0);
    assert!(browser.run("return document.title").as_str().unwrap().ends_with("mailrace"));
    // Even if it were HTML it would not run.
    browser.run(&format!("document.body.insertAdjacentHTML('beforeend', {HOSTILE:?})"));
    let refused = until(|| browser.complaints().into_iter().find(|one| one.contains("inline")));
    assert!(refused.contains("Content Security Policy"), "{refused}");
    assert_ne!(browser.run("return document.title"), "1");
}

#[test]
fn it_says_when_the_server_has_gone_and_when_it_is_back() {
    let Some(browser) = Browser::open(400, 900, false) else { return };
    let folder = Folder::new();
    let (server, admin) = observed(&folder, &[]);
    browser.go(&format!("http://{admin}/"));
    until(|| (browser.text("state") == "accepts mail").then_some(()));
    assert!(!browser.shows("unreachable"));
    let wide = "return document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.run(wide), false, "a phone has to scroll sideways");
    keep("page-phone", &browser.picture());
    server.kill();
    until(|| browser.shows("unreachable").then_some(()));
    assert_eq!(browser.text("state"), "cannot be reached");
    assert!(browser.text("since").contains("These figures are from"));
    keep("page-gone", &browser.picture());
    let server = Server::with(&folder, &["--admin", &admin.to_string()]);
    assert_eq!(server.admin(), admin);
    until(|| (!browser.shows("unreachable")).then_some(()));
}
