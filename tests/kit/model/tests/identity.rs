//! EMAILIDs that a server must not give.

use super::unlawful::{Desk, at_desk, is_wrong, model, sent};

#[test]
fn a_message_keeps_its_emailid() {
    let one =
        |email: &str| format!("* 1 FETCH (UID 5 FLAGS () MODSEQ (3) EMAILID ({email}))\n% OK -");
    let model = model();
    at_desk(&model, 1, async |desk| {
        desk.fetch(&[], &one("Ma")).await.unwrap();
        desk.fetch(&[5], &one("Ma")).await.unwrap();
    });
    at_desk(&model, 1, async |desk| {
        is_wrong(desk.fetch(&[5], &one("Mb")).await, "has EMAILID Mb, and had Ma");
    });
}

#[test]
fn a_copy_has_the_emailid_of_its_original() {
    let told = |uids: [u32; 2], emails: [&str; 2]| {
        let one = |at: usize| {
            let (number, uid, email) = (at + 1, uids[at], emails[at]);
            format!("* {number} FETCH (UID {uid} FLAGS () MODSEQ (3) EMAILID ({email}))\n")
        };
        format!("{}{}% OK -", one(0), one(1))
    };
    let copy = |desk: &Desk<'_>, from: u32, to: u32| {
        let mut model = desk.model.borrow_mut();
        let op = model.copy((0, 7), vec![from], &"INBOX".into(), false);
        model.copied(op, (Some(7), true), &[from], &[to])
    };
    for (email, about) in [("Ma", ""), ("Mb", "the EMAILID is")] {
        at_desk(&model(), 2, async |desk| {
            desk.fetch(&[], &told([5, 6], ["Ma", email])).await.unwrap();
            match copy(desk, 5, 6) {
                Ok(()) => assert_eq!(about, ""),
                wrong => is_wrong(wrong.map_err(|stop| format!("{stop:?}")), about),
            }
        });
    }
    // The copy is acknowledged before any EMAILID is known.
    for (email, about) in [("Ma", ""), ("Mb", "has EMAILID Ma, and had Mb")] {
        at_desk(&model(), 2, async |desk| {
            desk.fetch(&[], "* 1 FETCH (UID 5 FLAGS () MODSEQ (3))\n% OK -").await.unwrap();
            copy(desk, 5, 12).unwrap();
            desk.fetch(&[], &told([5, 12], ["Ma", email])).await.unwrap();
            match desk.model.borrow_mut().compare_identities(0) {
                Ok(()) => assert_eq!(about, ""),
                wrong => is_wrong(wrong.map_err(|stop| format!("{stop:?}")), about),
            }
        });
    }
}

#[test]
fn appended_messages_share_no_emailid() {
    for (email, about) in [("Mb", ""), ("Ma", "EMAILID Ma was given to")] {
        at_desk(&model(), 2, async |desk| {
            let (op, _) = sent(&desk.model, 2);
            desk.model.borrow_mut().appended(op, 7, &[12, 13]).unwrap();
            for (uid, email) in [(12, "Ma"), (13, email)] {
                desk.model.borrow_mut().identified((0, 7, uid), email).unwrap();
            }
            match desk.model.borrow_mut().compare_identities(0) {
                Ok(()) => assert_eq!(about, ""),
                wrong => is_wrong(wrong.map_err(|stop| format!("{stop:?}")), about),
            }
        });
    }
}
