//! Tests of keyword tables.

use super::*;
use crate::index::codec::{Fields, Row};
use crate::limits::{KEYWORD_OCTETS, KEYWORD_OCTETS_OF_ACCOUNT, KEYWORD_TEXT, KEYWORDS};
use std::collections::HashSet;

fn words(words: &[&str]) -> Vec<Keyword> {
    words.iter().map(|word| Keyword::new(word.as_bytes()).unwrap()).collect()
}

fn intern(table: &mut Keywords, keywords: &[&str]) -> KeywordSet {
    let set = table.intern(&words(keywords).into(), &mut Translation::default()).unwrap();
    table.used(set, 1);
    set
}

/// Applies a change to a set and compares [`Keywords::keeps`] with the result.
fn change(
    table: &mut Keywords,
    set: KeywordSet,
    change: FlagChange,
    keywords: &[&str],
) -> KeywordSet {
    let keeps = table.keeps(set, &table.look_up(change, &words(keywords)));
    let prepared = table.prepare(change, &words(keywords)).unwrap();
    let changed = table.change(set, &prepared);
    table.used(changed, 1);
    assert_eq!(keeps, changed == set);
    changed
}

fn names(table: &Keywords, set: KeywordSet) -> Vec<&str> {
    table.of(set).map(Keyword::as_str).collect()
}

#[test]
fn sets_do_not_depend_on_order_or_case() {
    let mut table = Keywords::default();
    let set = intern(&mut table, &["$Junk", "work"]);
    assert_eq!(intern(&mut table, &["WORK", "$junk"]), set);
    assert_eq!(names(&table, set), ["$Junk", "work"]);
    let number = table.number(&words(&["Work"])[0]).unwrap();
    assert!(table.has(set, number) && !table.has(KeywordSet(0), number));
    assert_eq!(intern(&mut table, &[]), KeywordSet(0));
    assert_eq!(names(&table, KeywordSet(0)), [""; 0]);
}

#[test]
fn sets_change_as_store_says() {
    let mut table = Keywords::default();
    let set = intern(&mut table, &["a", "b"]);
    let more = change(&mut table, set, FlagChange::Add, &["c", "A"]);
    assert_eq!(names(&table, more), ["a", "b", "c"]);
    let fewer = change(&mut table, more, FlagChange::Remove, &["A", "c", "x"]);
    assert_eq!(names(&table, fewer), ["b"]);
    assert_eq!(change(&mut table, fewer, FlagChange::Remove, &["b"]), KeywordSet(0));
    let other = change(&mut table, fewer, FlagChange::Replace, &["z"]);
    assert_eq!(names(&table, other), ["z"]);
    assert_eq!(table.all().len(), 4, "removing makes no keyword");
}

#[test]
fn tables_that_contradict_themselves_are_rot() {
    let cases: [(&[&str], &[&[u8]]); 7] = [
        (&["a", "A"], &[]),
        (&["a"], &[]),
        (&["a"], &[&[2]]),
        (&["a"], &[&[1], &[1]]),
        (&["a"], &[&[]]),
        (&["a"], &[&[0]]),
        (&["a"], &[&[1, 0]]),
    ];
    for (names, sets) in cases {
        let mut row = Row::default();
        row.u16(names.len() as u16);
        names.iter().for_each(|name| row.text(name));
        row.u32(sets.len() as u32);
        for set in sets {
            row.u16(set.len() as u16);
            row.octets(set);
            row.u32(1);
        }
        let row = row.seal();
        assert!(Keywords::decode(&mut Fields::open(&row).unwrap()).is_err(), "{names:?} {sets:?}");
    }
}

#[test]
fn there_is_an_end_to_keywords() {
    let mut table = Keywords::default();
    for i in 0..KEYWORDS {
        assert!(table.admit(&words(&[&format!("k{i}")])).is_some());
    }
    let octets = table.octets();
    assert_eq!(table.admit(&words(&["k9", "one-more"])), None);
    assert_eq!((table.octets(), table.by_name.len()), (octets, KEYWORDS));
    let two = table.admit(&words(&["K7", "k8"])).unwrap();
    assert_eq!(names(&table, two), ["k7", "k8"]);
    assert!(!table.admit_change(&HashSet::from([two]), FlagChange::Add, &words(&["new"])));
    assert!(table.admit_change(&HashSet::from([two]), FlagChange::Add, &words(&["k1"])));
}

#[test]
fn there_is_an_end_to_the_text_of_keywords() {
    let mut table = Keywords::default();
    let long = |n: usize| format!("{n:0>255}");
    let fit = KEYWORD_TEXT / 255;
    assert!((0..fit).all(|n| table.admit(&words(&[&long(n)])).is_some()));
    assert_eq!(table.admit(&words(&[&long(fit)])), None);
    assert!(table.admit(&words(&["k"])).is_some());
}

/// Fills mailboxes with sets of about a thousand keywords: the mailbox has a limit, and so has the
/// account.
#[test]
fn there_is_an_end_to_sets() {
    let account = Arc::<AtomicUsize>::default();
    let filled = || {
        let mut table = Keywords::default();
        table.belongs_to(&account);
        let all: Vec<String> = (0..1_000).map(|n| format!("k{n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let half = table.admit(&words(&all[..980])).unwrap();
        let more = &all[980..];
        let mut sets = 0_u32;
        // Each bit of the number is a keyword of the last twenty.
        let each = |n: u32| {
            let chosen = (0..20).filter(|bit| n & 1 << bit != 0).map(|bit| more[bit]);
            words(&chosen.collect::<Vec<_>>())
        };
        while table.admit_change(&HashSet::from([half]), FlagChange::Add, &each(sets + 1)) {
            sets += 1;
        }
        (table, sets)
    };
    let (first, sets) = filled();
    assert!((90_000..110_000).contains(&sets), "{sets}");
    assert!(first.octets() <= KEYWORD_OCTETS);
    let others: Vec<_> = (0..3).map(|_| filled()).collect();
    let all = first.octets() + others.iter().map(|(table, _)| table.octets()).sum::<usize>();
    assert!(all <= KEYWORD_OCTETS_OF_ACCOUNT, "{all}");
    assert_eq!(account.load(Ordering::Relaxed), all);
    let mut one_more = Keywords::default();
    one_more.belongs_to(&account);
    let many: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(one_more.admit(&words(&many)), None);
    drop((first, others, one_more));
    assert_eq!(account.load(Ordering::Relaxed), 0);
}

#[test]
fn lists_of_other_tables_are_translated() {
    let mut from = Keywords::default();
    let sets = [intern(&mut from, &["a", "b"]), intern(&mut from, &["c", "A"])];
    let lists = sets.map(|set| from.list(set));
    let (mut table, mut by) = (Keywords::default(), Translation::default());
    intern(&mut table, &["C"]);
    for _ in 0..2 {
        let found = [&lists[0], &lists[1]].map(|list| table.intern(list, &mut by).unwrap());
        assert_eq!(found.map(|set| names(&table, set)), [vec!["a", "b"], vec!["C", "a"]]);
    }
    assert_eq!(table.list(KeywordSet(2)), lists[0]);
    assert_eq!(table.list(KeywordSet(0)), KeywordList::default());
}

/// Adds and removes one message with these keywords.
fn once(table: &mut Keywords, keywords: &[&str]) {
    let set = intern(table, keywords);
    table.released(set).unwrap();
}

#[test]
fn what_no_message_has_makes_room() {
    let mut table = Keywords::default();
    let kept = intern(&mut table, &["kept", "both"]);
    for i in 1..KEYWORDS - 1 {
        once(&mut table, &[&format!("k{i}"), "both"]);
    }
    // Dead names do not count, and keep their numbers.
    assert_eq!(table.all(), words(&["kept", "both"]));
    assert!(table.takes_more() && table.has_room_for(&words(&["x"])));
    let dead = table.number(&words(&["k1"])[0]).unwrap();
    let new = table.admit(&words(&["new"])).unwrap();
    assert_ne!(table.number(&words(&["new"])[0]), Some(dead));
    assert_eq!(table.all(), words(&["kept", "both"]), "no message has it yet");
    table.used(new, 1);
    let (before, version) = (table.octets(), table.version());
    table.collect();
    assert!(table.octets() < before / 2);
    let numbers = table.names.len();
    assert_eq!((table.all(), table.version()), (words(&["kept", "both", "new"]), version));
    assert_eq!((names(&table, kept), names(&table, new)), (vec!["kept", "both"], vec!["new"]));
    let next = intern(&mut table, &["next", "KEPT"]);
    assert_eq!(names(&table, next), ["kept", "next"]);
    assert_eq!(table.by_name.len(), 4);
    assert_eq!(table.names.len(), numbers, "numbers are used again");
}

#[test]
fn dead_keywords_that_cannot_be_collected_have_an_end() {
    let mut table = Keywords::default();
    for i in 0..4 * KEYWORDS {
        once(&mut table, &[&format!("k{i}")]);
    }
    assert!(table.is_crowded() && !table.takes_more());
    assert_eq!(table.admit(&words(&["new"])), None);
    // A dead name still has its number.
    assert!(table.admit(&words(&["k7"])).is_some());
    table.collect();
    assert!(table.takes_more() && table.admit(&words(&["new"])).is_some());
    assert_eq!(table.by_name.len(), 1);
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let mut table = Keywords::default();
    for i in 0..KEYWORDS - 1 {
        intern(&mut table, &[&format!("k{i}")]);
    }
    once(&mut table, &["dead"]);
    let before = table.octets();
    assert_eq!(table.admit(&words(&["k1", "new", "newer"])), None);
    assert_eq!(table.admit(&words(&["dead", "new"])), None);
    assert!(!table.admit_all(&[words(&["new"]).into(), words(&["newer"]).into()]));
    assert_eq!((table.octets(), table.held.names), (before, KEYWORDS - 1));
    assert!(table.takes_more());
    assert!(table.admit(&words(&["new"])).is_some());
    assert!(!table.takes_more() && !table.has_room_for(&words(&["dead"])));
}

/// After any sequence of operations the counts are those of the messages, and the table can be
/// written and read back.
#[test]
fn counts_are_those_of_the_messages() {
    let mut random = crate::reactor::simulation::Random::new(7);
    for _ in 0..200 {
        let (mut table, mut messages) = (Keywords::default(), Vec::<KeywordSet>::new());
        for _ in 0..random.below(60) {
            let some: Vec<String> =
                (0..random.below(4)).map(|_| format!("k{}", random.below(9))).collect();
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            match random.below(5) {
                0 if !messages.is_empty() => {
                    let index = random.below(messages.len());
                    table.released(messages.swap_remove(index)).unwrap();
                }
                1 => table.collect(),
                2 => {
                    let _ = table.admit(&words(&some));
                }
                _ => messages.push(intern(&mut table, &some)),
            }
            let mut expected: Vec<_> =
                messages.iter().flat_map(|&set| names(&table, set)).map(str::to_owned).collect();
            expected.sort_unstable();
            expected.dedup();
            let mut live: Vec<_> =
                table.all().iter().map(|name| name.as_str().to_owned()).collect();
            live.sort_unstable();
            assert_eq!(live, expected);
            let mut row = Row::default();
            table.encode(&mut row);
            let row = row.seal();
            let mut fields = Fields::open(&row).unwrap();
            let read = Keywords::decode(&mut fields).unwrap();
            fields.end().unwrap();
            for &set in &messages {
                assert!(read.exists(set));
                assert_eq!(names(&read, set), names(&table, set));
                assert_eq!(read.sets.uses(set.0), table.sets.uses(set.0));
            }
            assert!(!read.exists(KeywordSet(read.sets.len() as u32 + 1)));
            assert_eq!((read.all(), read.by_name.len()), (table.all(), live.len()));
        }
    }
}
