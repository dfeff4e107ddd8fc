//! What a client must think is in its mailbox, from nothing but what the server tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use kit::{Client, Fetched, Message, Random, Reply, Server};

/// What stands behind the word of a response code.
pub fn code(text: &str, word: &str) -> Option<String> {
    let rest = text.split(&format!("[{word} ")).nth(1)?;
    rest.split(']').next().map(str::to_owned)
}

fn uid_of(fetched: &Fetched) -> u32 {
    u32::try_from(fetched.number("UID")).unwrap()
}

fn flags_of(fetched: &Fetched) -> BTreeSet<String> {
    let flags = fetched.flags().into_iter();
    flags.filter(|flag| *flag != "\\Recent").map(str::to_owned).collect()
}

/// The ranges of a set.
fn ranges(set: &str) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
    set.split(',').map(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        first.parse().unwrap()..=last.parse().unwrap()
    })
}

/// A message, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    uid: Option<u32>,
    flags: Option<BTreeSet<String>>,
}

pub struct Mirror {
    client: Client,
    messages: Vec<Known>,
    tag: String,
    validity: String,
    /// HIGHESTMODSEQ as RFC 7162 has a client keep it: as it was told last, or a higher MODSEQ that
    /// a command told after it.
    highest: u64,
    /// Highest MODSEQ of the command under way.
    modseq: u64,
    /// It has enabled QRESYNC.
    resumes: bool,
}

impl Mirror {
    /// Of a client that has logged in.
    pub fn of(client: Client, resumes: bool) -> Mirror {
        let (messages, tag, validity) = (Vec::new(), String::new(), String::new());
        let mut mirror = Mirror { client, messages, tag, validity, highest: 0, modseq: 0, resumes };
        let selected = mirror.client.ok("SELECT INBOX");
        mirror.validity = code(&selected.texts().concat(), "UIDVALIDITY").unwrap();
        mirror.take(&selected, false);
        mirror.settle();
        mirror
    }

    /// Asks for all there is.
    pub fn settle(&mut self) {
        for command in ["NOOP", "UID FETCH 1:* (UID FLAGS)"] {
            let reply = self.client.ok(command);
            self.take(&reply, false);
        }
    }

    /// UIDs and flags, by number.
    pub fn messages(&self) -> Vec<(u32, Vec<String>)> {
        let of = |known: &Known| {
            let flags = known.flags.as_ref().expect("all were asked for");
            (known.uid.expect("all were asked for"), flags.iter().cloned().collect())
        };
        self.messages.iter().map(of).collect()
    }

    /// Sends some command. Whether it names messages by number, so that numbers must not change.
    pub fn send(&mut self, random: &mut Random) -> bool {
        self.tag = self.client.tag();
        let count = self.messages.len().max(1);
        let (one, two) = (random.within(1, count), random.within(1, count));
        let set = format!("{}:{}", one.min(two), one.max(two));
        let flag = random.pick(&["\\Seen", "\\Flagged", "\\Deleted", "$Work", "\\Answered"]);
        let sign = random.pick(&["+", "-", ""]);
        let silent = random.pick(&["", ".SILENT"]);
        let empty = self.messages.is_empty();
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
                let append = kit::append_text(&self.tag, "INBOX", &[message, message]);
                self.client.send(&append);
                return false;
            }
            _ => ("NOOP".into(), false),
        };
        self.client.send(format!("{} {command}\r\n", self.tag).as_bytes());
        by_number
    }

    /// Reads what comes of it.
    pub fn read(&mut self, by_number: bool) {
        let tag = self.tag.clone();
        let reply = self.client.reply(&tag);
        // Others expunge what this client does not know to be gone. Only COPY and MOVE say NO then,
        // as RFC 2180 has it, or Dovecot where that leaves a choice.
        let gone = "NO [EXPUNGEISSUED] the messages have gone";
        assert!(reply.tagged.starts_with("OK ") || reply.tagged == gone, "{}", reply.tagged);
        self.take(&reply, by_number);
    }

    /// What a client knows that was cut off now, and asks what it has missed: it must come to know
    /// all that is there, but for messages of which it was told nothing yet but that they are.
    pub fn resume(&self, server: &Server) {
        let mut client = super::login(server);
        client.ok("ENABLE QRESYNC");
        let (validity, highest) = (&self.validity, self.highest);
        if !self.resumes {
            return;
        }
        let selected = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {highest}))"));
        let known = self.messages.iter().filter_map(|known| known.uid.zip(known.flags.clone()));
        let mut known: BTreeMap<u32, BTreeSet<String>> = known.collect();
        let unknown = self.messages.len() - known.len();
        for response in &selected.untagged {
            if let Some(fetched) = Fetched::parse(response) {
                known.insert(uid_of(&fetched), flags_of(&fetched));
            } else if let Some(set) = response.text().strip_prefix("* VANISHED (EARLIER) ") {
                let gone: Vec<_> = ranges(set).collect();
                known.retain(|uid, _| !gone.iter().any(|range| range.contains(uid)));
            }
        }
        let all = client.ok("UID FETCH 1:* (FLAGS)");
        let there: BTreeMap<_, _> = Fetched::all(&all.untagged)
            .iter()
            .map(|fetched| (uid_of(fetched), flags_of(fetched)))
            .collect();
        let missing = there.keys().filter(|uid| !known.contains_key(uid)).count();
        assert!(missing <= unknown, "{missing} of {there:?} are not in {known:?}");
        for (uid, flags) in known {
            assert_eq!(there.get(&uid), Some(&flags), "UID {uid}, {highest}");
        }
    }

    fn take(&mut self, reply: &Reply, by_number: bool) {
        for response in &reply.untagged {
            let text = response.text();
            if let Some(highest) = code(&text, "HIGHESTMODSEQ") {
                (self.highest, self.modseq) = (highest.parse().unwrap(), 0);
            }
            let words: Vec<&str> = text.split(' ').collect();
            if let Some(fetched) = Fetched::parse(response) {
                self.learn(&fetched, &text);
            } else if words.get(2) == Some(&"EXISTS") {
                let count: usize = words[1].parse().unwrap();
                assert!(count >= self.messages.len(), "fewer without an EXPUNGE: {text}");
                self.messages.resize(count, Known::default());
            } else if words.get(2) == Some(&"EXPUNGE") {
                assert!(!by_number, "numbers change amid a command");
                let number: usize = words[1].parse().unwrap();
                assert!((1..=self.messages.len()).contains(&number), "{text}");
                self.messages.remove(number - 1);
            } else if words.get(1) == Some(&"VANISHED") {
                assert!(!by_number, "numbers change amid a command");
                self.vanish(words[2]);
            }
        }
        if let Some(highest) = code(&reply.tagged, "HIGHESTMODSEQ") {
            (self.highest, self.modseq) = (highest.parse().unwrap(), 0);
        }
        self.highest = self.highest.max(std::mem::take(&mut self.modseq));
    }

    fn learn(&mut self, fetched: &Fetched, text: &str) {
        let number = fetched.number as usize;
        assert!((1..=self.messages.len()).contains(&number), "{text}");
        let known = &mut self.messages[number - 1];
        if text.contains("UID ") {
            let uid = u32::try_from(fetched.number("UID")).unwrap();
            assert!(
                known.uid.is_none_or(|known| known == uid),
                "number {number} is {known:?}: {text}"
            );
            known.uid = Some(uid);
        }
        if text.contains("FLAGS ") {
            known.flags = Some(flags_of(fetched));
        } else if text.contains("MODSEQ ") {
            // Its own STORE, which did not ask for the flags.
            known.flags = None;
        }
        if let Some(modseq) = text.split("MODSEQ (").nth(1) {
            let modseq = modseq.split(')').next().unwrap().parse().unwrap();
            self.modseq = self.modseq.max(modseq);
        }
    }

    /// Who is told UIDs must know them: the client asks for those of new messages.
    fn vanish(&mut self, set: &str) {
        for range in ranges(set) {
            for uid in range {
                let found = self.messages.iter().position(|known| known.uid == Some(uid));
                let at = found.unwrap_or_else(|| self.only_unknown(uid));
                self.messages.remove(at);
            }
        }
    }

    /// UIDs ascend with the numbers, so that of a message whose UID was never told its neighbours
    /// tell enough, if it is the only one there.
    fn only_unknown(&self, uid: u32) -> usize {
        let after = self.messages.iter().position(|known| known.uid.is_some_and(|own| own > uid));
        let end = after.unwrap_or(self.messages.len());
        let start = self.messages[..end].iter().rposition(|known| known.uid.is_some());
        let start = start.map_or(0, |start| start + 1);
        assert!(start < end, "UID {uid} vanished and was never there");
        start
    }
}
