//! The state of mailboxes that only one client uses, and the effect of its commands on it.

use std::collections::{BTreeMap, BTreeSet};

use kit::{Message, append_text, set};

use crate::load::Id;

/// A message and its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub id: Id,
    pub flags: BTreeSet<String>,
}

/// One mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Number of the CREATE that made it: a mailbox created again under its name is another one.
    pub birth: u64,
    pub uid_next: u32,
    pub mail: BTreeMap<u32, Mail>,
}

/// All mailboxes by name, and the subscribed names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub mailboxes: BTreeMap<String, Mailbox>,
    pub subscribed: BTreeSet<String>,
}

/// A successful command.
#[derive(Clone, Debug)]
pub enum Change {
    Create {
        name: String,
        birth: u64,
    },
    Delete {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Subscribe {
        name: String,
    },
    Unsubscribe {
        name: String,
    },
    Append {
        to: String,
        ids: Vec<Id>,
    },
    Select {
        name: String,
    },
    /// Copies these messages of an INBOX, from which no client removes any.
    Take {
        messages: Vec<(u32, Id)>,
        to: String,
    },
    Copy {
        from: String,
        uids: Vec<u32>,
        to: String,
    },
    Move {
        from: String,
        uids: Vec<u32>,
        to: String,
    },
    Store {
        name: String,
        uids: Vec<u32>,
        how: &'static str,
        flags: Vec<&'static str>,
    },
    /// Restricted to these UIDs, or of the whole mailbox.
    Expunge {
        name: String,
        uids: Option<Vec<u32>>,
    },
    Close {
        name: String,
    },
}

impl Mail {
    /// The message as appended.
    pub fn new(id: Id) -> Mail {
        Mail { id, flags: owned(id.flags()) }
    }

    fn is_deleted(&self) -> bool {
        self.flags.contains("\\Deleted")
    }
}

impl State {
    /// The state after the command, and the UIDs that the command assigns, as APPENDUID and COPYUID
    /// write them.
    pub fn after(&self, change: &Change) -> (State, Option<String>) {
        let mut state = self.clone();
        let uids = state.change(change);
        (state, uids)
    }

    fn change(&mut self, change: &Change) -> Option<String> {
        match change {
            Change::Create { name, birth } => {
                let made = Mailbox { birth: *birth, uid_next: 1, mail: BTreeMap::new() };
                assert_eq!(self.mailboxes.insert(name.clone(), made), None);
            }
            Change::Delete { name } => {
                self.mailboxes.remove(name).unwrap();
            }
            Change::Rename { from, to } => {
                for name in self.within(from) {
                    let mailbox = self.mailboxes.remove(&name).unwrap();
                    self.mailboxes.insert(format!("{to}{}", &name[from.len()..]), mailbox);
                }
            }
            Change::Subscribe { name } => _ = self.subscribed.insert(name.clone()),
            Change::Unsubscribe { name } => _ = self.subscribed.remove(name),
            Change::Select { .. } => {}
            Change::Append { to, ids } => {
                return self.bring(to, ids.iter().map(|id| Mail::new(*id)).collect());
            }
            Change::Take { messages, to } => {
                return self.bring(to, messages.iter().map(|(_, id)| Mail::new(*id)).collect());
            }
            Change::Copy { from, uids, to } => {
                let mail = uids.iter().map(|uid| self.mailboxes[from].mail[uid].clone()).collect();
                return self.bring(to, mail);
            }
            Change::Move { from, uids, to } => {
                let source = &mut self.mailbox(from).mail;
                let mail = uids.iter().map(|uid| source.remove(uid).unwrap()).collect();
                return self.bring(to, mail);
            }
            Change::Store { name, uids, how, flags } => {
                let flags = owned(flags);
                for uid in uids {
                    let own = &mut self.mailbox(name).mail.get_mut(uid).unwrap().flags;
                    *own = match *how {
                        "+" => own.union(&flags).cloned().collect(),
                        "-" => own.difference(&flags).cloned().collect(),
                        _ => flags.clone(),
                    };
                }
            }
            Change::Expunge { name, uids } => {
                let named = |uid: &u32| uids.as_ref().is_none_or(|uids| uids.contains(uid));
                self.mailbox(name).mail.retain(|uid, mail| !(mail.is_deleted() && named(uid)));
            }
            Change::Close { name } => self.mailbox(name).mail.retain(|_, mail| !mail.is_deleted()),
        }
        None
    }

    /// The names of a mailbox and of all below it.
    pub fn within(&self, name: &str) -> Vec<String> {
        let below = format!("{name}/");
        let within = self.mailboxes.keys().filter(|own| *own == name || own.starts_with(&below));
        within.cloned().collect()
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.mailboxes.values().map(|mailbox| mailbox.mail.len()).sum()
    }

    fn mailbox(&mut self, name: &str) -> &mut Mailbox {
        self.mailboxes.get_mut(name).unwrap()
    }

    fn bring(&mut self, to: &str, mail: Vec<Mail>) -> Option<String> {
        let target = self.mailbox(to);
        let first = target.uid_next;
        target.uid_next += mail.len() as u32;
        let last = target.uid_next - 1;
        target.mail.extend((first..).zip(mail));
        Some(if first == last { first.to_string() } else { format!("{first}:{last}") })
    }
}

impl Change {
    /// The text of the command.
    pub fn text(&self, tag: &str) -> Vec<u8> {
        let command = match self {
            Change::Append { to, ids } => return append(tag, to, ids),
            Change::Create { name, .. } => format!("CREATE {name}"),
            Change::Delete { name } => format!("DELETE {name}"),
            Change::Rename { from, to } => format!("RENAME {from} {to}"),
            Change::Subscribe { name } => format!("SUBSCRIBE {name}"),
            Change::Unsubscribe { name } => format!("UNSUBSCRIBE {name}"),
            Change::Select { name } => format!("SELECT {name}"),
            Change::Take { messages, to } => {
                let uids: Vec<u32> = messages.iter().map(|(uid, _)| *uid).collect();
                format!("UID COPY {} {to}", set(&uids))
            }
            Change::Copy { uids, to, .. } => format!("UID COPY {} {to}", set(uids)),
            Change::Move { uids, to, .. } => format!("UID MOVE {} {to}", set(uids)),
            Change::Store { uids, how, flags, .. } => {
                format!("UID STORE {} {how}FLAGS ({})", set(uids), flags.join(" "))
            }
            Change::Expunge { uids: Some(uids), .. } => format!("UID EXPUNGE {}", set(uids)),
            Change::Expunge { uids: None, .. } => "EXPUNGE".into(),
            Change::Close { .. } => "CLOSE".into(),
        };
        format!("{tag} {command}\r\n").into_bytes()
    }
}

fn append(tag: &str, to: &str, ids: &[Id]) -> Vec<u8> {
    let texts: Vec<_> = ids.iter().map(|id| (id.options(), id.octets())).collect();
    let messages: Vec<_> =
        texts.iter().map(|(options, octets)| Message { options, octets }).collect();
    append_text(tag, to, &messages)
}

fn owned(flags: &[&str]) -> BTreeSet<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}
