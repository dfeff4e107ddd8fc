//! Commands as a client would write them: the inverse of the parser.

mod keys;

use imap::protocol::{
    BodySection, Command, Create, Depth, Fetch, FetchItem, GetMetadata, List, MailboxName,
    NameError, Partial, PartialRange, SectionText, Select, SetMetadata, StatusItem, Store, Tagged,
};
use imap::types::FlagChange;

/// The command with its line end. `None` when the parser refused a part of it and kept nothing.
pub fn command(tagged: &Tagged, utf8: bool) -> Option<Vec<u8>> {
    let mut out = Printer { out: Vec::new(), utf8 };
    out.text(tagged.tag.as_str());
    out.command(&tagged.command)?;
    out.text("\r\n");
    Some(out.out)
}

struct Printer {
    out: Vec<u8>,
    utf8: bool,
}

impl Printer {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn word(&mut self, word: impl std::fmt::Display) {
        self.text(&format!(" {word}"));
    }

    /// A string of arbitrary octets, after a space.
    fn string(&mut self, octets: &[u8]) {
        assert!(!octets.contains(&0), "a NUL in a string");
        if octets.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
            self.text(&format!(" {{{}+}}\r\n", octets.len()));
            self.out.extend_from_slice(octets);
            return;
        }
        self.text(" \"");
        for &octet in octets {
            if matches!(octet, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(octet);
        }
        self.text("\"");
    }

    fn name(&mut self, name: &Result<MailboxName, NameError>, end: &str) -> Option<()> {
        let name = name.as_ref().ok()?;
        let wire = if self.utf8 { name.as_str().to_owned() } else { name.to_wire() };
        self.string([&wire, end].concat().as_bytes());
        Some(())
    }

    /// A list in parentheses; each item writes a space before it.
    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.text(" (");
        for one in items {
            item(self, one);
        }
        self.text(")");
    }

    fn command(&mut self, command: &Command) -> Option<()> {
        match command {
            Command::Capability => self.word("CAPABILITY"),
            Command::Noop => self.word("NOOP"),
            Command::Logout => self.word("LOGOUT"),
            Command::StartTls => self.word("STARTTLS"),
            Command::Namespace => self.word("NAMESPACE"),
            Command::Close => self.word("CLOSE"),
            Command::Unselect => self.word("UNSELECT"),
            Command::Check => self.word("CHECK"),
            Command::Idle => self.word("IDLE"),
            Command::Unauthenticate => self.word("UNAUTHENTICATE"),
            Command::Id(fields) => self.id(fields),
            Command::Login { user, password } => {
                self.word("LOGIN");
                self.string(user);
                self.string(&password.0);
            }
            Command::Authenticate { mechanism, initial } => {
                self.word("AUTHENTICATE");
                self.word(mechanism);
                if let Some(initial) = initial {
                    self.word(base64(&initial.0));
                }
            }
            Command::Enable(names) => {
                self.word("ENABLE");
                names.iter().for_each(|name| self.word(name));
            }
            Command::CancelUpdate(tags) => {
                self.word("CANCELUPDATE");
                tags.iter().for_each(|tag| self.string(tag));
            }
            Command::Search(search) => self.search(search),
            Command::Sort(sort) => self.sort(sort),
            Command::Thread(thread) => self.thread(thread),
            Command::Fetch(fetch) => self.fetch(fetch),
            Command::Store(store) => return self.store(store),
            Command::Expunge(None) => self.word("EXPUNGE"),
            Command::Expunge(Some(set)) => self.word(format!("UID EXPUNGE {set}")),
            other => return self.on_mailbox(other),
        }
        Some(())
    }

    fn on_mailbox(&mut self, command: &Command) -> Option<()> {
        match command {
            Command::List(list) => self.list_command(list),
            Command::Lsub { reference, pattern } => {
                self.word("LSUB");
                self.string(reference);
                self.string(pattern);
            }
            Command::Create(create) => return self.create(create),
            Command::Subscribe(name) => {
                self.word("SUBSCRIBE");
                self.name(name, "")?;
            }
            Command::Unsubscribe(name) => {
                self.word("UNSUBSCRIBE");
                self.name(name, "")?;
            }
            Command::Delete(name) => {
                self.word("DELETE");
                self.name(name, "")?;
            }
            Command::Rename { from, to } => {
                self.word("RENAME");
                self.name(from, "")?;
                self.name(to, "")?;
            }
            Command::Status { mailbox, items } => {
                self.word("STATUS");
                self.name(mailbox, "")?;
                self.status_items(items);
            }
            Command::GetMetadata(get) => return self.get_metadata(get),
            Command::SetMetadata(set) => return self.set_metadata(set),
            Command::Select(select) => {
                self.word("SELECT");
                return self.select(select);
            }
            Command::Examine(select) => {
                self.word("EXAMINE");
                return self.select(select);
            }
            Command::Copy { uid, set, mailbox } => {
                self.verb(*uid, "COPY");
                self.word(set);
                self.name(mailbox, "")?;
            }
            Command::Move { uid, set, mailbox } => {
                self.verb(*uid, "MOVE");
                self.word(set);
                self.name(mailbox, "")?;
            }
            other => panic!("nobody writes {other:?}"),
        }
        Some(())
    }

    fn verb(&mut self, uid: bool, verb: &str) {
        if uid {
            self.word("UID");
        }
        self.word(verb);
    }

    fn id(&mut self, fields: &[(Vec<u8>, Option<Vec<u8>>)]) {
        self.word("ID");
        self.list(fields, |out, (name, value)| {
            out.string(name);
            match value {
                Some(value) => out.string(value),
                None => out.word("NIL"),
            }
        });
    }

    fn status_items(&mut self, items: &[StatusItem]) {
        self.list(items, |out, item| out.word(item.name()));
    }

    fn list_command(&mut self, list: &List) {
        let options = |all: &[(bool, &'static str)]| -> Vec<&'static str> {
            all.iter().filter(|(set, _)| *set).map(|&(_, name)| name).collect()
        };
        self.word("LIST");
        let selection = options(&[
            (list.selection.subscribed, "SUBSCRIBED"),
            (list.selection.remote, "REMOTE"),
            (list.selection.recursive_match, "RECURSIVEMATCH"),
            (list.selection.special_use, "SPECIAL-USE"),
        ]);
        if list.extended {
            self.list(selection, |out, option| out.word(option));
        }
        self.string(&list.reference);
        match list.patterns.as_slice() {
            [pattern] => self.string(pattern),
            patterns => self.list(patterns, |out, pattern| out.string(pattern)),
        }
        if list.extended {
            self.word("RETURN (");
            let returns = options(&[
                (list.returns.subscribed, "SUBSCRIBED"),
                (list.returns.children, "CHILDREN"),
                (list.returns.special_use, "SPECIAL-USE"),
            ]);
            returns.into_iter().for_each(|option| self.word(option));
            if !list.returns.status.is_empty() {
                self.word("STATUS");
                self.status_items(&list.returns.status);
            }
            self.text(")");
        }
    }

    fn create(&mut self, create: &Create) -> Option<()> {
        if create.unknown_use.is_some() {
            return None;
        }
        self.word("CREATE");
        self.name(&create.mailbox, if create.parent { "/" } else { "" })?;
        if !create.special_use.is_empty() {
            self.word("(USE");
            self.list(create.special_use.names(), |out, name| out.word(name));
            self.text(")");
        }
        Some(())
    }

    /// A mailbox, or the server.
    fn annotated(&mut self, mailbox: &Result<MailboxName, NameError>) -> Option<()> {
        if *mailbox == Err(NameError::Empty) {
            self.string(b"");
            return Some(());
        }
        self.name(mailbox, "")
    }

    fn get_metadata(&mut self, get: &GetMetadata) -> Option<()> {
        self.word("GETMETADATA (DEPTH");
        self.word(match get.depth {
            Depth::Zero => "0",
            Depth::One => "1",
            Depth::Infinity => "infinity",
        });
        if let Some(octets) = get.max_size {
            self.word(format!("MAXSIZE {octets}"));
        }
        self.text(")");
        self.annotated(&get.mailbox)?;
        self.list(&get.entries, |out, entry| out.string(entry.as_bytes()));
        Some(())
    }

    fn set_metadata(&mut self, set: &SetMetadata) -> Option<()> {
        self.word("SETMETADATA");
        self.annotated(&set.mailbox)?;
        self.list(&set.entries, |out, (entry, value)| {
            out.string(entry.as_bytes());
            match value {
                Some(octets) => {
                    out.text(&format!(" ~{{{}+}}\r\n", octets.len()));
                    out.out.extend_from_slice(octets);
                }
                None => out.word("NIL"),
            }
        });
        Some(())
    }

    fn select(&mut self, select: &Select) -> Option<()> {
        if select.unknown.is_some() {
            return None;
        }
        self.name(&select.mailbox, "")?;
        self.text(" (");
        if select.condstore {
            self.word("CONDSTORE");
        }
        if let Some(known) = &select.qresync {
            self.word(format!("QRESYNC ({} {}", known.validity, known.modseq));
            if let Some(set) = &known.known {
                self.word(set);
            }
            if let Some((numbers, uids)) = &known.matched {
                self.word(format!("({numbers} {uids})"));
            }
            self.text(")");
        }
        self.text(")");
        Some(())
    }

    fn fetch(&mut self, fetch: &Fetch) {
        self.verb(fetch.uid, "FETCH");
        self.word(&fetch.set);
        self.list(&fetch.items, |out, item| out.fetch_item(item));
        self.text(" (");
        if let Some(modseq) = fetch.changed_since {
            self.word(format!("CHANGEDSINCE {modseq}"));
        }
        if fetch.vanished {
            self.word("VANISHED");
        }
        if let Some(partial) = fetch.partial {
            self.partial_range(partial);
        }
        self.text(")");
    }

    fn fetch_item(&mut self, item: &FetchItem) {
        let dotted = |part: &[u32]| part.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        match item {
            FetchItem::Uid => self.word("UID"),
            FetchItem::Flags => self.word("FLAGS"),
            FetchItem::InternalDate => self.word("INTERNALDATE"),
            FetchItem::Size => self.word("RFC822.SIZE"),
            FetchItem::ModSeq => self.word("MODSEQ"),
            FetchItem::EmailId => self.word("EMAILID"),
            FetchItem::ThreadId => self.word("THREADID"),
            FetchItem::SaveDate => self.word("SAVEDATE"),
            FetchItem::Preview { lazy: true } => self.word("PREVIEW (LAZY)"),
            FetchItem::Preview { lazy: false } => self.word("PREVIEW"),
            FetchItem::Envelope => self.word("ENVELOPE"),
            FetchItem::Body => self.word("BODY"),
            FetchItem::BodyStructure => self.word("BODYSTRUCTURE"),
            FetchItem::Rfc822 => self.word("RFC822"),
            FetchItem::Rfc822Header => self.word("RFC822.HEADER"),
            FetchItem::Rfc822Text => self.word("RFC822.TEXT"),
            FetchItem::Section(section) => self.section(section, &dotted(&section.section.part)),
            FetchItem::Binary(binary) => {
                let peek = if binary.peek { ".PEEK" } else { "" };
                self.word(format!("BINARY{peek}[{}]", dotted(&binary.part)));
                self.partial(binary.partial);
            }
            FetchItem::BinarySize(part) => self.word(format!("BINARY.SIZE[{}]", dotted(part))),
        }
    }

    fn section(&mut self, section: &BodySection, part: &str) {
        let peek = if section.peek { ".PEEK" } else { "" };
        self.word(format!("BODY{peek}[{part}"));
        if !part.is_empty() && section.section.text.is_some() {
            self.text(".");
        }
        match &section.section.text {
            None => {}
            Some(SectionText::Header) => self.text("HEADER"),
            Some(SectionText::Text) => self.text("TEXT"),
            Some(SectionText::Mime) => self.text("MIME"),
            Some(SectionText::HeaderFields { not, names }) => {
                self.text(if *not { "HEADER.FIELDS.NOT" } else { "HEADER.FIELDS" });
                self.list(names, |out, name| out.string(name));
            }
        }
        self.text("]");
        self.partial(section.partial);
    }

    fn partial(&mut self, partial: Option<Partial>) {
        if let Some(Partial { offset, length }) = partial {
            self.text(&format!("<{offset}.{length}>"));
        }
    }

    fn partial_range(&mut self, range: PartialRange) {
        let minus = if range.from_end { "-" } else { "" };
        self.word(format!("PARTIAL {minus}{}:{minus}{}", range.first, range.last));
    }

    fn store(&mut self, store: &Store) -> Option<()> {
        if store.flags.refused.is_some() {
            return None;
        }
        self.verb(store.uid, "STORE");
        self.word(&store.set);
        if let Some(modseq) = store.unchanged_since {
            self.word(format!("(UNCHANGEDSINCE {modseq})"));
        }
        let sign = match store.change {
            FlagChange::Replace => "",
            FlagChange::Add => "+",
            FlagChange::Remove => "-",
        };
        self.word(format!("{sign}FLAGS{}", if store.silent { ".SILENT" } else { "" }));
        let keywords = store.flags.keywords.iter().map(ToString::to_string);
        let flags = store.flags.flags.names().map(str::to_owned);
        self.list(flags.chain(keywords), |out, name| out.word(name));
        Some(())
    }
}

/// ```abnf
/// initial-resp = (base64 / "=")      ; "=" is an initial response of no octets
/// ```
fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in octets.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, &octet| bits << 8 | u32::from(octet));
        let bits = bits << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= three.len() { DIGITS[value as usize].into() } else { '=' });
        }
    }
    if text.is_empty() { "=".into() } else { text }
}
