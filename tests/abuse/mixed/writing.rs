//! Commands that change mailboxes.

use std::sync::atomic::Ordering;

use kit::{Message, Reply, append_text, numbers, set};

use super::shadow::{DELETED, FLAGS, Kept, names};
use super::worker::Worker;
use crate::mail::Mail;

impl Worker<'_> {
    /// Appends a batch of small messages.
    pub fn append_small(&mut self) {
        let (count, in_step) = (self.random.within(1, 40), self.random.one_in(4));
        let mails: Vec<_> = (0..count)
            .map(|_| {
                let size = self.random.within(100, 4000);
                self.new_mail(size)
            })
            .collect();
        self.append(&mails, in_step);
    }

    /// Appends some large messages.
    pub fn append_large(&mut self) {
        let count = self.random.within(1, 3);
        let most = self.random.pick(&[60_000, 300_000, 1_500_000]);
        let mails: Vec<_> = (0..count)
            .map(|_| {
                let size = self.random.within(30_000, most);
                self.new_mail(size)
            })
            .collect();
        let in_step = self.random.one_in(2);
        self.append(&mails, in_step);
    }

    fn append(&mut self, mails: &[Mail], in_step: bool) {
        let place = self.random_place();
        let flags = self.random_flags();
        let options: Vec<_> = mails.iter().map(|mail| options(*mail, flags)).collect();
        let octets: Vec<_> = mails.iter().map(|mail| mail.octets()).collect();
        let messages: Vec<_> = options
            .iter()
            .zip(&octets)
            .map(|(options, octets)| Message { options, octets })
            .collect();
        let reply = match in_step {
            true => self.client.append_in_step(&place, &messages),
            false => self.client.append(&place, &messages),
        };
        self.appended(&place, mails, flags, &reply);
    }

    fn appended(&mut self, place: &str, mails: &[Mail], flags: u8, reply: &Reply) {
        assert!(reply.tagged.starts_with("OK [APPENDUID "), "{}", reply.tagged);
        let given = numbers(reply.code().rsplit(' ').next().unwrap()).unwrap();
        assert_eq!(given.len(), mails.len(), "{}", reply.tagged);
        let mailbox = self.mailboxes.entry(place.into()).or_default();
        for (uid, &mail) in given.into_iter().zip(mails) {
            assert_eq!(mailbox.insert(uid, Kept { mail, flags }), None, "UID {uid} twice");
        }
        let octets = mails.iter().map(|mail| mail.size as u64).sum();
        self.common.commands.fetch_add(1, Ordering::Relaxed);
        self.common.messages.fetch_add(mails.len() as u64, Ordering::Relaxed);
        self.common.appended.fetch_add(octets, Ordering::Relaxed);
    }

    /// Appends single messages, several commands before it reads any reply.
    pub fn append_pipeline(&mut self) {
        let (place, flags) = (self.random_place(), self.random_flags());
        let (mut text, mut sent) = (Vec::new(), Vec::new());
        for _ in 0..self.random.within(2, 20) {
            let size = self.random.within(100, 9000);
            let (mail, tag) = (self.new_mail(size), self.client.tag());
            let message = Message { options: &options(mail, flags), octets: &mail.octets() };
            text.extend(append_text(&tag, &place, &[message]));
            sent.push((tag, mail));
        }
        self.client.send(&text);
        for (tag, mail) in sent {
            let reply = self.client.reply(&tag);
            self.appended(&place, &[mail], flags, &reply);
        }
    }

    /// Cancels a batch by a last message of zero octets.
    pub fn append_cancelled(&mut self) {
        let place = self.random_place();
        let tag = self.client.tag();
        let mut text = format!("{tag} APPEND {place}").into_bytes();
        for _ in 0..self.random.within(1, 5) {
            let size = self.random.within(100, 100_000);
            let octets = self.new_mail(size).octets();
            text.extend(format!(" {{{}+}}\r\n", octets.len()).into_bytes());
            text.extend(octets);
        }
        text.extend_from_slice(b" {0+}\r\n\r\n");
        self.client.send(&text);
        let reply = self.client.reply(&tag);
        assert!(reply.tagged.starts_with("NO "), "{}", reply.tagged);
        self.common.commands.fetch_add(1, Ordering::Relaxed);
    }

    /// Disconnects in the middle of a batch.
    pub fn append_broken(&mut self) {
        let place = self.random_place();
        let mut octets = Vec::new();
        for _ in 0..self.random.within(1, 5) {
            let size = self.random.within(100, 100_000);
            octets.push(self.new_mail(size).octets());
        }
        let messages: Vec<_> =
            octets.iter().map(|octets| Message { options: "", octets }).collect();
        let text = append_text("broken", &place, &messages);
        // Without the last line end, the batch is incomplete.
        let length = self.random.below(text.len() - 2);
        self.client.send(&text[..length]);
        self.break_off();
    }

    /// Sets and clears flags.
    pub fn store(&mut self) {
        let Some((place, uids)) = self.some_own() else { return };
        let mut flags = self.random_flags();
        if place == self.private() && self.random.one_in(4) {
            flags |= DELETED;
        }
        let (add, list) = (self.random.one_in(2), names(flags).join(" "));
        let silent = self.random.pick(&["", ".SILENT"]);
        let sign = if add { '+' } else { '-' };
        self.ok(&format!("UID STORE {} {sign}FLAGS{silent} ({list})", set(&uids)));
        let mailbox = self.mailboxes.get_mut(&place).expect("it was just there");
        for uid in &uids {
            let kept = mailbox.get_mut(uid).expect("it was just there");
            kept.flags = if add { kept.flags | flags } else { kept.flags & !flags };
        }
    }

    /// Copies within the account.
    pub fn copy(&mut self) {
        let Some((place, uids)) = self.some_own() else { return };
        let to = self.random_place();
        let reply = self.ok(&format!("UID COPY {} {to}", set(&uids)));
        self.copied(reply.code(), &place, &uids, &to);
    }

    /// Moves within the account.
    pub fn move_some(&mut self) {
        let Some((place, uids)) = self.some_own() else { return };
        let to = self.random_place();
        if to == place {
            return;
        }
        let reply = self.ok(&format!("UID MOVE {} {to}", set(&uids)));
        let texts = reply.texts();
        let codes = texts.iter().filter_map(|text| text.strip_prefix("* OK [COPYUID "));
        let codes: Vec<_> = codes.map(|rest| rest.split(']').next().unwrap()).collect();
        let [code] = codes[..] else { panic!("{texts:?}") };
        self.copied(&format!("COPYUID {code}"), &place, &uids, &to);
        for uid in uids {
            self.mailboxes.get_mut(&place).unwrap().remove(&uid);
        }
    }

    fn copied(&mut self, code: &str, place: &str, wanted: &[u32], to: &str) {
        let words: Vec<_> = code.split(' ').collect();
        let ["COPYUID", _, from, there] = words[..] else { panic!("{code}") };
        let (from, there) = (numbers(from).unwrap(), numbers(there).unwrap());
        assert_eq!(from, wanted, "{code}");
        assert_eq!(from.len(), there.len(), "{code}");
        for (from, uid) in from.into_iter().zip(there) {
            let kept = self.mailboxes[place][&from];
            let before = self.mailboxes.entry(to.into()).or_default().insert(uid, kept);
            assert_eq!(before, None, "UID {uid} of {to} was given twice");
            self.common.copied.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Expunges some messages; in the private mailbox also those marked before.
    pub fn expunge_some(&mut self) {
        let Some((place, uids)) = self.some_own() else { return };
        self.expunge(&place, &uids);
    }

    /// Expunges half of its own messages.
    pub fn expunge_many(&mut self) {
        for place in self.places() {
            let all = self.mailboxes.get(&place).into_iter().flat_map(|mailbox| mailbox.keys());
            let half: Vec<u32> = all.copied().step_by(2).collect();
            if !half.is_empty() {
                self.select(&place);
                self.expunge(&place, &half);
            }
        }
    }

    fn expunge(&mut self, place: &str, uids: &[u32]) {
        self.ok(&format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", set(uids)));
        let private = place == self.private();
        match (private, self.random.below(3)) {
            (true, 0) => drop(self.ok("EXPUNGE")),
            (true, 1) => {
                self.ok("CLOSE");
                self.selected = None;
            }
            _ => {
                self.ok(&format!("UID EXPUNGE {}", set(uids)));
                let mailbox = self.mailboxes.get_mut(place).expect("it was just there");
                mailbox.retain(|uid, _| !uids.contains(uid));
                return;
            }
        }
        let mailbox = self.mailboxes.get_mut(place).expect("it was just there");
        mailbox.retain(|uid, kept| !uids.contains(uid) && kept.flags & DELETED == 0);
    }

    /// Creates a mailbox, renames it, and deletes it with its messages.
    pub fn folder(&mut self) {
        let (one, other) = (format!("a-{}/b", self.number), format!("c-{}", self.number));
        self.ok(&format!("CREATE {one}"));
        let mail = self.new_mail(3000);
        let message = Message { options: "", octets: &mail.octets() };
        assert!(self.client.append(&one, &[message]).tagged.starts_with("OK "));
        self.ok(&format!("SUBSCRIBE {one}"));
        self.ok(&format!("RENAME {one} {other}"));
        self.ok(&format!("UNSUBSCRIBE {one}"));
        let texts = self.ok(&format!("STATUS {other} (MESSAGES)")).texts();
        assert!(texts.iter().any(|text| text.contains("(MESSAGES 1)")), "{texts:?}");
        self.ok(&format!("DELETE {other}"));
    }

    fn random_place(&mut self) -> String {
        let places = self.places();
        places[self.random.below(places.len())].clone()
    }

    /// Random flags without `\Deleted`.
    fn random_flags(&mut self) -> u8 {
        (self.random.below(1 << FLAGS.len()) as u8) & !DELETED
    }
}

fn options(mail: Mail, flags: u8) -> String {
    format!("({}) \"{}\" ", names(flags).join(" "), mail.date())
}
