//! The required content of one client's own mailboxes after a crash: the effect of all commands
//! with an OK, and of the first few commands without a reply, or none.

use std::collections::{BTreeMap, HashMap};

use kit::Client;

use crate::shadow::Opened;
use crate::state::{Mailbox, State};

/// What must be in these mailboxes, as known from the replies.
#[derive(Clone)]
pub struct Owned {
    prefix: &'static str,
    /// The states that are possible.
    possible: Vec<State>,
    /// UIDVALIDITY by [`Mailbox::birth`].
    validity: HashMap<u64, u32>,
    /// Birth by name and UIDVALIDITY: no two mailboxes share both.
    given: HashMap<(String, u32), u64>,
}

impl Owned {
    /// No mailboxes yet. All names will start with `prefix`.
    pub fn new(prefix: &'static str) -> Owned {
        let (validity, given) = (HashMap::new(), HashMap::new());
        let possible = vec![State::default()];
        Owned { prefix, possible, validity, given }
    }

    /// The state at the last check.
    pub fn state(&self) -> &State {
        &self.possible[0]
    }

    /// Sets the states that are possible now: see [`crate::changer::Changer::possible`].
    pub fn heard(&mut self, possible: Vec<State>) {
        self.possible = possible;
    }

    /// Compares it with the server.
    pub fn verify(&mut self, client: &mut Client) {
        self.hold_against(&Found::look(client, self.prefix, Opened::look));
    }

    /// Like [`Owned::verify`], with damaged octets. Returns how many messages cannot be read.
    pub fn verify_damaged(&mut self, client: &mut Client) -> usize {
        let mut lost = 0;
        let found = Found::look(client, self.prefix, |client, name| {
            let known = &self.state().mailboxes[name].mail;
            let (opened, missing) = Opened::look_at_damaged(client, name, |uid| known[&uid].id);
            lost += missing;
            opened
        });
        self.hold_against(&found);
        lost
    }

    fn hold_against(&mut self, found: &Found) {
        let differences: Vec<_> =
            self.possible.iter().map(|state| found.difference(state)).collect();
        let Some(one) = differences.iter().position(Option::is_none) else {
            panic!("after none of the commands: {differences:#?}")
        };
        let mut state = self.possible.swap_remove(one);
        for (name, mailbox) in &mut state.mailboxes {
            let opened = &found.mailboxes[name];
            mailbox.uid_next = opened.uid_next;
            let known = *self.validity.entry(mailbox.birth).or_insert(opened.validity);
            assert_eq!(known, opened.validity, "UIDVALIDITY of {name}");
            let name = (name.clone(), opened.validity);
            let birth = *self.given.entry(name).or_insert(mailbox.birth);
            assert_eq!(birth, mailbox.birth, "another mailbox of the same name and UIDVALIDITY");
        }
        self.possible = vec![state];
    }
}

/// The mailboxes and subscriptions that the server shows.
struct Found {
    mailboxes: BTreeMap<String, Opened>,
    subscribed: Vec<String>,
}

impl Found {
    fn look(
        client: &mut Client,
        prefix: &str,
        mut open: impl FnMut(&mut Client, &str) -> Opened,
    ) -> Found {
        let names = |lines: Vec<String>| {
            let real = |line: &String| !line.contains("\\No");
            let name = |line: String| line.rsplit(' ').next().unwrap().to_owned();
            let mut names: Vec<_> = lines.into_iter().filter(real).map(name).collect();
            names.sort();
            names
        };
        let subscribed = names(client.ok(&format!("LSUB \"\" {prefix}*")).texts());
        let there = names(client.ok(&format!("LIST \"\" {prefix}*")).texts());
        let mailboxes = there.into_iter().map(|name| {
            let opened = open(client, &name);
            (name, opened)
        });
        Found { mailboxes: mailboxes.collect(), subscribed }
    }

    /// The first difference from `state`.
    fn difference(&self, state: &State) -> Option<String> {
        let names: Vec<_> = state.mailboxes.keys().collect();
        let found: Vec<_> = self.mailboxes.keys().collect();
        if names != found {
            return Some(format!("there should be {names:?}, there are {found:?}"));
        }
        if !self.subscribed.iter().eq(&state.subscribed) {
            return Some(format!("subscribed: {:?}, not {:?}", self.subscribed, state.subscribed));
        }
        let mut both = state.mailboxes.iter().zip(self.mailboxes.values());
        both.find_map(|((name, mailbox), opened)| {
            differs(mailbox, opened).map(|what| format!("{name}: {what}"))
        })
    }
}

fn differs(mailbox: &Mailbox, opened: &Opened) -> Option<String> {
    if opened.uid_next < mailbox.uid_next {
        return Some(format!("UIDNEXT {}, it was {}", opened.uid_next, mailbox.uid_next));
    }
    let uids = mailbox.mail.keys().chain(opened.mail.keys());
    let mut pairs = uids.map(|uid| (uid, mailbox.mail.get(uid), opened.mail.get(uid)));
    let (uid, known, found) = pairs.find(|(_, known, found)| known != found)?;
    Some(format!("UID {uid} should be {known:?}, is {found:?}"))
}
