//! What a mailbox must hold after a crash: what was promised, what was ever seen, whole batches.

use std::collections::{BTreeMap, HashMap};

use crate::load::{Id, Writer};
use crate::support::{Client, Fetched};

/// All that is known of one mailbox, from outside.
#[derive(Default)]
pub struct Shadow {
    validity: Option<u32>,
    /// Everything that was promised, or seen after an earlier crash.
    known: BTreeMap<u32, Id>,
    /// UIDs below were given to somebody.
    uid_next: u32,
    /// Batches that each client sent, in order; the clients of all rounds.
    sent: Vec<Vec<u64>>,
}

impl Shadow {
    /// Takes down what a client was promised, and what it was not.
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
        self.sent.push(writer.sent.iter().map(|sent| sent.batch).collect());
    }

    /// Holds it against the mailbox.
    pub fn verify(&mut self, client: &mut Client, mailbox: &str) {
        let opened = client.ok(&format!("EXAMINE {mailbox}")).texts();
        let number = |code: &str| -> Option<u32> {
            let found = opened.iter().find_map(|line| line.split_once(code));
            found.and_then(|(_, rest)| rest.split(']').next()?.parse().ok())
        };
        let validity = number("[UIDVALIDITY ").expect("a UIDVALIDITY");
        assert_eq!(*self.validity.get_or_insert(validity), validity, "UIDVALIDITY has changed");
        let found = fetch(client);
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
        let uid_next = number("[UIDNEXT ").expect("a UIDNEXT");
        let last = found.last_key_value().map_or(0, |(uid, _)| *uid);
        assert!(uid_next > last && uid_next >= self.uid_next, "UIDNEXT {uid_next} went back");
        self.uid_next = uid_next;
        self.known = found;
    }

    /// Messages there.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// No batch in part, none twice, and of each client those that it sent first.
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

/// All messages of the selected mailbox, each of them checked.
fn fetch(client: &mut Client) -> BTreeMap<u32, Id> {
    let items = "UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]";
    client.send(format!("f UID FETCH 1:* ({items})\r\n").as_bytes());
    let mut found = BTreeMap::new();
    loop {
        let response = client.response().expect("a response to FETCH");
        let Some(fetched) = Fetched::parse(&response) else {
            assert!(response.octets.starts_with(b"f OK "), "{}", response.text());
            return found;
        };
        let octets = fetched.octets("BODY[]");
        let id = Id::of_octets(octets);
        assert!(octets == id.octets(), "{id:?} has other octets");
        assert_eq!(fetched.number("RFC822.SIZE"), octets.len() as u64, "{id:?}");
        assert_eq!(fetched.text("INTERNALDATE"), id.date(), "{id:?}");
        assert_eq!(fetched.flags(), id.flags(), "{id:?}");
        let uid = u32::try_from(fetched.number("UID")).unwrap();
        assert_eq!(found.insert(uid, id), None, "UID {uid} twice");
    }
}
