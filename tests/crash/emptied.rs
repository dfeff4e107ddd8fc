//! A disk full of mail: who deletes some of it can store new mail in its place, although every
//! segment has much that lives.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use kit::{Client, Fetched, Image, Kind, Message, Random, Server};

/// Longer than the server takes to give space back. A test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(300);

const MIB: usize = 1 << 20;

#[test]
fn a_full_ext4_takes_mail_again_when_some_is_deleted() {
    gives_back(Kind::Ext4, 128);
}

#[test]
fn a_full_xfs_takes_mail_again_when_some_is_deleted() {
    gives_back(Kind::Xfs, 320);
}

fn gives_back(kind: Kind, mib: u64) {
    let Some(image) = Image::new(kind, "emptied", mib) else { return };
    // Mail gets the same room on all of them.
    image.fill(100 << 20);
    let folder = image.folder();
    let start = || {
        Server::with(&folder, &["--segment-size", "4M", "--segments-ahead", "1", "--reactors", "2"])
    };
    let mut mailbox = Mailbox { random: Random::seeded(), mail: BTreeSet::new() };
    let mut server = start();
    for restarts in [false, true] {
        let mut client = server.login();
        client.ok("SELECT INBOX");
        while mailbox.append(&mut client) {}
        // Not a block is left besides what the server holds.
        image.fill(0);
        while mailbox.append(&mut client) {}
        let deleted = mailbox.delete(&mut client, 40);
        println!("{kind:?}: {} messages, {} MiB were deleted", mailbox.mail.len(), deleted / MIB);
        if restarts {
            drop(client);
            server.kill();
            server = start();
            client = server.login();
            client.ok("SELECT INBOX");
        }
        // Half of what was deleted comes back in any case; the rest may be in segments that are
        // not worth cleaning.
        mailbox.append_until(&mut client, deleted / 2);
        mailbox.verify(&mut client);
    }
    let mut client = server.login();
    assert!(server.log().contains("the disk is full"));
    mailbox.verify(&mut client);
    server.kill();
    let server = start();
    mailbox.verify(&mut server.login());
    assert!(server.terminate().success());
    let checked = kit::mailrace(&["verify", "--data", folder.path().to_str().unwrap()], "");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// What was acknowledged.
struct Mailbox {
    random: Random,
    mail: BTreeSet<u32>,
}

/// The content of the message with this UID: text that is different in each.
fn content(uid: u32) -> Vec<u8> {
    let length = 10_000 + uid as usize * 7_919 % 40_000;
    let mut octets = format!("Subject: {uid}\r\n\r\n").into_bytes();
    while octets.len() < length {
        octets.extend_from_slice(format!("{uid} {}\r\n", octets.len()).as_bytes());
    }
    octets
}

impl Mailbox {
    /// Appends one message. `false` if the disk is full.
    fn append(&mut self, client: &mut Client) -> bool {
        let next = client.ok("STATUS INBOX (UIDNEXT)").texts().concat();
        let next = next.rsplit_once("UIDNEXT ").unwrap().1.split(')').next().unwrap();
        let uid: u32 = next.parse().unwrap();
        let octets = content(uid);
        let reply = client.append("INBOX", &[Message { options: "", octets: &octets }]);
        if reply.tagged.starts_with("OK ") {
            assert!(reply.code().ends_with(&format!(" {uid}")), "{}", reply.tagged);
            assert!(self.mail.insert(uid), "UID {uid} was given before");
            return true;
        }
        assert!(reply.tagged.starts_with("NO [UNAVAILABLE] "), "{}", reply.tagged);
        false
    }

    /// Appends messages until they have this many octets.
    fn append_until(&mut self, client: &mut Client, octets: usize) {
        let (mut appended, begun) = (0, Instant::now());
        while appended < octets {
            if self.append(client) {
                let last = *self.mail.last().unwrap();
                appended += content(last).len();
                continue;
            }
            assert!(begun.elapsed() < PATIENCE, "only {appended} of {octets} octets came back");
            // The server looks for room now and then.
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Expunges about this part of all messages, at random. Returns how many octets they have.
    fn delete(&mut self, client: &mut Client, percent: usize) -> usize {
        let random = &mut self.random;
        let doomed: Vec<u32> =
            self.mail.iter().filter(|_| random.chance(percent)).copied().collect();
        for some in doomed.chunks(500) {
            let set: Vec<String> = some.iter().map(u32::to_string).collect();
            let set = set.join(",");
            client.ok(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"));
            client.ok(&format!("UID EXPUNGE {set}"));
        }
        doomed.iter().for_each(|uid| assert!(self.mail.remove(uid)));
        doomed.iter().map(|&uid| content(uid).len()).sum()
    }

    /// Checks that it has exactly the messages that it should have.
    fn verify(&self, client: &mut Client) {
        client.ok("SELECT INBOX");
        let reply = client.ok("UID FETCH 1:* BODY.PEEK[]");
        let mut found = BTreeSet::new();
        for fetched in Fetched::all(&reply.untagged) {
            let uid: u32 = fetched.text("UID").parse().unwrap();
            assert!(fetched.octets("BODY[]") == content(uid), "UID {uid} is another message");
            found.insert(uid);
        }
        assert_eq!(found, self.mail);
    }
}
