//! An account against a plain map. Both run one random history of changes, checkpoints that succeed
//! or fail, and restarts that read everything back.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::index::live::{counts::Live, residents::LiveIn};
use crate::index::{Changes, Counts, Entry, What};
use crate::store::Relocated;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    flags: Flags,
    /// Upper case, sorted.
    keywords: Vec<String>,
    modseq: ModSeq,
    size: u64,
    email: u64,
    /// Segment and length of each fragment.
    pieces: Vec<(SegmentId, u32)>,
}

#[derive(Debug, Default)]
struct Model {
    messages: BTreeMap<u32, Message>,
    next: u32,
    modseq: u64,
    recent_from: u32,
    /// Mod-sequence and UID of each expunge.
    vanished: Vec<(u64, u32)>,
}

/// Where relocated messages lie. Appended ones have piece `n` in segment `n`.
const NEW: SegmentId = SegmentId(9);

#[derive(Clone, Debug)]
enum Step {
    Append { count: u32, flags: u8, keywords: Vec<u8>, pieces: u32 },
    SetFlags { uids: Vec<(u32, u32)>, change: FlagChange, flags: u8, keywords: Vec<u8> },
    Expunge { uids: Vec<(u32, u32)> },
    Relocate { uids: Vec<(u32, u32)>, pieces: u32 },
    Recent,
    Pin,
    LoadPiece,
    Unpin,
    BeginSaving,
    EndSaving { written: bool },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keywords = || prop::collection::vec(0..6u8, 0..3);
    let uids = || prop::collection::vec((1..1_500u32, 0..300u32), 1..4);
    let change =
        prop_oneof![Just(FlagChange::Replace), Just(FlagChange::Add), Just(FlagChange::Remove)];
    let count = prop_oneof![3 => 1..4u32, 1 => 1..700u32];
    let step = prop_oneof![
        6 => (count, 0..32u8, keywords(), 0..4u32).prop_map(|(count, flags, keywords, pieces)| {
            Step::Append { count, flags, keywords, pieces }
        }),
        3 => (uids(), change, 0..32u8, keywords()).prop_map(|(uids, change, flags, keywords)| {
            Step::SetFlags { uids, change, flags, keywords }
        }),
        2 => uids().prop_map(|uids| Step::Expunge { uids }),
        2 => (uids(), 1..5u32).prop_map(|(uids, pieces)| Step::Relocate { uids, pieces }),
        1 => Just(Step::Recent),
        2 => Just(Step::Pin),
        2 => Just(Step::LoadPiece),
        2 => Just(Step::Unpin),
        4 => Just(Step::BeginSaving),
        4 => prop::bool::weighted(0.8).prop_map(|written| Step::EndSaving { written }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

struct World {
    file: CatalogFile,
    account: Account,
    model: Model,
    pins: u32,
    saving: Option<Checkpoint>,
    /// The state that a session with the mailbox pinned has seen: mod-sequence and messages.
    session: Option<(ModSeq, BTreeMap<u32, Message>)>,
}

impl World {
    fn new(folder: &Folder) -> World {
        let mut account = Account::new("a");
        account.apply(&create("a", INBOX, "INBOX")).unwrap();
        let model = Model { next: 1, modseq: 1, recent_from: 1, ..Model::default() };
        World { file: folder.open(), account, model, pins: 0, saving: None, session: None }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append { count, flags, keywords, pieces } => {
                self.append(count, Flags(flags), &keywords, pieces);
            }
            Step::SetFlags { uids, change, flags, keywords } => {
                self.set_flags(&uids, change, Flags(flags), &keywords);
            }
            Step::Expunge { uids } => self.expunge(&uids),
            Step::Relocate { uids, pieces } => self.relocate(&uids, pieces),
            Step::Recent => {
                let from = self.account.mailbox_mut(INBOX).unwrap().take_recent();
                assert_eq!(from.0, self.model.recent_from);
                self.model.recent_from = self.model.next;
                if let Some(session) = &mut self.session {
                    *session = (ModSeq(self.model.modseq), self.model.messages.clone());
                }
            }
            Step::Pin => {
                self.account.mailbox_mut(INBOX).unwrap().pin();
                self.pins += 1;
                let now = || (ModSeq(self.model.modseq), self.model.messages.clone());
                self.session.get_or_insert_with(now);
            }
            Step::LoadPiece if self.pins > 0 => self.load_piece(),
            Step::Unpin if self.pins > 0 => {
                self.account.mailbox_mut(INBOX).unwrap().unpin();
                self.pins -= 1;
                if self.pins == 0 {
                    self.session = None;
                }
            }
            Step::BeginSaving if self.saving.is_none() => {
                let mut checkpoint = Checkpoint::default();
                self.account.begin_saving(&mut checkpoint);
                self.saving = Some(checkpoint);
            }
            Step::EndSaving { written } => self.end_saving(written),
            Step::Restart => self.restart(),
            Step::LoadPiece | Step::Unpin | Step::BeginSaving => {}
        }
    }

    fn append(&mut self, count: u32, flags: Flags, keywords: &[u8], pieces: u32) {
        let message = MessageRecord {
            flags,
            keywords: spelt(keywords, false).into(),
            size: 0,
            fragments: vec![],
            ..message(1)
        };
        let messages: Vec<MessageRecord> = (0..count)
            .map(|i| {
                let mut message = message.clone();
                // Every third message has no fragment, or several.
                let pieces = if i % 3 == 0 { pieces } else { 1 };
                for piece in 0..pieces {
                    let (segment, length) = (SegmentId(u64::from(piece)), 10 + i + piece);
                    message.fragments.push(Fragment { segment, offset: 4096, length });
                    message.size += u64::from(length);
                }
                message
            })
            .collect();
        append(&mut self.account, INBOX, &messages);
        self.model.modseq += 1;
        for message in messages {
            self.model.messages.insert(self.model.next, self.model.as_stored(&message));
            self.model.next += 1;
        }
    }

    fn set_flags(
        &mut self,
        uids: &[(u32, u32)],
        change: FlagChange,
        flags: Flags,
        keywords: &[u8],
    ) {
        let modseq = self.reserve();
        let ranges = ranges(uids);
        let record = Record::SetFlags {
            account: "a".into(),
            mailbox: INBOX,
            modseq,
            uids: ranges.clone(),
            change,
            flags,
            keywords: spelt(keywords, true),
        };
        self.apply(&record);
        let keywords: Vec<String> = in_capitals(&spelt(keywords, false));
        for (&uid, message) in &mut self.model.messages {
            if !ranges.iter().any(|range| range.contains(Uid(uid))) {
                continue;
            }
            let old = message.clone();
            match change {
                FlagChange::Replace => {
                    (message.flags, message.keywords) = (flags, keywords.clone());
                }
                FlagChange::Add => {
                    message.flags = message.flags.union(flags);
                    message.keywords.extend(keywords.iter().cloned());
                }
                FlagChange::Remove => {
                    message.flags = message.flags.without(flags);
                    message.keywords.retain(|keyword| !keywords.contains(keyword));
                }
            }
            message.keywords.sort();
            message.keywords.dedup();
            if *message != old {
                message.modseq = modseq;
            }
        }
    }

    fn expunge(&mut self, uids: &[(u32, u32)]) {
        let modseq = self.reserve();
        let ranges = ranges(uids);
        self.apply(&expunge(INBOX, modseq, ranges.clone()));
        let named = |uid| ranges.iter().any(|range| range.contains(Uid(uid)));
        let gone = self.model.messages.extract_if(.., |&uid, _| named(uid));
        self.model.vanished.extend(gone.map(|(uid, _)| (modseq.0, uid)));
    }

    /// Every message in these ranges is cut into this many pieces in segment [`NEW`]. The record
    /// also names UIDs that no message has.
    fn relocate(&mut self, uids: &[(u32, u32)], pieces: u32) {
        let mut messages = Vec::new();
        for uid in UidRange::ascending(&ranges(uids)).iter().flat_map(|r| r.first.0..=r.last.0) {
            let size = self.model.messages.get(&uid).map_or(100, |message| message.size as u32);
            // The model has messages without octets, which the log does not.
            let Some(last) = size.checked_sub(pieces).filter(|&last| last > 0) else { continue };
            let lengths: Vec<u32> = (1..pieces).map(|_| 1).chain([last + 1]).collect();
            if let Some(message) = self.model.messages.get_mut(&uid) {
                message.pieces = lengths.iter().map(|&length| (NEW, length)).collect();
            }
            let fragment = |length| Fragment { segment: NEW, offset: 8192, length };
            let fragments = lengths.into_iter().map(fragment).collect();
            messages.push(Relocated { uid: Uid(uid), fragments });
        }
        self.apply(&Record::Relocate { account: "a".into(), mailbox: INBOX, messages });
    }

    fn reserve(&mut self) -> ModSeq {
        self.model.modseq += 1;
        let reserved = self.account.mailbox_mut(INBOX).unwrap().reserve(0).unwrap();
        assert_eq!(reserved.modseq.0, self.model.modseq);
        reserved.modseq
    }

    /// As in a session that has the mailbox selected, or as in replay.
    fn apply(&mut self, record: &Record) {
        let uids = &match record {
            Record::SetFlags { uids, .. } | Record::Expunge { uids, .. } => uids.clone(),
            Record::Relocate { messages, .. } => {
                messages.iter().map(|message| range(message.uid.0, message.uid.0)).collect()
            }
            _ => unreachable!("no other record comes here"),
        };
        if self.pins > 0 {
            pin_and_load(&mut self.account, INBOX, &self.file);
            self.account.apply(record).unwrap();
            self.account.mailbox_mut(INBOX).unwrap().unpin();
        } else {
            let (file, mailbox) = (&self.file, self.account.mailbox_mut(INBOX).unwrap());
            let read = |uids: &[UidRange], known: &dyn Fn(Uid) -> bool| {
                Ok(file.chunks_of(INBOX, uids, known).unwrap())
            };
            mailbox.load_for(uids, read, |rot| rot).unwrap();
            self.account.apply(record).unwrap();
        }
    }

    fn load_piece(&mut self) {
        let mailbox = self.account.mailbox_mut(INBOX).unwrap();
        if let Some(from) = mailbox.to_load() {
            mailbox.load(self.file.chunks(INBOX, from).unwrap()).unwrap();
        }
    }

    fn end_saving(&mut self, written: bool) {
        if let Some(checkpoint) = self.saving.take() {
            if written {
                self.file.write(&checkpoint).unwrap();
            }
            self.account.end_saving(written);
        }
    }

    fn restart(&mut self) {
        self.end_saving(true);
        save(&mut self.account, &self.file);
        self.account = self.file.account("a").unwrap().unwrap();
        self.pins = 0;
        self.session = None;
        assert!(self.account.is_idle());
    }

    fn check_counts(&self) {
        let (messages, model) = (&self.model.messages, &self.model);
        let count = |rule: &dyn Fn(&Message) -> bool| {
            messages.values().filter(|message| rule(message)).count() as u32
        };
        let expected = Counts {
            messages: messages.len() as u32,
            recent: messages.range(model.recent_from..).count() as u32,
            unseen: count(&|message| !message.flags.contains(Flags::SEEN)),
            deleted: count(&|message| message.flags.contains(Flags::DELETED)),
            octets: messages.values().map(|message| message.size).sum(),
            uid_next: Uid(model.next),
            highest_modseq: ModSeq(model.modseq),
            recent_from: Uid(model.recent_from),
        };
        assert_eq!(self.account.mailbox(INBOX).unwrap().counts(), expected);
        assert_eq!(self.account.octets(), expected.octets);
    }

    /// The changes reported to the session are those between its state and the current one.
    fn check_session(&self) {
        let Some((known, messages)) = &self.session else { return };
        let Changes::Known(recent) = self.account.mailbox(INBOX).unwrap().changes_since(*known)
        else {
            panic!("a journal of a few changes is complete");
        };
        let (mut changed, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for recent in recent {
            let told = match recent.what {
                What::Flags(_) => &mut changed,
                What::Expunged(_) => &mut gone,
            };
            for range in recent.what.ranges() {
                told.extend(
                    (range.first.0..=range.last.0).filter(|uid| messages.contains_key(uid)),
                );
            }
        }
        let now = |uid: &u32| self.model.messages.get(uid);
        let uids = |rule: &dyn Fn(&u32, &Message) -> bool| -> BTreeSet<u32> {
            messages.iter().filter(|(uid, m)| rule(uid, m)).map(|(&uid, _)| uid).collect()
        };
        assert_eq!(gone, uids(&|uid, _| now(uid).is_none()));
        changed.retain(|uid| !gone.contains(uid));
        assert_eq!(changed, uids(&|uid, old| now(uid).is_some_and(|m| m.modseq != old.modseq)));
    }

    fn check_vanished(&self) {
        for since in [0, 1, self.model.modseq / 2, self.model.modseq] {
            let vanished = self.account.mailbox(INBOX).unwrap().vanished_since(ModSeq(since));
            let vanished = vanished.expect("of a few expunges all is known");
            assert!(vanished.is_sorted_by(|a, b| a.last.0 + 1 < b.first.0));
            let uids = vanished.iter().flat_map(|range| range.first.0..=range.last.0);
            let expected = self.model.vanished.iter().filter(|(modseq, _)| *modseq > since);
            let expected: BTreeSet<u32> = expected.map(|&(_, uid)| uid).collect();
            assert!(uids.eq(expected));
        }
    }

    /// The catalog has counted every fragment of every message in its segment.
    fn check_live(&self) {
        let mut live: BTreeMap<SegmentId, Live> = BTreeMap::new();
        for message in self.model.messages.values() {
            for &(segment, length) in &message.pieces {
                let live = live.entry(segment).or_default();
                live.fragments += 1;
                live.octets += u64::from(length);
            }
        }
        assert_eq!(self.file.live().unwrap(), live.clone().into_iter().collect::<Vec<_>>());
        for (segment, live) in live {
            let all = [LiveIn { account: "a".into(), mailbox: INBOX, live }];
            assert_eq!(self.file.live_in(segment, ("", MailboxId(0)), 9).unwrap(), all);
            assert_eq!(self.file.live_in(segment, ("a", INBOX), 9).unwrap(), []);
        }
    }

    fn check_messages(&mut self) {
        pin_and_load(&mut self.account, INBOX, &self.file);
        let mailbox = self.account.mailbox(INBOX).unwrap();
        let read = |entry: Entry<'_>| {
            let keywords: Vec<_> = mailbox.keywords().of(entry.keywords()).cloned().collect();
            let message = Message {
                flags: entry.flags(),
                keywords: in_capitals(&keywords),
                modseq: entry.modseq(),
                size: entry.size(),
                email: entry.email_id().0,
                pieces: entry.fragments().map(piece).collect(),
            };
            (entry.uid().0, message)
        };
        let all: BTreeMap<_, _> = mailbox.range(range(1, u32::MAX)).map(read).collect();
        assert_eq!(all, self.model.messages);
        assert!(mailbox.view().uids().map(|uid| uid.0).eq(all.keys().copied()));
        for uid in (0..self.model.next + 1).step_by(7) {
            let found = mailbox.get(Uid(uid)).map(read);
            assert_eq!(found, self.model.messages.get(&uid).map(|m| (uid, m.clone())));
        }
        let (first, last) = (self.model.next / 3, self.model.next / 2);
        let part: Vec<_> = mailbox.range(range(first, last)).map(|e| e.uid().0).collect();
        let expected: Vec<_> =
            all.keys().copied().filter(|uid| (first..=last).contains(uid)).collect();
        assert_eq!(part, expected);
        self.account.mailbox_mut(INBOX).unwrap().unpin();
    }
}

impl Model {
    fn as_stored(&self, message: &MessageRecord) -> Message {
        Message {
            flags: message.flags,
            keywords: in_capitals(&message.keywords.iter().cloned().collect::<Vec<_>>()),
            modseq: ModSeq(self.modseq),
            size: message.size,
            // There is one mailbox only, to which nothing is copied.
            email: u64::from(self.next),
            pieces: message.fragments.iter().copied().map(piece).collect(),
        }
    }
}

fn piece(fragment: Fragment) -> (SegmentId, u32) {
    (fragment.segment, fragment.length)
}

fn ranges(uids: &[(u32, u32)]) -> Vec<UidRange> {
    uids.iter().map(|&(first, more)| range(first, first + more)).collect()
}

fn spelt(keywords: &[u8], small: bool) -> Vec<Keyword> {
    let mut numbers = keywords.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let spell = |n: u8| if small { format!("key{n}") } else { format!("KEY{n}") };
    numbers.into_iter().map(|n| keyword(&spell(n))).collect()
}

fn in_capitals(keywords: &[Keyword]) -> Vec<String> {
    let mut names: Vec<_> = keywords.iter().map(|k| k.as_str().to_ascii_uppercase()).collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn an_account_is_a_map(steps in steps()) {
        let folder = Folder::new();
        let mut world = World::new(&folder);
        for step in steps {
            world.step(step);
            world.check_counts();
            world.check_session();
        }
        world.check_vanished();
        world.check_messages();
        world.restart();
        world.check_counts();
        world.check_vanished();
        world.check_live();
        world.check_messages();
    }
}
