//! A disk filled by mail or by a foreign file: commands without room are refused, acknowledged mail
//! is there, and everything works again when there is room.

use std::fs;

use kit::{Folder, Image, Kind, Random, Server, USER};

use crate::changer::Changer;
use crate::load::{Style, Writer};
use crate::owned::Owned;
use crate::shadow::Shadow;

const STYLE: Style =
    Style { user: USER, mailbox: "INBOX", batch: 4, large: 400_000, ahead: 0, in_step: false };

const FLAGS: [&str; 4] = ["--segment-size", "4M", "--reactors", "2"];

#[test]
fn a_full_ext4_costs_nothing_that_was_acknowledged() {
    // By default, ext4 reserves a few blocks of a full disk for root.
    fills_up(Kind::Ext4, 128);
}

#[test]
fn a_full_xfs_costs_nothing_that_was_acknowledged() {
    fills_up(Kind::Xfs, 320);
}

fn fills_up(kind: Kind, mib: u64) {
    let Some(image) = Image::new(kind, "full", mib) else { return };
    image.fill(48 << 20);
    let mut store = Store::new(image.folder());
    let server = store.start();

    let mut hands = store.hands(&server);
    while hands.writer.refused() == 0 {
        hands.writer.work(1);
    }
    hands.changer.work(60);
    store.verify(&server, hands);

    // Now a foreign file takes the rest. Marking, moving and removing mail still works.
    image.fill(0);
    let mut hands = store.hands(&server);
    // The current segment may still have room for some smaller batches.
    while hands.writer.refused() == 0 {
        hands.writer.work(1);
    }
    hands.changer.work(200);
    assert_eq!(hands.changer.refused_changes, 0, "a change of what is there was refused");
    let (batches, changes) = (hands.writer.sent.len(), hands.changer.refused);
    println!("{kind:?} full: batch {batches} and {changes} of 200 changes were refused");
    store.verify(&server, hands);

    // A refused client can retry in its session.
    let mut hands = store.hands(&server);
    image.empty();
    store.works(&mut hands);
    image.fill(0);
    hands.writer.work(10);
    store.verify(&server, hands);

    // A start works, and so do reading and changes of existing mail. Without a catalog, too: the
    // new one takes the room of the old one.
    server.kill();
    store.works_without_mail();
    fs::remove_file(store.folder.catalog()).unwrap();
    store.works_without_mail();
    image.empty();
    let server = store.start();
    let hands = store.hands(&server);
    store.verify(&server, hands);
    image.fill(0);
    assert!(server.terminate().success(), "the last checkpoint failed, no more than that");
    store.works_without_mail();

    image.empty();
    let server = store.start();
    let mut hands = store.hands(&server);
    store.works(&mut hands);
    store.verify(&server, hands);
}

/// A data folder and the mail that must be there.
struct Store {
    folder: Folder,
    shadow: Shadow,
    owned: Owned,
    random: Random,
    next: u64,
}

/// Clients at work.
struct Hands {
    writer: Writer,
    changer: Changer,
}

impl Store {
    fn new(folder: Folder) -> Store {
        let (shadow, owned) = (Shadow::default(), Owned::new("c0"));
        Store { folder, shadow, owned, random: Random::seeded(), next: 0 }
    }

    fn start(&self) -> Server {
        Server::with(&self.folder, &FLAGS)
    }

    fn hands(&mut self, server: &Server) -> Hands {
        self.next += 1 << 32;
        let random = Random::new(self.random.number());
        let mut writer = Writer::new(server.address(), STYLE, random, self.next);
        writer.may_fail = true;
        let (state, random) = (self.owned.state().clone(), Random::new(self.random.number()));
        let (client, next) = (server.login(), self.next + (1 << 24));
        let mut changer = Changer::new(client, "c0", state, Vec::new(), random, next);
        changer.may_fail = true;
        Hands { writer, changer }
    }

    /// Checks that nothing is refused.
    fn works(&self, hands: &mut Hands) {
        let before = (hands.writer.refused(), hands.changer.refused);
        hands.writer.work(10);
        hands.changer.work(60);
        assert_eq!((hands.writer.refused(), hands.changer.refused), before, "refused with room");
    }

    /// Checks that everything acknowledged can be read.
    fn verify(&mut self, server: &Server, hands: Hands) {
        self.shadow.heard(&hands.writer);
        self.owned.heard(hands.changer.possible());
        drop(hands);
        self.look(server);
    }

    fn look(&mut self, server: &Server) {
        self.shadow.verify(&mut server.login(), "INBOX");
        self.owned.verify(&mut server.login());
    }

    /// Starts a server, checks that all mail can be read and changed, and kills it.
    fn works_without_mail(&mut self) {
        let server = self.start();
        let mut hands = self.hands(&server);
        hands.changer.work(60);
        assert_eq!(hands.changer.refused_changes, 0, "a change of what is there was refused");
        self.verify(&server, hands);
        server.kill();
    }
}
