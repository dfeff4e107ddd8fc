//! The checker can fail: a server on paper that gives unlawful answers.
//!
//! Every dialogue is first held with lawful answers, so that the one answer that the test is about
//! is what is wrong.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::Random;
use crate::model::content::{Content, Sizes};
use crate::model::flags::Change;
use crate::model::message::{Action, Op};
use crate::model::session::{Kind, Session};
use crate::model::verify::verify;
use crate::model::wire::{Dial, Stop, Wire};
use crate::model::{Bounds, Model, Person, Shared};

/// The answers, whatever the client says.
struct Paper(RefCell<VecDeque<Vec<u8>>>);

struct Sheet<'a>(&'a Paper);

impl Wire for Sheet<'_> {
    async fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    async fn recv(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.0.borrow_mut().pop_front().unwrap_or_default())
    }

    fn close(&mut self) {}

    fn reset(&mut self) {}
}

impl<'a> Dial for &'a Paper {
    type Wire = Sheet<'a>;

    async fn dial(&self) -> io::Result<Sheet<'a>> {
        Ok(Sheet(self))
    }

    async fn pause(&self, _: Duration) {}
}

impl Paper {
    fn says(&self, lines: &str) {
        let lines = lines.replace('\n', "\r\n");
        self.0.borrow_mut().push_back(format!("{lines}\r\n").into_bytes());
    }
}

/// A client at work: one account, INBOX with UIDVALIDITY 7 selected.
pub(super) struct Desk<'a> {
    paper: &'a Paper,
    pub model: Shared,
    session: Session<'a, &'a Paper>,
    tag: usize,
}

/// Larger than anything in the dialogues below.
const BOUNDS: Bounds = Bounds {
    block: 4 << 10,
    small_lease: 16 << 10,
    large_lease: 256 << 10,
    keywords: 1_000,
    keyword_sets: 10_000,
    small_batch: 1_000,
    unfinished_messages: 1_000_000,
    step_messages: 10_000,
    little_room: false,
};

pub(super) fn model() -> Shared {
    let anna = Person { name: "anna", password: "secret", quota: None };
    Rc::new(RefCell::new(Model::new(&[anna], BOUNDS)))
}

/// Runs what never waits: paper answers at once.
fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("paper answers at once"),
    }
}

/// Seats a client.
pub(super) fn at_desk(model: &Shared, exists: u32, test: impl AsyncFnOnce(&mut Desk<'_>)) {
    run(seat(model, exists, test));
}

/// Seats another client beside the first.
async fn at_other_desk(model: &Shared, test: impl AsyncFnOnce(&mut Desk<'_>)) {
    seat(model, 1, test).await;
}

async fn seat(model: &Shared, exists: u32, test: impl AsyncFnOnce(&mut Desk<'_>)) {
    let paper = Paper(RefCell::default());
    let dial = &paper;
    paper.says("* OK hello\nt1 OK in");
    let session = Session::open(&dial, model.clone(), 0, Random::new(1)).await;
    let mut desk =
        Desk { paper: &paper, model: model.clone(), session: session.expect("a login"), tag: 1 };
    desk.select(exists, 10, 20).await.expect("a mailbox");
    test(&mut desk).await;
}

impl Desk<'_> {
    /// A command; `%` in the answer is its tag.
    pub async fn ask(&mut self, command: &str, kind: Kind, answer: &str) -> Result<(), String> {
        self.tag += 1;
        self.paper.says(&answer.replace('%', &format!("t{}", self.tag)));
        let mut result = self.session.ask(command, kind).await;
        if result.is_ok() {
            result = self.session.replies().await;
        }
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Wrong(text)) => {
                // The rest is not read.
                while self.session.connection.response().await.is_ok() {}
                self.session.sent.clear();
                Err(text)
            }
            Err(Stop::Gone(why)) => panic!("{command} ends in {why}"),
        }
    }

    async fn select(&mut self, exists: u32, next: u32, modseq: u64) -> Result<(), String> {
        let kind = Kind::Select { name: "INBOX".into(), read_only: false, before: None };
        let answer = format!(
            "* {exists} EXISTS\n* OK [UIDVALIDITY 7] -\n* OK [UIDNEXT {next}] -\n\
             * OK [HIGHESTMODSEQ {modseq}] -\n% OK [READ-WRITE] -"
        );
        self.ask("SELECT INBOX", kind, &answer).await
    }

    async fn noop(&mut self, answer: &str) -> Result<(), String> {
        self.ask("NOOP", Kind::Noop, answer).await
    }

    pub async fn fetch(&mut self, uids: &[u32], answer: &str) -> Result<(), String> {
        let kind = Kind::Fetch { op: None, uids: uids.to_vec(), octets: false };
        self.ask("UID FETCH 1:* (UID FLAGS MODSEQ)", kind, answer).await
    }

    async fn store(&mut self, flags: u16, answer: &str) -> Result<(), String> {
        let op = {
            let mut model = self.model.borrow_mut();
            let op = model.next_op();
            let message = model.message(0, 7, 5).expect("UID 5");
            message.begin(op, Action::Flags(Change::Add, flags));
            op
        };
        let kind = Kind::Store { op, uids: vec![5], conditional: false, uid: true, silent: false };
        self.ask("UID STORE 5 +FLAGS (…)", kind, answer).await
    }
}

#[track_caller]
pub(super) fn is_wrong(result: Result<(), String>, about: &str) {
    let text = result.expect_err(about);
    assert!(text.contains(about), "{about}: {text}");
}

#[test]
fn counts_and_numbers() {
    at_desk(&model(), 2, async |desk| {
        desk.noop("* 3 EXISTS\n% OK -").await.unwrap();
        is_wrong(desk.noop("* 2 EXISTS\n% OK -").await, "without an EXPUNGE");
        is_wrong(desk.noop("* 4 EXPUNGE\n% OK -").await, "4 EXPUNGE of 3");
        is_wrong(desk.noop("* 4 FETCH (UID 9)\n% OK -").await, "4 FETCH of 3");
    });
    at_desk(&model(), 2, async |desk| {
        let kind = || Kind::Fetch { op: None, uids: Vec::new(), octets: false };
        let answer = "* 1 FETCH (UID 5 FLAGS () MODSEQ (3))\n% OK -";
        desk.ask("FETCH 1 (UID)", kind(), answer).await.unwrap();
        let result = desk.ask("FETCH 1 (UID)", kind(), "* 2 EXPUNGE\n% OK -").await;
        is_wrong(result, "numbers change");
    });
    at_desk(&model(), 2, async |desk| {
        desk.noop("* 1 FETCH (UID 5)\n* 2 FETCH (UID 6)\n% OK -").await.unwrap();
        is_wrong(desk.noop("* 2 FETCH (UID 8)\n% OK -").await, "and had 6");
    });
    at_desk(&model(), 2, async |desk| {
        is_wrong(desk.noop("* 1 FETCH (UID 5)\n* 2 FETCH (UID 4)\n% OK -").await, "has UID");
    });
}

#[test]
fn replies_and_their_order() {
    at_desk(&model(), 0, async |desk| {
        is_wrong(desk.noop("% NO [UNAVAILABLE] -").await, "without a reason");
        is_wrong(desk.noop("t99 OK -").await, "t99");
        is_wrong(desk.noop("* BYE -").await, "BYE without a reason");
    });
}

#[test]
fn flags_as_last_acknowledged() {
    let one = |flags: &str, modseq: u64| {
        format!("* 1 FETCH (UID 5 FLAGS ({flags}) MODSEQ ({modseq}))\n% OK -")
    };
    at_desk(&model(), 1, async |desk| {
        desk.fetch(&[], &one("", 3)).await.unwrap();
        desk.store(1, "* 1 FETCH (UID 5 MODSEQ (4))\n% OK -").await.unwrap();
        desk.fetch(&[5], &one("\\Seen", 4)).await.unwrap();
        is_wrong(desk.fetch(&[5], &one("", 5)).await, "possible are (\\Seen)");
    });
    at_desk(&model(), 1, async |desk| {
        desk.fetch(&[], &one("", 3)).await.unwrap();
        is_wrong(desk.fetch(&[5], &one("\\Seen", 3)).await, "mod-sequence 3 was ()");
        is_wrong(desk.fetch(&[5], &one("", 2)).await, "is 2");
        is_wrong(desk.fetch(&[5], "% OK -").await, "UID 5 was not found");
        is_wrong(desk.noop("* 1 EXPUNGE\n% OK -").await, "nobody took it away");
    });
}

#[test]
fn what_others_were_told_is_told() {
    let model = model();
    at_desk(&model, 1, async |desk| {
        desk.fetch(&[], "* 1 FETCH (UID 5 FLAGS () MODSEQ (3))\n% OK -").await.unwrap();
        desk.noop("% OK -").await.unwrap();
        at_other_desk(&model, async |other| {
            let told = "* 1 FETCH (UID 5 FLAGS () MODSEQ (3))\n% OK -";
            other.fetch(&[5], told).await.unwrap();
            other.store(1, "* 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (4))\n% OK -").await.unwrap();
        })
        .await;
        is_wrong(desk.noop("% OK -").await, "nobody told the flags");
        let flags = "* 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (4))\n";
        desk.noop(&format!("{flags}% OK -")).await.unwrap();
        at_other_desk(&model, async |other| {
            other.noop("* 2 EXISTS\n* 2 FETCH (UID 6 FLAGS () MODSEQ (5))\n% OK -").await.unwrap();
        })
        .await;
        is_wrong(desk.noop("% OK -").await, "only 1 were told");
        desk.noop("* 2 EXISTS\n% OK -").await.unwrap();
    });
}

#[test]
fn what_was_told_survives() {
    let model = model();
    at_desk(&model, 1, async |desk| {
        desk.fetch(&[], "* 1 FETCH (UID 5 FLAGS () MODSEQ (3))\n% OK -").await.unwrap();
    });
    // Another session, after a restart.
    at_desk(&model, 1, async |desk| {
        let answer = "* 1 FETCH (UID 5 FLAGS () MODSEQ (2))\n% OK -";
        is_wrong(desk.fetch(&[5], answer).await, "was 3 and is 2");
        is_wrong(desk.fetch(&[5], "% OK -").await, "UID 5 was not found");
        is_wrong(desk.select(1, 9, 20).await, "UIDNEXT was 10 and is 9");
        is_wrong(desk.select(1, 10, 19).await, "HIGHESTMODSEQ was 20 and is 19");
    });
}

// ---- Batches ----------------------------------------------------------------------------------

/// An APPEND of this many messages, all of it sent.
pub(super) fn sent(model: &Shared, count: usize) -> (Op, Vec<Content>) {
    let mut model = model.borrow_mut();
    let mut random = Random::new(9);
    let contents: Vec<Content> =
        (0..count).map(|_| model.contents.make(&mut random, Sizes::Small, false)).collect();
    let op = model.append(0, &"INBOX".into(), contents.clone(), 1);
    model.append_whole(op);
    (op, contents)
}

/// A mailbox in which these messages are found from UID 5 on.
fn found(model: &Shared, contents: &[Content]) -> Result<(), String> {
    found_from(5, model, contents)
}

/// A mailbox in which these messages are found from this UID on.
pub(super) fn found_from(first: usize, model: &Shared, contents: &[Content]) -> Result<(), String> {
    let paper = Paper(RefCell::default());
    paper.says("* OK hello\nt1 OK in");
    paper.says("t2 OK -\n* LIST () \"/\" INBOX\nt3 OK -\nt4 OK -");
    let count = contents.len();
    paper.says(&format!(
        "* {count} EXISTS\n* OK [UIDVALIDITY 7] -\n* OK [UIDNEXT 20] -\n\
         * OK [HIGHESTMODSEQ 20] -\nt5 OK -"
    ));
    for (number, content) in contents.iter().enumerate() {
        let flags = crate::model::flags::written(content.flags);
        let date = content.date.as_deref().unwrap_or(" 1-Jan-2001 00:00:00 +0000");
        let (size, uid, number) = (content.octets.len(), number + first, number + 1);
        let start = format!(
            "* {number} FETCH (UID {uid} FLAGS ({flags}) INTERNALDATE \"{date}\" \
             RFC822.SIZE {size} MODSEQ (4) EMAILID (M{uid}) BODY[] {{{size}}}\r\n"
        );
        let fetch = [start.as_bytes(), &content.octets, b")\r\n"].concat();
        paper.0.borrow_mut().push_back(fetch);
    }
    paper.says("t6 OK -\nt7 OK -\n* BYE -\nt8 OK -");
    run(verify(&&paper, model, &mut Random::new(2)))
}

#[test]
fn batches_are_whole_and_not_lost() {
    for (what, acknowledged, kept) in [
        ("", true, 0..3),
        ("", false, 0..3),
        ("", false, 0..0),
        ("lost", true, 0..2),
        ("lost", true, 0..0),
        ("in part", false, 0..2),
        ("in part", false, 1..3),
    ] {
        let model = model();
        let (op, contents) = sent(&model, 3);
        if acknowledged {
            model.borrow_mut().appended(op, 7, &[5, 6, 7]).unwrap();
        }
        let result = found(&model, &contents[kept.clone()]);
        match what {
            "" => result.unwrap(),
            what => is_wrong(result, what),
        }
    }
}

#[test]
fn batches_that_must_not_be_there() {
    let model = model();
    let (op, contents) = sent(&model, 1);
    model.borrow_mut().append_refused(op);
    is_wrong(found(&model, &contents), "refused");

    let model = self::model();
    let (first, _) = sent(&model, 1);
    let (second, contents) = sent(&model, 1);
    assert!(first < second);
    is_wrong(found(&model, &contents), "without APPEND");

    let model = self::model();
    let (_, contents) = sent(&model, 1);
    let twice = [contents[0].clone(), contents[0].clone()];
    is_wrong(found(&model, &twice), "twice");
}

#[test]
fn octets_dates_flags_and_uids() {
    let (model, mut other) = (model(), Model::new(&[], BOUNDS));
    let (op, mut contents) = sent(&model, 2);
    model.borrow_mut().appended(op, 7, &[5, 6]).unwrap();
    let whole = contents.clone();
    contents[1].octets = other.contents.make(&mut Random::new(3), Sizes::Small, false).octets;
    is_wrong(found(&model, &contents), "nobody sent");
    contents.swap(0, 1);
    contents[0] = whole[1].clone();
    contents[1] = whole[0].clone();
    is_wrong(found(&model, &contents), "UID 5");
    contents = whole.clone();
    contents[0].flags ^= 1;
    is_wrong(found(&model, &contents), "UID 5");
    contents = whole;
    contents[0].date = Some(" 3-Mar-2003 03:03:03 +0300".into());
    is_wrong(found(&model, &contents), "internal date");

    let (op, _) = sent(&model, 1);
    let again = model.borrow_mut().appended(op, 7, &[6]);
    assert!(matches!(again, Err(Stop::Wrong(text)) if text.contains("given before")));
}

// ---- Commands at the same time -----------------------------------------------------------------

/// UID 5 is there with these flags. Another session has begun these changes of it.
async fn with_others(desk: &mut Desk<'_>, flags: &str, others: &[Action]) -> Vec<Op> {
    let told = format!("* 1 FETCH (UID 5 FLAGS ({flags}) MODSEQ (3))\n% OK -");
    desk.fetch(&[], &told).await.unwrap();
    let mut model = desk.model.borrow_mut();
    let begin = |action: &Action| {
        let op = model.next_op();
        model.message(0, 7, 5).expect("UID 5").begin(op, *action);
        op
    };
    others.iter().map(begin).collect()
}

#[test]
fn a_move_takes_the_flags_that_were_acknowledged() {
    for (flags, about) in [("\\Seen", ""), ("", "possible are (\\Seen)")] {
        at_desk(&model(), 1, async |desk| {
            with_others(desk, "", &[]).await;
            let inbox: Rc<str> = "INBOX".into();
            let op = desk.model.borrow_mut().copy((0, 7), vec![5], &inbox, true);
            desk.store(1, "* 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (4))\n% OK -").await.unwrap();
            desk.model.borrow_mut().copied(op, (Some(7), true), &[5], &[12]).unwrap();
            let told = format!(
                "* 1 EXPUNGE\n* 1 EXISTS\n* 1 FETCH (UID 12 FLAGS ({flags}) MODSEQ (6))\n% OK -"
            );
            match desk.noop(&told).await {
                Ok(()) => assert_eq!(about, ""),
                wrong => is_wrong(wrong, about),
            }
        });
    }
}

#[test]
fn a_message_is_moved_once() {
    at_desk(&model(), 1, async |desk| {
        with_others(desk, "", &[]).await;
        let (inbox, model): (Rc<str>, _) = ("INBOX".into(), desk.model.clone());
        let mut model = model.borrow_mut();
        let one = model.copy((0, 7), vec![5], &inbox, true);
        let two = model.copy((0, 7), vec![5], &inbox, true);
        model.copied(one, (Some(7), true), &[5], &[12]).unwrap();
        let again = model.copied(two, (Some(7), true), &[5], &[13]);
        assert!(matches!(again, Err(Stop::Wrong(text)) if text.contains("cannot have been there")));
    });
}

#[test]
fn what_is_unmarked_is_not_expunged() {
    at_desk(&model(), 1, async |desk| {
        with_others(desk, "\\Deleted", &[Action::Expunge]).await;
        let op = {
            let mut model = desk.model.borrow_mut();
            let op = model.next_op();
            let action = Action::Flags(Change::Remove, 8);
            model.message(0, 7, 5).expect("UID 5").begin(op, action);
            op
        };
        let kind = Kind::Store { op, uids: vec![5], conditional: false, uid: true, silent: true };
        desk.ask("UID STORE 5 -FLAGS.SILENT (\\Deleted)", kind, "% OK -").await.unwrap();
        is_wrong(desk.noop("* 1 EXPUNGE\n% OK -").await, "nobody took it away");
    });
}

#[test]
fn a_conditional_store_does_not_come_after_another() {
    for (flags, about) in [("\\Seen \\Flagged", ""), ("\\Flagged", "it has the flags")] {
        at_desk(&model(), 1, async |desk| {
            let conditional = Action::FlagsIfUnchanged(Change::Replace, 4);
            let op = with_others(desk, "", &[conditional]).await[0];
            desk.store(1, "% OK -").await.unwrap();
            {
                let mut model = desk.model.borrow_mut();
                let message = model.message(0, 7, 5).expect("UID 5");
                message.end(op, crate::model::message::Outcome::Found, 9).unwrap();
            }
            let told = format!("* 1 FETCH (UID 5 FLAGS ({flags}) MODSEQ (6))\n% OK -");
            match desk.fetch(&[5], &told).await {
                Ok(()) => assert_eq!(about, ""),
                wrong => is_wrong(wrong, about),
            }
        });
    }
}

/// A message of an APPEND in doubt, seen as UID 4, flagged, and moved by a MOVE in doubt.
#[test]
fn causes_in_doubt_are_told_apart() {
    for (moved, about) in [(true, ""), (false, "UID 5")] {
        let model = model();
        let (_, mut contents) = sent(&model, 1);
        {
            let mut model = model.borrow_mut();
            let (op, since) = (model.next_op(), model.tick());
            let (flags, inbox): (_, Rc<str>) = (contents[0].flags, "INBOX".into());
            model.seen((0, 7, 4), flags, Some(3), since).unwrap();
            let message = model.message(0, 7, 4).expect("UID 4");
            message.begin(op, Action::Flags(Change::Add, 256));
            message.end(op, crate::model::message::Outcome::Found, since).unwrap();
            if moved {
                model.copy((0, 7), vec![4], &inbox, true);
            }
        }
        contents[0].flags |= 256;
        match found(&model, &contents) {
            Ok(()) => assert_eq!(about, ""),
            wrong => is_wrong(wrong, about),
        }
    }
}
