//! The checker can fail for commands in doubt: each place of a message has one lawful way to it.
//! And for names and metadata.

use super::unlawful::{Desk, at_desk, found_from, is_wrong, model, sent};
use crate::Random;
use crate::model::content::{Content, Sizes};
use crate::model::names::{NameOp, SPECIAL_USE};
use crate::model::session::Kind;

/// Messages A to D were UIDs 1 to 4, and their MOVE or COPY to the end of the same mailbox is in
/// doubt, as is the APPEND of X.
#[test]
fn steps_of_a_move_are_whole() {
    for (moved, step, first, there, about) in [
        (true, 2, 5, "ABCD", ""),
        (true, 9, 5, "ABCD", ""),
        (true, 2, 5, "ABXCD", ""),
        (true, 9, 5, "ABXCD", "UID"),
        (true, 2, 5, "AXBCD", "UID"),
        (true, 2, 5, "ABCXD", "UID"),
        (true, 2, 5, "CDAB", "UID"),
        (true, 2, 3, "CDAB", ""),
        (true, 9, 3, "CDAB", "UID"),
        (true, 2, 3, "CDXAB", ""),
        (true, 2, 2, "BCDA", "UID"),
        (true, 2, 4, "DABC", "UID"),
        (true, 2, 5, "ABC", "UID"),
        (true, 9, 5, "ABC", "UID"),
        (true, 2, 1, "ABCD", ""),
        (true, 2, 2, "BCD", "lost"),
        (false, 2, 1, "ABCDABCD", ""),
        (false, 2, 1, "ABCDXABCD", ""),
        (false, 2, 1, "ABCDABXCD", "UID"),
        (false, 2, 1, "ABCDAB", "UID"),
    ] {
        let model = model();
        let letters = {
            let mut model = model.borrow_mut();
            let (mut random, since) = (Random::new(8), model.tick());
            model.bounds.step_messages = step;
            let mut letters: Vec<Content> =
                (0..4).map(|_| model.contents.make(&mut random, Sizes::Small, false)).collect();
            for (uid, content) in (1..).zip(&mut letters) {
                content.date = Some(" 1-Jan-2001 00:00:00 +0000".into());
                model.seen((0, 7, uid), content.flags, Some(4), since).unwrap();
                let message = model.message(0, 7, uid).expect("it was seen");
                message.is_like(&content.as_message()).unwrap();
                message.explained = true;
            }
            model.copy((0, 7), vec![1, 2, 3, 4], &"INBOX".into(), moved);
            letters
        };
        let (_, x) = sent(&model, 1);
        let content = |letter| "ABCD".find(letter).map_or(x[0].clone(), |at| letters[at].clone());
        let contents: Vec<Content> = there.chars().map(content).collect();
        match found_from(first, &model, &contents) {
            Ok(()) => assert_eq!(about, "", "{there} from {first} on, in steps of {step}"),
            wrong => is_wrong(wrong, about),
        }
    }
}

#[test]
fn names_as_last_acknowledged() {
    let model = model();
    let begin = |change| {
        let mut model = model.borrow_mut();
        let op = model.next_op();
        model.accounts[0].names.begin(op, change);
        op
    };
    at_desk(&model, 0, async |desk| {
        let node = desk.model.borrow_mut().accounts[0].names.node();
        let kind = Kind::Names(begin(NameOp::Create("a".into(), node)));
        desk.ask("CREATE a", kind, "% OK [MAILBOXID (m1)] -").await.unwrap();
        let list = |names: &str| format!("* LIST () \"/\" INBOX\n{names}% OK -");
        desk.ask("LIST", Kind::List, &list("* LIST () \"/\" a\n")).await.unwrap();
        is_wrong(desk.ask("LIST", Kind::List, &list("")).await, "LIST tells");
        let kind = Kind::Status("a".into());
        is_wrong(desk.ask("STATUS a", kind, "% NO [NONEXISTENT] -").await, "not to be there");
        let kind = Kind::Names(begin(NameOp::Delete("b".into())));
        is_wrong(desk.ask("DELETE b", kind, "% OK -").await, "cannot be");
    });
}

#[test]
fn what_was_noted_last() {
    at_desk(&model(), 0, async |desk| {
        let set = |desk: &Desk<'_>, value: Option<&str>| {
            let entries = vec![(SPECIAL_USE.into(), value.map(Into::into))];
            let mut model = desk.model.borrow_mut();
            let op = model.next_op();
            model.accounts[0].names.begin(op, NameOp::Note("INBOX".into(), entries));
            Kind::Names(op)
        };
        let list = |uses: &str| format!("* LIST ({uses}) \"/\" INBOX\n% OK -");
        let told = |use_: &str| format!("* METADATA INBOX ({SPECIAL_USE} \"{use_}\")\n% OK -");
        let get = || Kind::Metadata("INBOX".into());
        // It may have been carried out while it was not answered.
        let sent = set(desk, Some("\\Sent"));
        desk.ask("LIST", Kind::List, &list("")).await.unwrap();
        desk.ask("LIST", Kind::List, &list("\\HasNoChildren \\Sent")).await.unwrap();
        desk.ask("SETMETADATA", sent, "% OK -").await.unwrap();
        desk.ask("GETMETADATA", get(), &told("\\\\Sent")).await.unwrap();
        is_wrong(desk.ask("LIST", Kind::List, &list("")).await, "LIST tells");
        is_wrong(desk.ask("GETMETADATA", get(), "% OK -").await, "GETMETADATA of INBOX");
        is_wrong(desk.ask("GETMETADATA", get(), &told("\\\\Junk")).await, "GETMETADATA of INBOX");
        let sent = set(desk, None);
        desk.ask("SETMETADATA", sent, "% OK -").await.unwrap();
        desk.ask("GETMETADATA", get(), "% OK -").await.unwrap();
        is_wrong(desk.ask("LIST", Kind::List, &list("\\Sent")).await, "LIST tells");
        let refused = set(desk, None);
        is_wrong(desk.ask("SETMETADATA", refused, "% NO [NONEXISTENT] -").await, "cannot be");
    });
}
