//! What the mailboxes of a client that alone works on them must hold after a crash: what all the
//! commands with an OK made of them, and of those without a reply some that came first.

use std::collections::{BTreeMap, HashMap};

use kit::Client;

use crate::shadow::Opened;
use crate::state::{Mailbox, State};

/// All that is known of them, from outside.
#[derive(Clone)]
pub struct Owned {
    prefix: &'static str,
    /// One of these is what is there.
    possible: Vec<State>,
    /// UIDVALIDITY by mailbox.
    validity: HashMap<u64, u32>,
    /// The mailbox by name and UIDVALIDITY: never two.
    given: HashMap<(String, u32), u64>,
}

impl Owned {
    /// Nothing is there. `prefix` begins the names.
    pub fn new(prefix: &'static str) -> Owned {
        let (validity, given) = (HashMap::new(), HashMap::new());
        let possible = vec![State::default()];
        Owned { prefix, possible, validity, given }
    }

    /// What was there when it was last looked at.
    pub fn state(&self) -> &State {
        &self.possible[0]
    }

    /// What may be there now: see [`crate::changer::Changer::possible`].
    pub fn heard(&mut self, possible: Vec<State>) {
        self.possible = possible;
    }

    /// Holds it against the server.
    pub fn verify(&mut self, client: &mut Client) {
        self.hold_against(&Found::look(client, self.prefix, Opened::look));
    }

    /// The same where octets in the log are damaged. Gives how many messages cannot be read.
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

/// What the server shows.
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

    /// The first thing that is not as in `state`.
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
