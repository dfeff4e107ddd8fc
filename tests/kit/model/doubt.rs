//! The checker can fail for commands in doubt: each place of a message has one lawful way to it.

use super::content::{Content, Sizes};
use super::unlawful::{found_from, is_wrong, model, sent};
use crate::Random;

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
