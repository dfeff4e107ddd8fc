//! COPY and MOVE on a real log, and their state after a restart.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use xxhash_rust::xxh3::xxh3_128;

use super::{Copied, CopyError, copy_messages};
use crate::home::{Ledger, Owner, Page, Room};
use crate::index::{Account, OnDamage, replay};
use crate::limits::{KEYWORDS, STEP_MESSAGES};
use crate::reactor::{Arena, LeaseClass, Options, breathe, probe, run};
use crate::store::{
    Commit, EmailId, Epoch, Fragment, HEADER, Log, LogError, LogId, MailboxId, MessageRecord,
    PoolConfig, Record, SegmentId, SegmentPool, Segments, Sequencer, Spare, StoredSegments,
};
use imap::types::{Flags, InternalDate, Keyword, ModSeq, SpecialUse, Uid, UidRange, UidValidity};

const INBOX: MailboxId = MailboxId(1);
const WORK: MailboxId = MailboxId(2);

/// A log and an account with a pinned INBOX, without the rest of a server.
struct World {
    log: Log,
    arena: Arena,
    owner: Rc<Owner>,
}

impl World {
    async fn new(segments: &Path, quota: Option<u64>) -> World {
        let pool = PoolConfig {
            segments: Segments::open(segments).unwrap(),
            size: 4 << 20,
            first: 4 << 20,
            least: 4 << 20,
            reserve: 1 << 20,
            reserves: 0,
            piece: 1 << 19,
            spare: Spare::new(segments, 0),
            ahead: 1,
            first_id: SegmentId(1),
            ready: Vec::new(),
            stale: Vec::new(),
            purges: false,
            ingested: Arc::new(AtomicU64::new(0)),
        };
        let (epoch, id, arena) = (Epoch(1), LogId(0), Arena::new().unwrap());
        let pool = SegmentPool::start(pool).unwrap();
        let sequencer = Sequencer::new(epoch, id, 1, 7);
        let log = Log::start(sequencer, epoch, id, pool, Arc::default(), &arena).await.unwrap();
        let world = World { log, arena, owner: Owner::new(Account::new("anna"), quota) };
        for (mailbox, name) in [(INBOX, "INBOX"), (WORK, "Work")] {
            let created = Record::CreateMailbox {
                account: "anna".into(),
                mailbox,
                name: name.into(),
                uid_validity: UidValidity(99),
                uses: SpecialUse::default(),
            };
            world.ledger().add(created).await.unwrap();
        }
        world.owner.account.borrow_mut().mailbox_mut(INBOX).unwrap().pin();
        world
    }

    /// Appends messages to INBOX. Each message is given by the lengths of its fragments.
    async fn append(&self, messages: &[&[u32]], keywords: &[Keyword]) {
        for part in messages.chunks(3_000) {
            let (mut payload, mut records) = (Vec::new(), Vec::new());
            for (number, lengths) in part.iter().enumerate() {
                let from = payload.len();
                let mut fragments = Vec::new();
                for &length in *lengths {
                    let offset = payload.len() as u32;
                    payload.extend((0..length).map(|n| (n as usize + number) as u8));
                    fragments.push(Fragment { segment: SegmentId(1), offset, length });
                }
                records.push(MessageRecord {
                    size: (payload.len() - from) as u64,
                    date: InternalDate::from_unix(number as i64),
                    flags: Flags(number as u8 & 0x1F),
                    keywords: keywords.iter().cloned().collect(),
                    email: EmailId::default(),
                    checksum: xxh3_128(&payload[from..]),
                    fragments,
                });
            }
            let stream = self.ledger().begin();
            let mut commit = Commit {
                batch: stream.id,
                account: "anna".into(),
                mailbox: INBOX,
                first_uid: Uid(0),
                first_email: EmailId(0),
                modseq: ModSeq(0),
                save_date: 1,
                messages: records.len() as u32,
                octets: payload.len() as u64,
            };
            let len = Record::messages_len(&records);
            let records_len = len + Record::Commit(commit.clone()).encoded_len();
            let mut lease = self.arena.try_lease(LeaseClass::Large).unwrap();
            lease.octets_mut()[HEADER..HEADER + payload.len()].copy_from_slice(&payload);
            let room = Room::around(lease, payload.len(), records_len);
            let compose = |page: &mut Page<'_>| {
                let (segment, offset) = page.begins_at;
                for fragment in records.iter_mut().flat_map(|m| &mut m.fragments) {
                    fragment.segment = segment;
                    fragment.offset += offset + HEADER as u32;
                }
                let mailbox = page.account.mailbox_mut(INBOX).unwrap();
                let reserved = mailbox.reserve(commit.messages).unwrap();
                (commit.first_uid, commit.modseq) = (reserved.first_uid, reserved.modseq);
                commit.first_email = page.account.reserve_emails(commit.messages).unwrap();
                let record = Record::Messages { batch: stream.id, messages: records };
                page.commit(Some((record, len)), commit, Vec::into_iter);
                Ok::<_, LogError>(())
            };
            self.ledger().write(room, compose).await.unwrap();
        }
        self.log.durable().await.unwrap();
    }

    async fn copy(&self, uids: &[UidRange], moved: bool) -> Result<Copied, CopyError> {
        copy_messages(self.ledger(), INBOX, uids, WORK, moved).await
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger::new(&self.log, &self.arena, &self.owner)
    }

    fn shown(&self) -> Shown {
        shown(&self.owner.account.borrow())
    }
}

type Shown = Vec<(u64, Vec<(u32, u64, MessageRecord)>)>;

/// All messages, for comparison.
fn shown(account: &Account) -> Shown {
    let mailbox = |id| {
        let mailbox = account.mailbox(id).unwrap();
        let entries = mailbox.range(range(1, u32::MAX)).map(|entry| {
            let keywords = mailbox.keywords().list(entry.keywords());
            (entry.uid().0, entry.modseq().0, entry.to_record(keywords))
        });
        (mailbox.counts().highest_modseq.0, entries.collect())
    };
    vec![mailbox(INBOX), mailbox(WORK)]
}

fn range(first: u32, last: u32) -> UidRange {
    UidRange { first: Uid(first), last: Uid(last) }
}

fn records(shown: &Shown, mailbox: usize) -> Vec<MessageRecord> {
    shown[mailbox].1.iter().map(|(_, _, record)| record.clone()).collect()
}

/// Runs a test on a reactor, then a restart, which must find the final state.
fn in_world<F: Future<Output = ()>>(quota: Option<u64>, test: impl FnOnce(Rc<World>) -> F) {
    if let Err(error) = probe(1) {
        eprintln!("SKIPPED: {error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("segments");
    std::fs::create_dir(&segments).unwrap();
    let expected = run(Options { core: None }, async {
        let world = Rc::new(World::new(&segments, quota).await);
        test(world.clone()).await;
        world.log.durable().await.unwrap();
        world.shown()
    });
    let mut medium = StoredSegments::new(Segments::open(&segments).unwrap());
    let catalog =
        replay(&folder.path().join("catalog.redb"), &mut medium, OnDamage::Stop).unwrap().catalog;
    let mut account = catalog.account("anna").unwrap().unwrap();
    for id in [INBOX, WORK] {
        let mailbox = account.mailbox_mut(id).unwrap();
        mailbox.pin();
        while let Some(from) = mailbox.to_load() {
            mailbox.load(catalog.chunks(id, from).unwrap()).unwrap();
        }
    }
    assert!(shown(&account) == expected.unwrap(), "a start finds something else");
}

#[test]
fn a_copy_is_the_same_message_under_another_uid() {
    in_world(None, |world| async move {
        world.append(&[&[10], &[7, 3], &[5]], &[Keyword::new(b"work").unwrap()]).await;
        let before = world.shown();
        let copied = world.copy(&[range(2, 2), range(3, 9), range(1, 2)], false).await.unwrap();
        assert_eq!((copied.validity, copied.from), (UidValidity(99), vec![range(1, 3)]));
        assert_eq!((copied.to, copied.unfinished.is_none()), (vec![range(1, 3)], true));
        let after = world.shown();
        assert_eq!(records(&after, 0), records(&before, 0));
        assert_eq!(records(&after, 1), records(&before, 0));
        let account = world.owner.account.borrow();
        assert_eq!(account.octets(), 50);
        let id = |mailbox| account.mailbox(mailbox).unwrap().get(Uid(2)).unwrap().email_id();
        assert_eq!(id(INBOX), id(WORK));
    });
}

#[test]
fn what_is_not_there_is_passed_over() {
    in_world(None, |world| async move {
        world.append(&[&[1], &[2], &[3]], &[]).await;
        let nothing = world.copy(&[range(4, 90)], false).await.unwrap();
        assert!(nothing.from.is_empty() && nothing.to.is_empty());
        let moved = world.copy(&[range(2, 2)], true).await.unwrap();
        assert_eq!((moved.from, moved.to), (vec![range(2, 2)], vec![range(1, 1)]));
        let rest = world.copy(&[range(1, 3)], true).await.unwrap();
        assert_eq!((rest.from, rest.to), (vec![range(1, 1), range(3, 3)], vec![range(2, 3)]));
        assert!(records(&world.shown(), 0).is_empty());
    });
}

#[test]
fn copies_may_stay_in_their_mailbox() {
    in_world(None, |world| async move {
        world.append(&[&[1], &[2]], &[]).await;
        for (moved, left) in [(false, 3), (true, 3)] {
            let uids = [range(1, 1)];
            copy_messages(world.ledger(), INBOX, &uids, INBOX, moved).await.unwrap();
            assert_eq!(
                world.owner.account.borrow().mailbox(INBOX).unwrap().counts().messages,
                left
            );
        }
    });
}

#[test]
fn more_than_a_frame_can_name_is_copied_and_moved() {
    in_world(None, |world| async move {
        let ones = vec![1; 10_000];
        let mut messages: Vec<&[u32]> = vec![&[2]; 9_000];
        messages[8_999] = &ones;
        world.append(&messages[..8_999], &[]).await;
        world.append(&messages[8_999..], &[]).await;
        let before = records(&world.shown(), 0);
        let copied = world.copy(&[range(1, 9_000)], false).await.unwrap();
        assert_eq!(copied.to, [range(1, 9_000)]);
        assert!(records(&world.shown(), 1) == before);
        let moved = world.copy(&[range(1, 9_000)], true).await.unwrap();
        assert_eq!(moved.to, [range(9_001, 18_000)]);
        let after = world.shown();
        assert!(records(&after, 0).is_empty() && records(&after, 1)[9_000..] == before);
    });
}

#[test]
fn others_get_their_turn_while_a_large_batch_comes_and_see_all_of_it_or_nothing() {
    const MESSAGES: u32 = 34_000;
    in_world(None, |world| async move {
        world.append(&vec![&[1][..]; MESSAGES as usize], &[]).await;
        let over = Rc::new(Cell::new(false));
        let bystander = async {
            let (mut turns, mut seen) = (0, Vec::new());
            while !over.get() {
                // The batch is durable and being applied.
                turns += usize::from(world.log.position().is_none());
                seen.push(world.owner.account.borrow().mailbox(WORK).unwrap().counts().messages);
                breathe().await;
            }
            (turns, seen)
        };
        let copy = async {
            world.copy(&[range(1, MESSAGES)], false).await.unwrap();
            over.set(true);
        };
        let ((turns, seen), ()) = tokio::join!(bystander, copy);
        assert!(turns >= MESSAGES as usize / STEP_MESSAGES, "{turns} turns");
        assert!(seen.iter().all(|&messages| messages == 0 || messages == MESSAGES), "in part");
    });
}

#[test]
fn mail_that_comes_while_messages_are_chosen_is_not_copied() {
    in_world(None, |world| async move {
        let messages = |count| vec![&[1][..]; count];
        world.append(&messages(16_800), &[]).await;
        // A yield falls within the last chunk, to which mail is appended.
        let odd: Vec<UidRange> = (2..8_400).map(|n| range(2 * n + 1, 2 * n + 1)).collect();
        let copied = {
            let copy = world.copy(&odd, false);
            let mail = async { world.append(&messages(10), &[]).await };
            tokio::join!(copy, mail).0.unwrap()
        };
        assert_eq!((copied.from, copied.to), (odd, vec![range(1, 8_398)]));
    });
}

#[test]
fn a_move_of_scattered_messages_is_several_batches() {
    in_world(None, |world| async move {
        world.append(&vec![&[1][..]; 34_000], &[]).await;
        let odd: Vec<UidRange> = (1..=17_000).map(|n| range(2 * n - 1, 2 * n - 1)).collect();
        let moved = world.copy(&odd, true).await.unwrap();
        assert_eq!((moved.from.len(), &moved.to[..]), (17_000, &[range(1, 17_000)][..]));
        assert_eq!(world.owner.account.borrow().octets(), 34_000);
        let account = world.owner.account.borrow();
        let left = account.mailbox(INBOX).unwrap().view();
        assert!(left.uids().all(|uid| uid.0 % 2 == 0) && left.len() == 17_000);
    });
}

#[test]
fn a_copy_that_is_refused_changes_nothing() {
    in_world(Some(35), |world| async move {
        world.append(&[&[10], &[10]], &[Keyword::new(b"one-more").unwrap()]).await;
        let before = world.shown();
        let both = [range(1, 2)];
        assert!(matches!(world.copy(&both, false).await, Err(CopyError::Quota)));
        // Afterwards the claim is released. Now fill the keyword table.
        world.owner.quota.set(None);
        let keyword = |n: usize| Keyword::new(format!("k{n}").as_bytes()).unwrap();
        {
            let mut account = world.owner.account.borrow_mut();
            let work = account.mailbox_mut(WORK).unwrap();
            (0..KEYWORDS).for_each(|n| assert!(work.admit(&[keyword(n)]).is_some()));
        }
        assert!(matches!(world.copy(&both, false).await, Err(CopyError::Keywords)));
        world.owner.dying.borrow_mut().insert(WORK);
        let gone = MailboxId(9);
        let result = copy_messages(world.ledger(), INBOX, &both, gone, false).await;
        assert!(matches!(result, Err(CopyError::NoMailbox(id)) if id == gone));
        assert_eq!(world.shown(), before);
        // A move takes no quota.
        world.owner.dying.borrow_mut().clear();
        world.owner.quota.set(Some(20));
        let result = copy_messages(world.ledger(), INBOX, &both, INBOX, true).await;
        assert_eq!(result.unwrap().to, [range(3, 4)]);
    });
}

#[test]
fn a_copy_to_a_mailbox_that_is_being_deleted_leaves_the_account_alone() {
    in_world(None, |world| async move {
        world.append(&[&[10], &[10]], &[]).await;
        world.owner.dying.borrow_mut().insert(WORK);
        for moved in [false, true] {
            let result = world.copy(&[range(1, 2)], moved).await;
            assert!(matches!(result, Err(CopyError::NoMailbox(WORK))), "{result:?}");
        }
        assert!(!world.owner.is_faulty());
    });
}

#[test]
fn two_sessions_never_move_the_same_message() {
    in_world(None, |world| async move {
        // Enough messages that the two moves overlap.
        world.append(&vec![&[1][..]; 20_010], &[]).await;
        let uids = [range(1, 20_000)];
        let (one, two) = tokio::join!(world.copy(&uids, true), world.copy(&uids, true));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(UidRange::union(&one.from, &two.from), uids);
        assert_eq!(UidRange::count(&one.from) + UidRange::count(&two.from), 20_000);
        let after = world.shown();
        assert_eq!((after[0].1.len(), after[1].1.len()), (10, 20_000));
    });
}
