//! The required content of an append-only mailbox after a crash: all acknowledged mail, all mail
//! that was ever seen, and only whole batches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use kit::{Client, Fetched};

use crate::load::{Id, Writer};
use crate::state::Mail;

/// What must be in one mailbox, as known from replies.
#[derive(Clone, Default)]
pub struct Shadow {
    validity: Option<u32>,
    /// Messages that were acknowledged, or seen after an earlier crash.
    known: BTreeMap<u32, Id>,
    /// All UIDs below this were assigned.
    uid_next: u32,
    /// The batches of each client of all rounds, in the order sent.
    sent: Vec<Vec<u64>>,
}

impl Shadow {
    /// Records the batches of a client: acknowledged, refused, or without a reply.
    pub fn heard(&mut self, writer: &Writer) {
        for sent in &writer.sent {
            let Some((validity, first, last)) = sent.promised else { continue };
            assert_eq!(*self.validity.get_or_insert(validity), validity, "UIDVALIDITY");
            for uid in first..=last {
                let (batch, of, large) = (sent.batch, sent.of, writer.style.large);
                let id = Id { batch, index: (uid - first) as usize, of, large };
                assert_eq!(self.known.insert(uid, id), None, "UID {uid} was given twice");
            }
            assert!(first >= self.uid_next, "UIDs from {first} on were given to others before");
        }
        let taken = writer.sent.iter().filter(|sent| !sent.refused);
        self.sent.push(taken.map(|sent| sent.batch).collect());
    }

    /// Compares it with the mailbox.
    pub fn verify(&mut self, client: &mut Client, mailbox: &str) {
        let opened = Opened::look(client, mailbox);
        self.hold_against(opened, mailbox);
    }

    /// Like [`Shadow::verify`], with damaged octets: all messages must be listed. Returns how many
    /// cannot be read.
    pub fn verify_damaged(&mut self, client: &mut Client, mailbox: &str) -> usize {
        let (opened, lost) = Opened::look_at_damaged(client, mailbox, |uid| self.known[&uid]);
        self.hold_against(opened, mailbox);
        lost
    }

    /// Like [`Shadow::verify`], with lost frames: each message that is there has the UID that was
    /// acknowledged. With `one`, the missing messages must be adjacent.
    pub fn verify_sound(&self, client: &mut Client, mailbox: &str, one: bool) {
        if !client.command(&format!("EXAMINE {mailbox}")).tagged.starts_with("OK ") {
            return;
        }
        let Opened { validity, mail, uid_next } = Opened::look_at_sound(client, mailbox);
        for (uid, mail) in &mail {
            assert_eq!(self.known.get(uid), Some(&mail.id), "UID {uid} of {mailbox}");
        }
        let missing: Vec<u32> =
            self.known.keys().filter(|uid| !mail.contains_key(uid)).copied().collect();
        let together = missing.iter().zip(missing.iter().skip(1)).all(|(uid, next)| {
            self.known.range(uid + 1..*next).next().is_none() //
        });
        assert!(together || !one, "more is missing than was lost: {missing:?}");
        // If its creation was lost and it was created again, the mailbox is another one.
        let is_known = self.validity == Some(validity);
        assert!(!is_known || uid_next >= self.uid_next, "UIDNEXT {uid_next} went back");
    }

    fn hold_against(&mut self, opened: Opened, mailbox: &str) {
        let Opened { validity, uid_next, mail } = opened;
        assert_eq!(*self.validity.get_or_insert(validity), validity, "UIDVALIDITY has changed");
        let found: BTreeMap<u32, Id> = mail.iter().map(|(uid, mail)| (*uid, mail.id)).collect();
        for mail in mail.values() {
            assert_eq!(*mail, Mail::new(mail.id), "other flags");
        }
        for (uid, id) in &self.known {
            assert_eq!(found.get(uid), Some(id), "UID {uid} of {mailbox} is lost");
        }
        let news: BTreeMap<u32, Id> = found
            .iter()
            .filter(|(uid, _)| !self.known.contains_key(uid))
            .map(|(u, i)| (*u, *i))
            .collect();
        for (uid, id) in &news {
            assert!(*uid >= self.uid_next, "UID {uid} is used again, for {id:?}");
        }
        self.whole_batches(&found);
        let last = found.last_key_value().map_or(0, |(uid, _)| *uid);
        assert!(uid_next > last && uid_next >= self.uid_next, "UIDNEXT {uid_next} went back");
        self.uid_next = uid_next;
        self.known = found;
    }

    /// The messages at the last check, and those acknowledged since.
    pub fn known(&self) -> &BTreeMap<u32, Id> {
        &self.known
    }

    /// Number of known messages.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Checks that no batch is there in part or twice, or without the earlier ones of its client.
    fn whole_batches(&self, found: &BTreeMap<u32, Id>) {
        let mut batches: HashMap<u64, u32> = HashMap::new();
        let mut expected: Option<(u32, Id)> = None;
        for (&uid, &id) in found {
            if let Some(expected) = expected {
                assert_eq!((uid, id), expected, "a batch in part");
            } else {
                assert_eq!(id.index, 0, "a batch without its start: UID {uid}, {id:?}");
                assert_eq!(
                    batches.insert(id.batch, uid),
                    None,
                    "batch {} is there twice",
                    id.batch
                );
            }
            let more = id.index + 1 < id.of;
            expected = more.then_some((uid + 1, Id { index: id.index + 1, ..id }));
        }
        assert_eq!(expected, None, "a batch without its end");
        let sent: usize = self.sent.iter().flatten().filter(|b| batches.contains_key(b)).count();
        assert_eq!(sent, batches.len(), "batches that nobody sent");
        for sent in &self.sent {
            let there: Vec<_> = sent.iter().map_while(|batch| batches.get(batch)).collect();
            assert!(there.is_sorted(), "the order of a pipeline is not the order of the UIDs");
            let count = sent.iter().filter(|batch| batches.contains_key(batch)).count();
            assert_eq!(there.len(), count, "a later batch of a pipeline came without an earlier");
        }
    }
}

/// A mailbox as the server shows it, with each message checked.
pub struct Opened {
    pub validity: u32,
    pub uid_next: u32,
    pub mail: BTreeMap<u32, Mail>,
}

impl Opened {
    /// Opens the mailbox and fetches everything.
    pub fn look(client: &mut Client, mailbox: &str) -> Opened {
        let mut opened = Opened::examine(client, mailbox);
        let end = opened.fetch(client);
        assert!(end.starts_with("OK "), "{end}");
        opened
    }

    /// Like [`Opened::look`], with damaged octets. A message that FETCH refuses is taken from
    /// `known`, and compared with the index. Returns the number of these messages, too.
    pub fn look_at_damaged(
        client: &mut Client,
        mailbox: &str,
        known: impl Fn(u32) -> Id,
    ) -> (Opened, usize) {
        let mut opened = Opened::examine(client, mailbox);
        let end = opened.fetch(client);
        let index = client.ok("UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)").untagged;
        let mut lost = 0;
        for fetched in Fetched::all(&index) {
            let uid = uid(&fetched);
            if let Entry::Vacant(missing) = opened.mail.entry(uid) {
                let id = known(uid);
                hold_against_index(id, &fetched);
                missing.insert(Mail { id, flags: flags(&fetched) });
                lost += 1;
            }
        }
        let damaged = ["NO [CORRUPTION] ", "NO [UNAVAILABLE] "].iter().any(|b| end.starts_with(b));
        assert!(if lost > 0 { damaged } else { end.starts_with("OK ") }, "{lost} lost: {end}");
        (opened, lost)
    }

    /// Opens a mailbox with damaged or missing messages, and fetches the readable ones.
    pub fn look_at_sound(client: &mut Client, mailbox: &str) -> Opened {
        let mut opened = Opened::examine(client, mailbox);
        let end = opened.fetch(client);
        assert!(end.starts_with("OK ") || end.starts_with("NO [CORRUPTION] "), "{end}");
        opened
    }

    fn examine(client: &mut Client, mailbox: &str) -> Opened {
        let opened = client.ok(&format!("EXAMINE {mailbox}")).texts();
        let number = |code: &str| -> Option<u32> {
            let found = opened.iter().find_map(|line| line.split_once(code));
            found.and_then(|(_, rest)| rest.split(']').next()?.parse().ok())
        };
        let validity = number("[UIDVALIDITY ").expect("a UIDVALIDITY");
        let uid_next = number("[UIDNEXT ").expect("a UIDNEXT");
        Opened { validity, uid_next, mail: BTreeMap::new() }
    }

    /// Takes every message from FETCH. Returns its tagged response.
    fn fetch(&mut self, client: &mut Client) -> String {
        client.send(format!("f UID FETCH 1:* ({ITEMS})\r\n").as_bytes());
        loop {
            let response = client.response().expect("a response to FETCH");
            let Some(fetched) = Fetched::parse(&response) else {
                let text = response.text();
                return text.strip_prefix("f ").unwrap_or_else(|| panic!("{text}")).to_owned();
            };
            let found = checked(&fetched);
            let uid = uid(&fetched);
            assert_eq!(self.mail.insert(uid, found), None, "UID {uid} twice");
        }
    }
}

/// Every item of a message.
const ITEMS: &str = "UID FLAGS INTERNALDATE RFC822.SIZE BINARY.PEEK[]";

/// Checks that a message is as appended, except for its flags.
fn checked(fetched: &Fetched) -> Mail {
    let octets = fetched.octets("BINARY[]");
    let id = Id::of_octets(octets);
    assert!(octets == id.octets(), "{id:?} has other octets");
    hold_against_index(id, fetched);
    Mail { id, flags: flags(fetched) }
}

fn hold_against_index(id: Id, fetched: &Fetched) {
    assert_eq!(fetched.number("RFC822.SIZE"), id.octets().len() as u64, "{id:?}");
    assert_eq!(fetched.text("INTERNALDATE"), id.date(), "{id:?}");
}

fn uid(fetched: &Fetched) -> u32 {
    u32::try_from(fetched.number("UID")).unwrap()
}

fn flags(fetched: &Fetched) -> BTreeSet<String> {
    fetched.flags().into_iter().map(str::to_owned).collect()
}
