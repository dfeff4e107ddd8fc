//! Threads by hand, in large numbers, and against the model.

use proptest::prelude::*;

use super::*;

/// One message per line: Message-ID, references, subject; dates ascend.
fn message(number: u32, id: &str, references: &str, subject: &str) -> Message {
    let header = format!("Message-ID: <{id}@x>\nReferences: {references}\nSubject: {subject}\n\n");
    Message::of_header(number, header.as_bytes(), i64::from(number))
}

fn threads(algorithm: ThreadAlgorithm, messages: &[Message]) -> String {
    let mut threader = Threader::new(algorithm);
    messages.iter().for_each(|message| threader.add(message));
    shown(&threader.finish())
}

/// As in a response; for shallow trees.
fn shown(nodes: &[ThreadNode]) -> String {
    fn write(nodes: &[ThreadNode], depth: u32, out: &mut String) {
        let starts: Vec<usize> = (0..nodes.len()).filter(|&n| nodes[n].depth == depth).collect();
        let alone = starts.len() == 1 && depth > 0;
        for (at, &start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(nodes.len());
            out.push_str(if alone { "" } else { "(" });
            let number = nodes[start].number.map(|number| number.to_string());
            out.push_str(&number.clone().unwrap_or_default());
            if end > start + 1 {
                out.push_str(if number.is_some() { " " } else { "" });
                write(&nodes[start + 1..end], depth + 1, out);
            }
            out.push_str(if alone { "" } else { ")" });
        }
    }
    let mut out = String::new();
    write(nodes, 0, &mut out);
    out
}

use crate::protocol::ThreadAlgorithm::{OrderedSubject, References, Refs};

/// The shapes of RFC 5256 sections 3 and 4: `(2)(3 6 (4 23)(44 7 96))` and `((3)(5))`.
#[test]
fn the_trees_of_the_rfc_come_out() {
    let messages = [
        message(2, "2", "", "a"),
        message(3, "3", "", "b"),
        message(4, "4", "<3@x> <6@x>", "Re: b"),
        message(6, "6", "<3@x>", "Re: b"),
        message(7, "7", "<44@x>", "Re: b"),
        message(23, "23", "<3@x> <6@x> <4@x>", "Re: b"),
        message(44, "44", "<6@x>", "Re: b"),
        message(96, "96", "<44@x> <7@x>", "Re: b"),
    ];
    assert_eq!(threads(References, &messages), "(2)(3 6 (4 23)(44 7 96))");
    assert_eq!(threads(OrderedSubject, &messages), "(2)(3 (4)(6)(7)(23)(44)(96))");
    let orphans = [message(3, "3", "<gone@x>", "a"), message(5, "5", "<gone@x>", "b")];
    assert_eq!(threads(References, &orphans), "((3)(5))");
    assert_eq!(threads(Refs, &orphans), "((3)(5))");
    assert_eq!(threads(References, &[]), "");
}

#[test]
fn ordered_subjects_are_threads_by_date() {
    let mut messages = [
        message(1, "1", "", "b"),
        message(2, "2", "", "Re: A"),
        message(3, "3", "", "a"),
        message(4, "4", "", ""),
        message(5, "5", "", "[x] re: B"),
        message(6, "6", "", "Re:"),
    ];
    assert_eq!(threads(OrderedSubject, &messages), "(1 5)(2 3)(4 6)");
    messages[2].date = -7;
    assert_eq!(threads(OrderedSubject, &messages), "(3 2)(1 5)(4 6)");
}

/// Section 4 of draft-ietf-morg-inthread.
#[test]
fn threads_of_refs_go_by_arrival_and_messages_within_by_date() {
    let mut messages = [
        message(1, "1", "", ""),
        message(2, "2", "", ""),
        message(3, "3", "<2@x>", ""),
        message(4, "4", "<2@x>", ""),
    ];
    for (message, (date, arrival)) in messages.iter_mut().zip([(9, 13), (1, 10), (2, 12), (3, 11)])
    {
        (message.date, message.arrival) = (date, arrival);
    }
    assert_eq!(threads(Refs, &messages), "(2 (3)(4))(1)");
}

#[test]
fn dummies_are_pruned() {
    // The only child of a chain of unknown messages; two children of different unknown messages.
    let chain = [message(1, "1", "<a@x> <b@x> <c@x>", "s")];
    assert_eq!(threads(References, &chain), "(1)");
    let two = [message(1, "1", "<a@x> <b@x>", "s"), message(2, "2", "<a@x> <c@x>", "t")];
    assert_eq!(threads(References, &two), "((1)(2))");
    let between = [message(1, "1", "", "s"), message(2, "2", "<1@x> <gone@x>", "s")];
    assert_eq!(threads(References, &between), "(1 2)");
}

#[test]
fn subjects_are_merged_as_step_5_says() {
    let plain = |number, subject| message(number, &number.to_string(), "", subject);
    // A reply to an existing message, before and after it; two originals; replies alone.
    assert_eq!(threads(References, &[plain(1, "s"), plain(2, "Re: S")]), "(1 2)");
    assert_eq!(threads(References, &[plain(1, "Re: s"), plain(2, "s")]), "(2 1)");
    assert_eq!(threads(References, &[plain(1, "s"), plain(2, "s")]), "((1)(2))");
    assert_eq!(threads(References, &[plain(1, "Fwd: s"), plain(2, "Re: s")]), "((1)(2))");
    let three = [plain(1, "s"), plain(2, "s"), plain(3, "Re: s")];
    assert_eq!(threads(References, &three), "((1)(2)(3))");
    assert_eq!(threads(References, &[plain(1, ""), plain(2, "Re:")]), "(1)(2)");
    assert_eq!(threads(Refs, &three), "(1)(2)(3)");
    // Dummies with one subject.
    let orphan = |n: u32, of: &str| message(n, &n.to_string(), &format!("<{of}@x>"), "Re: s");
    let orphans = [orphan(1, "a"), orphan(2, "a"), orphan(3, "b"), orphan(4, "b"), plain(5, "s")];
    assert_eq!(threads(References, &orphans), "((1)(2)(3)(4)(5))");
}

#[test]
fn refs_go_by_their_latest_message() {
    let messages =
        [message(1, "1", "", "a"), message(2, "2", "", "b"), message(3, "3", "<1@x>", "Re: a")];
    assert_eq!(threads(References, &messages), "(1 3)(2)");
    assert_eq!(threads(Refs, &messages), "(2)(1 3)");
}

#[test]
fn ids_are_given_out_once_and_loops_are_refused() {
    let twice = [message(1, "a", "", "s"), message(2, "a", "", "t"), message(3, "b", "<a@x>", "u")];
    assert_eq!(threads(References, &twice), "(1 3)(2)");
    let own = [message(1, "a", "<a@x>", "s")];
    assert_eq!(threads(References, &own), "(1)");
    let each_other = [message(1, "a", "<b@x>", "s"), message(2, "b", "<a@x>", "t")];
    assert_eq!(threads(References, &each_other), "(2 1)");
    let around = [message(1, "c", "<a@x> <b@x> <a@x> <c@x>", "s")];
    assert_eq!(threads(References, &around), "(1)");
    let moved = [message(1, "1", "<2@x> <3@x>", "s"), message(2, "3", "<2@x> <1@x>", "t")];
    assert_eq!(threads(References, &moved), "(2 1)");
}

#[test]
fn a_million_replies_are_one_thread() {
    const COUNT: u32 = 1_000_000;
    let id = |n: u32| message_ids(format!("<{n}@x>").as_bytes()).remove(0);
    for (down, references) in [(false, 1), (true, 1), (true, 2)] {
        let mut threader = Threader::new(References);
        for step in 0..COUNT {
            let n = if down { COUNT - 1 - step } else { step };
            // The first ancestor and the previous one, as truncated References have them; or only
            // the latter.
            let mut ancestors = Vec::new();
            if n > 1 && references == 2 {
                ancestors.push(id(0));
            }
            if n > 0 {
                ancestors.push(id(n - 1));
            }
            threader.add(&Message {
                number: step + 1,
                id: Some(id(n)),
                references: ancestors,
                subject: SubjectId::of_base("s"),
                is_reply: n > 0,
                date: i64::from(n),
                arrival: 0,
            });
        }
        let nodes = threader.finish();
        assert_eq!(nodes.len(), COUNT as usize);
        assert!((0..COUNT).zip(&nodes).all(|(depth, node)| node.depth == depth));
    }
}

#[test]
fn mail_that_asks_for_loops_takes_linear_time() {
    const COUNT: u32 = 50_000;
    let id = |n: u32| message_ids(format!("<{n}@x>").as_bytes()).remove(0);
    let mut threader = Threader::new(Refs);
    let mut add = |number: u32, own: u32, references: Vec<MessageId>| {
        let id = Some(id(own));
        let (subject, is_reply, date) = (None, false, 0);
        let arrival = 0;
        threader.add(&Message { number, id, references, subject, is_reply, date, arrival });
    };
    // A long chain whose head is put below its end again and again.
    for n in 1..COUNT {
        add(n, n, vec![id(n - 1)]);
    }
    for n in COUNT..2 * COUNT {
        add(n, n, vec![id(COUNT - 1), id(0)]);
    }
    assert_eq!(threader.finish().iter().filter(|n| n.number.is_some()).count(), 99_999);
}

fn any_message(number: u32) -> impl Strategy<Value = Message> {
    let id = |n: u32| message_ids(format!("<{n}@x>").as_bytes()).remove(0);
    (
        prop::option::weighted(0.9, 0_u32..14),
        prop::collection::vec(0_u32..16, 0..4),
        prop::option::weighted(0.8, 0_u32..4),
        any::<bool>(),
        (0_i64..5, 0_i64..5),
    )
        .prop_map(move |(own, references, subject, is_reply, (date, arrival))| Message {
            number,
            id: own.map(id),
            references: references.into_iter().map(id).collect(),
            subject: subject.and_then(|subject| SubjectId::of_base(&subject.to_string())),
            is_reply,
            date,
            arrival,
        })
}

fn any_messages() -> impl Strategy<Value = Vec<Message>> {
    (0_u32..16).prop_flat_map(|count| (1..=count).map(any_message).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn threads_are_those_of_the_rfc_to_the_letter(messages in any_messages()) {
        for algorithm in [References, Refs] {
            let mut threader = Threader::new(algorithm);
            messages.iter().for_each(|message| threader.add(message));
            let (nodes, expected) = (threader.finish(), model::threads(algorithm, &messages));
            prop_assert_eq!(shown(&nodes), shown(&expected), "{:?}", algorithm);
        }
    }
}
