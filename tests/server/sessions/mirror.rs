//! A client that keeps the [view](View) of its session, and can resume from it.

use std::collections::BTreeMap;

use kit::model::flags::{Flags, written};
use kit::model::mirror::Mirror as View;
use kit::model::wire::reply::{self, Fetched};
use kit::{Client, Message, Random, Reply, Response, Server, append_text, numbers};

/// The data of a response code.
pub fn code(text: &str, word: &str) -> Option<String> {
    let rest = text.split(&format!("[{word} ")).nth(1)?;
    rest.split(']').next().map(str::to_owned)
}

/// Parses a response as the model does, which knows all flags that are set here.
fn parse(response: &[u8], then: impl FnOnce(reply::Reply<'_>)) {
    then(reply::parse(&[response, b"\r\n"].concat()).expect("a response"));
}

/// Flags by UID of the FETCH responses among these.
fn flags_by_uid(responses: &[Response]) -> BTreeMap<u32, Flags> {
    let mut flags = BTreeMap::new();
    for response in responses {
        parse(&response.octets, |reply| {
            if let reply::Reply::Fetch(Fetched { uid, flags: told, .. }) = reply {
                flags.insert(uid.expect("a UID"), told.expect("flags"));
            }
        });
    }
    flags
}

pub struct Mirror {
    client: Client,
    view: View,
    tag: String,
    /// HIGHESTMODSEQ as a client keeps it by RFC 7162: the last one reported, or a higher MODSEQ
    /// reported after it.
    highest: u64,
    /// Highest MODSEQ of the command in flight.
    modseq: u64,
    /// The client has enabled QRESYNC.
    resumes: bool,
}

impl Mirror {
    /// Selects INBOX with a client that has logged in.
    pub fn of(mut client: Client, resumes: bool) -> Mirror {
        let selected = client.ok("SELECT INBOX");
        let validity = code(&selected.texts().concat(), "UIDVALIDITY").unwrap().parse().unwrap();
        let (name, messages) = ("INBOX".into(), Vec::new());
        let view = View { name, validity, modseq: 0, read_only: false, messages };
        let mut mirror =
            Mirror { client, view, tag: String::new(), highest: 0, modseq: 0, resumes };
        mirror.take(&selected, false);
        mirror.settle();
        mirror
    }

    /// Fetches everything.
    pub fn settle(&mut self) {
        for command in ["NOOP", "UID FETCH 1:* (UID FLAGS)"] {
            let reply = self.client.ok(command);
            self.take(&reply, false);
        }
    }

    /// UIDs and flags, by number.
    pub fn messages(&self) -> Vec<(u32, String)> {
        let known = self.view.messages.iter().map(|known| known.uid.zip(known.flags));
        let known = known.map(|known| known.expect("all were asked for"));
        known.map(|(uid, flags)| (uid, written(flags))).collect()
    }

    /// Sends a random command. Returns whether it names messages by number, so that numbers must
    /// not change.
    pub fn send(&mut self, random: &mut Random) -> bool {
        self.tag = self.client.tag();
        let count = self.view.messages.len().max(1);
        let (one, two) = (random.within(1, count), random.within(1, count));
        let set = format!("{}:{}", one.min(two), one.max(two));
        let flag = random.pick(&["\\Seen", "\\Flagged", "\\Deleted", "work", "\\Answered"]);
        let sign = random.pick(&["+", "-", ""]);
        let silent = random.pick(&["", ".SILENT"]);
        let empty = self.view.messages.is_empty();
        let (command, by_number) = match random.below(12) {
            0 | 1 if !empty => (format!("STORE {set} {sign}FLAGS{silent} ({flag})"), true),
            2 => (format!("UID STORE {one}:* {sign}FLAGS{silent} ({flag})"), false),
            3 if !empty => (format!("FETCH {set} (UID FLAGS)"), true),
            4 => ("UID FETCH 1:* (FLAGS)".into(), false),
            5 => ("EXPUNGE".into(), false),
            6 => ("UID EXPUNGE 1:*".into(), false),
            7 if !empty => (format!("MOVE {one} aside"), false),
            8 if !empty => (format!("COPY {one} INBOX"), false),
            9 | 10 => {
                let message = Message { options: "(\\Seen) ", octets: b"A: b\r\n\r\nc" };
                let append = append_text(&self.tag, "INBOX", &[message, message]);
                self.client.send(&append);
                return false;
            }
            _ => ("NOOP".into(), false),
        };
        self.client.send(format!("{} {command}\r\n", self.tag).as_bytes());
        by_number
    }

    /// Reads the answer.
    pub fn read(&mut self, by_number: bool) {
        let tag = self.tag.clone();
        let reply = self.client.reply(&tag);
        // Other sessions expunge messages without the knowledge of this client. Then only COPY and
        // MOVE answer NO, as RFC 2180 says, or as Dovecot does where the RFC leaves a choice.
        let gone = "NO [EXPUNGEISSUED] the messages have gone";
        assert!(reply.tagged.starts_with("OK ") || reply.tagged == gone, "{}", reply.tagged);
        self.take(&reply, by_number);
    }

    /// Checks that this client would learn everything that it missed if it were cut off now.
    /// Messages with unknown flags are excepted: the client only knew that they exist.
    pub fn resume(&self, server: &Server) {
        let mut client = super::login(server);
        client.ok("ENABLE QRESYNC");
        let (validity, highest) = (self.view.validity, self.highest);
        if !self.resumes {
            return;
        }
        let selected = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {highest}))"));
        let known = self.view.messages.iter().filter_map(|known| known.uid.zip(known.flags));
        let mut known: BTreeMap<u32, Flags> = known.collect();
        let unknown = self.view.messages.len() - known.len();
        known.extend(flags_by_uid(&selected.untagged));
        for text in selected.texts() {
            if let Some(set) = text.strip_prefix("* VANISHED (EARLIER) ") {
                let gone = numbers(set).expect("a set");
                known.retain(|uid, _| !gone.contains(uid));
            }
        }
        let there = flags_by_uid(&client.ok("UID FETCH 1:* (FLAGS)").untagged);
        let missing = there.keys().filter(|uid| !known.contains_key(uid)).count();
        assert!(missing <= unknown, "{missing} of {there:?} are not in {known:?}");
        for (uid, flags) in known {
            assert_eq!(there.get(&uid), Some(&flags), "UID {uid}, {highest}");
        }
    }

    fn take(&mut self, reply: &Reply, by_number: bool) {
        for response in &reply.untagged {
            parse(&response.octets, |reply| self.hear(reply, by_number));
        }
        if let Some(highest) = code(&reply.tagged, "HIGHESTMODSEQ") {
            (self.highest, self.modseq) = (highest.parse().unwrap(), 0);
        }
        self.highest = self.highest.max(std::mem::take(&mut self.modseq));
    }

    fn hear(&mut self, reply: reply::Reply<'_>, by_number: bool) {
        let ends = matches!(reply, reply::Reply::Expunge(_) | reply::Reply::Vanished(..));
        assert!(!(ends && by_number), "numbers change during a command");
        match reply {
            reply::Reply::Untagged(status) if status.code == "HIGHESTMODSEQ" => {
                (self.highest, self.modseq) = (status.data.parse().unwrap(), 0);
            }
            reply::Reply::Fetch(fetched) => {
                self.view.learn(&fetched).unwrap();
                if fetched.modseq.is_some() && fetched.flags.is_none() {
                    // Its own STORE, which did not ask for the flags.
                    self.view.messages[fetched.number as usize - 1].flags = None;
                }
                self.modseq = self.modseq.max(fetched.modseq.unwrap_or_default());
            }
            reply::Reply::Exists(count) => self.view.exists(count).unwrap(),
            reply::Reply::Expunge(number) => drop(self.view.expunge(number).unwrap()),
            reply::Reply::Vanished(_, uids) => self.view.vanished(&uids).unwrap(),
            _ => {}
        }
    }
}
