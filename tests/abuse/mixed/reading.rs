//! Commands that only read.

use std::time::Duration;

use kit::{Fetched, numbers, set};

use super::shadow::{ITEMS, Kept, SEEN};
use super::worker::Worker;
use crate::mail::WORDS;

/// Longest IDLE: by then other clients have certainly changed something.
const IDLE: Duration = Duration::from_millis(50);

/// Whether a message matches the search key.
type Fits<'a> = Box<dyn Fn(&Kept) -> bool + 'a>;

impl Worker<'_> {
    /// Fetches messages of its own, and compares everything.
    pub fn fetch_own(&mut self) {
        let Some((place, uids)) = self.some_own() else { return };
        let reply = self.ok(&format!("UID FETCH {} {ITEMS}", set(&uids)));
        let found = self.compared(&reply);
        let known = self.mailboxes[&place].iter().filter(|(uid, _)| uids.contains(uid));
        assert!(found.iter().eq(known), "{place}: {found:?}");
    }

    /// Fetches messages of any client: each must have the octets that its first line determines.
    pub fn fetch_anybodys(&mut self) {
        let Some((_, uids)) = self.some_own() else { return };
        let first = self.random.pick(&uids);
        let reply = self.client.command(&format!("UID FETCH {first}:{} {ITEMS}", first + 20));
        // Others may have expunged some since the last news to this session.
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
        let found = self.compared(&reply);
        assert!(found.contains_key(&first), "{found:?}");
    }

    /// Fetches parts of a message.
    pub fn fetch_piece(&mut self) {
        let Some((place, uids)) = self.some_own() else { return };
        let uid = self.random.pick(&uids);
        let octets = self.mailboxes[&place][&uid].mail.octets();
        let from = self.random.below(octets.len());
        let count = self.random.within(1, 70_000);
        let command = format!("UID FETCH {uid} (BODY.PEEK[]<{from}.{count}> BODY.PEEK[TEXT])");
        let reply = self.ok(&command);
        let name = format!("BODY[]<{from}>");
        let fetched = Fetched::all(&reply.untagged);
        let fetched = fetched.iter().find(|fetched| fetched.has(&name)).expect("the message");
        assert!(fetched.octets(&name) == &octets[from..(from + count).min(octets.len())]);
        let text = memchr::memmem::find(&octets, b"\r\n\r\n").unwrap() + 4;
        assert!(fetched.octets("BODY[TEXT]") == &octets[text..]);
    }

    /// Searches among its own messages.
    pub fn search(&mut self) {
        let Some((place, own)) = self.some_own() else { return };
        let word = format!("word{}x", self.random.below(WORDS));
        let size = self.random.within(300, 5000) as u64;
        let (key, fits): (String, Fits<'_>) = match self.random.below(5) {
            0 => (format!("SUBJECT {word}"), Box::new(|kept| kept.mail.word() == word)),
            1 => ("UNSEEN".into(), Box::new(|kept| kept.flags & SEEN == 0)),
            2 => ("KEYWORD alpha".into(), Box::new(|kept| kept.flags & (1 << 4) != 0)),
            3 => (format!("LARGER {size}"), Box::new(|kept| kept.mail.len() > size)),
            _ => (format!("NOT TEXT {word}"), Box::new(|kept| kept.mail.word() != word)),
        };
        let reply = self.ok(&format!("UID SEARCH UID {} {key}", set(&own)));
        let texts = reply.texts();
        let found = texts.iter().find_map(|text| text.strip_prefix("* SEARCH")).expect("an answer");
        let found: Vec<u32> = found.split_whitespace().map(|uid| uid.parse().unwrap()).collect();
        let mailbox = &self.mailboxes[&place];
        let wanted = own.iter().copied().filter(|uid| fits(&mailbox[uid]));
        assert!(found.iter().copied().eq(wanted), "{key} in {place}: {found:?}");
    }

    /// IDLE in a mailbox that others may change.
    pub fn idle(&mut self) {
        let places = self.places();
        let place = places[self.random.below(places.len())].clone();
        self.select(&place);
        let tag = self.client.tag();
        self.client.send(format!("{tag} IDLE\r\n").as_bytes());
        while !self.client.response().expect("a continuation").text().starts_with("+ ") {}
        self.client.hears_within(IDLE);
        self.client.send(b"DONE\r\n");
        let reply = self.client.reply(&tag);
        assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
    }

    /// LIST of all mailboxes, or some.
    pub fn list(&mut self) {
        let pattern = self.random.pick(&["*", "%", "own-*"]);
        let texts = self.ok(&format!("LIST \"\" {pattern}")).texts();
        let own = format!(" {}", self.private());
        assert!(texts.iter().any(|text| text.ends_with(&own)), "{texts:?}");
    }

    /// STATUS of the private mailbox.
    pub fn status(&mut self) {
        let place = self.private();
        let reply = self.ok(&format!("STATUS {place} (MESSAGES UNSEEN SIZE)"));
        let none = Default::default();
        let mailbox = self.mailboxes.get(&place).unwrap_or(&none);
        let size: u64 = mailbox.values().map(|kept| kept.mail.len()).sum();
        let unseen = mailbox.values().filter(|kept| kept.flags & SEEN == 0).count();
        let wanted = format!("(MESSAGES {} UNSEEN {unseen} SIZE {size})", mailbox.len());
        let texts = reply.texts();
        assert!(texts.iter().any(|text| text.ends_with(&wanted)), "{texts:?} is not {wanted}");
    }

    /// Sends several commands before it reads any reply.
    pub fn pipeline(&mut self) {
        let Some((place, own)) = self.some_own() else { return };
        let (set, mut tags, mut text) = (set(&own), Vec::new(), String::new());
        let commands = [
            "NOOP".to_owned(),
            format!("UID FETCH {set} {ITEMS}"),
            "CAPABILITY".to_owned(),
            format!("UID SEARCH UID {set}"),
            "NOOP".to_owned(),
        ];
        for command in &commands {
            let tag = self.client.tag();
            text.push_str(&format!("{tag} {command}\r\n"));
            tags.push(tag);
        }
        self.client.send(text.as_bytes());
        let replies: Vec<_> = tags.iter().map(|tag| self.client.reply(tag)).collect();
        for (reply, command) in replies.iter().zip(&commands) {
            assert!(reply.tagged.starts_with("OK "), "{command}: {}", reply.tagged);
        }
        let known = self.mailboxes[&place].iter().filter(|(uid, _)| own.contains(uid));
        assert!(self.compared(&replies[1]).iter().eq(known), "{place}");
        let texts = replies[3].texts();
        let found = texts.iter().find_map(|text| text.strip_prefix("* SEARCH ")).expect("some");
        assert_eq!(numbers(&found.replace(' ', ",")).unwrap(), own);
    }
}
