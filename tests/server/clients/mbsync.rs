//! mbsync (package isync): one Maildir is uploaded, another downloaded, and changes to either reach
//! the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use imap::types::InternalDate;
use kit::{Fetched, Message};

use super::{Target, run as run_client};

/// Flags of a Maildir, in the order of a file name, with those of IMAP.
const FLAGS: [(char, &str); 5] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$Forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
];

/// The beginnings of the messages, repeated.
const FIRST: [&str; 7] = ["S", "", "FS", "RS", "D", "FRS", "P"];

/// Flags and arrival of each message, by its octets with LF, as in a Maildir.
type Mailbox = BTreeMap<Vec<u8>, (String, u64)>;

/// Two Maildirs and the server between them.
struct Between<'a> {
    target: &'a Target,
    name: &'a str,
    place: &'a Path,
    tls: Option<Tls<'a>>,
}

/// How mbsync uses TLS.
#[derive(Clone, Copy)]
pub struct Tls<'a> {
    /// `IMAPS` or `STARTTLS`.
    pub kind: &'a str,
    /// The address of the server.
    pub port: u16,
    /// The certificate to trust.
    pub certificate: &'a Path,
}

/// Uploads, downloads, flags on both sides, deletions on both sides, new mail on all three.
pub fn run(target: &Target, name: &str, mail: &[Vec<u8>]) {
    run_by(target, None, name, mail);
}

/// The same, with TLS if given.
pub fn run_by(target: &Target, tls: Option<Tls<'_>>, name: &str, mail: &[Vec<u8>]) {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let between = Between { target, name, place: place.path(), tls };
    between.configure();
    let (old, new) = mail.split_at(mail.len() - 20);
    let mut wanted = Mailbox::new();
    for (index, octets) in old.iter().enumerate() {
        let (flags, arrival) = (FIRST[index % FIRST.len()], 1_000_000_000 + index as u64 * 9_999);
        between.deliver("first", &lf(octets), flags, arrival, index);
        wanted.insert(lf(octets), (flags.into(), arrival));
    }
    assert_eq!(wanted.len(), old.len(), "messages are told apart by their octets");

    between.sync("first");
    between.compare(&["first"], &wanted, "after the upload");
    between.sync("second");
    between.compare(&["first", "second"], &wanted, "after the download");

    between.change_flags(&mut wanted);
    between.sync_all();
    between.compare(&["first", "second"], &wanted, "after changes of flags");

    between.delete(&mut wanted);
    between.sync_all();
    between.compare(&["first", "second"], &wanted, "after deletions");

    between.add(new, &mut wanted);
    between.sync_all();
    between.compare(&["first", "second"], &wanted, "after new mail");
    target.login().ok(&format!("DELETE {name}"));
}

impl Between<'_> {
    fn maildir(&self, side: &str) -> PathBuf {
        self.place.join(side).join(self.name)
    }

    /// isync 1.5 calls it TLSType and takes SSLType too. LOGIN needs no SASL modules.
    fn configure(&self) {
        let Target { address, user, password, .. } = self.target;
        let mut text =
            format!("IMAPStore race\nUser {user}\nPass {password}\nAuthMechs LOGIN\nTimeout 60\n",);
        let _ = match self.tls {
            None => {
                let (host, port) = (address.ip(), address.port());
                writeln!(text, "Host {host}\nPort {port}\nSSLType None\n")
            }
            Some(Tls { kind, port, certificate }) => {
                let certificate = certificate.display();
                writeln!(
                    text,
                    "Host localhost\nPort {port}\nSSLType {kind}\n\
                     CertificateFile {certificate}\n"
                )
            }
        };
        for side in ["first", "second"] {
            let path = self.place.join(side);
            let path = path.display();
            let _ = write!(
                text,
                "MaildirStore {side}\nPath {path}/\nInbox {path}/inbox\nSubFolders Verbatim\n\n\
                 Channel {side}\nFar :race:\nNear :{side}:\nPatterns {}\nSync All\nCreate Both\n\
                 Expunge Both\nSyncState *\nCopyArrivalDate yes\n\n",
                self.name,
            );
            for folder in ["cur", "new", "tmp"] {
                fs::create_dir_all(self.place.join(side).join("inbox").join(folder)).unwrap();
            }
        }
        for folder in ["cur", "new", "tmp"] {
            fs::create_dir_all(self.maildir("first").join(folder)).unwrap();
        }
        fs::write(self.place.join("mbsyncrc"), text).unwrap();
    }

    #[track_caller]
    fn sync(&self, channel: &str) {
        let mut command = Command::new("mbsync");
        command.env("HOME", self.place).arg("-c").arg(self.place.join("mbsyncrc")).arg(channel);
        run_client(&mut command, 0);
    }

    /// Uploads the first, syncs the second both ways, downloads to the first.
    fn sync_all(&self) {
        for channel in ["first", "second", "first"] {
            self.sync(channel);
        }
    }

    /// A message as a mail program writes it, at a time in seconds since 1970.
    fn deliver(&self, side: &str, octets: &[u8], flags: &str, arrival: u64, number: usize) {
        let path = self.maildir(side).join(format!("cur/{arrival}.{number}.{side}:2,{flags}"));
        fs::write(&path, octets).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(arrival);
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }

    /// The files of a Maildir: their octets without what mbsync has added, and their flags.
    fn files(&self, side: &str) -> Vec<(PathBuf, Vec<u8>, String)> {
        let folders = ["cur", "new"].map(|folder| self.maildir(side).join(folder));
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        let file = |path: PathBuf| {
            let octets = without_tuid(fs::read(&path).unwrap());
            let name = path.file_name().unwrap().to_str().unwrap();
            let flags = name.split_once(":2,").map_or("", |(_, flags)| flags).to_owned();
            (path, octets, flags)
        };
        entries.map(|entry| file(entry.unwrap().path())).collect()
    }

    /// Checks that these Maildirs and the mailbox of the server are the same, and returns it.
    #[track_caller]
    fn compare(&self, sides: &[&str], wanted: &Mailbox, when: &str) {
        for side in sides {
            let files = self.files(side).into_iter().map(|(path, octets, flags)| {
                let time = fs::metadata(path).unwrap().modified().unwrap();
                let arrival = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
                (octets, flags, arrival)
            });
            same(files, wanted, &format!("{side}, {when}"));
        }
        same(self.fetch().into_iter(), wanted, &format!("the server, {when}"));
    }

    /// The mailbox of the server in the form of a Maildir.
    fn fetch(&self) -> Vec<(Vec<u8>, String, u64)> {
        let mut client = self.target.login();
        client.ok(&format!("EXAMINE {}", self.name));
        let reply = client.ok("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])");
        let message = |fetched: &Fetched| {
            let flags = fetched.flags();
            for flag in &flags {
                assert!(FLAGS.iter().any(|(_, name)| name == flag), "a flag of its own: {flag}");
            }
            let has = |(letter, name)| flags.contains(&name).then_some(letter);
            let date = InternalDate::parse(fetched.octets("INTERNALDATE")).expect("a date");
            let octets = without_tuid(lf(fetched.octets("BODY[]")));
            (octets, FLAGS.into_iter().filter_map(has).collect(), date.to_unix() as u64)
        };
        Fetched::all(&reply.untagged).iter().map(message).collect()
    }

    /// Changes flags of some messages on each side. Both sides change every 35th message, but not
    /// the same flag.
    fn change_flags(&self, wanted: &mut Mailbox) {
        for (side, every, letters) in [("first", 5, "FP"), ("second", 7, "RS")] {
            for (path, octets, flags) in self.files(side) {
                let (own, _) = wanted.get_mut(&octets).unwrap();
                if octets.len() % every != 0 {
                    continue;
                }
                let toggled = |flags: &str| -> String {
                    let has = |letter| flags.contains(letter) != letters.contains(letter);
                    FLAGS.into_iter().map(|(letter, _)| letter).filter(|&l| has(l)).collect()
                };
                *own = toggled(own);
                rename(&path, &toggled(&flags));
            }
        }
    }

    /// Deletes some files of the first side, and marks some of the second as trash.
    fn delete(&self, wanted: &mut Mailbox) {
        let before = wanted.len();
        for (path, octets, _) in self.files("first") {
            if octets.len() % 11 == 3 {
                fs::remove_file(path).unwrap();
                wanted.remove(&octets);
            }
        }
        for (path, octets, flags) in self.files("second") {
            if octets.len() % 13 == 4 {
                rename(&path, &format!("{flags}T"));
                wanted.remove(&octets);
            }
        }
        assert!((before / 2..before - 1).contains(&wanted.len()), "{} left", wanted.len());
    }

    /// New mail at each end and in the middle.
    fn add(&self, mail: &[Vec<u8>], wanted: &mut Mailbox) {
        let mut client = self.target.login();
        for (index, octets) in mail.iter().enumerate() {
            let arrival = 1_234_567_890;
            match index % 3 {
                0 => self.deliver("first", &lf(octets), "F", arrival, index),
                1 => self.deliver("second", &lf(octets), "F", arrival, index),
                _ => {
                    let options = "(\\Flagged) \"13-Feb-2009 23:31:30 +0000\" ";
                    let reply = client.append(self.name, &[Message { options, octets }]);
                    assert!(reply.tagged.starts_with("OK "), "{}", reply.tagged);
                }
            }
            wanted.insert(lf(octets), ("F".into(), arrival));
        }
    }
}

/// Changes the flags of a message's file.
fn rename(path: &Path, flags: &str) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let base = name.split_once(":2,").map_or(name, |(base, _)| base);
    let cur = path.parent().unwrap().with_file_name("cur");
    fs::rename(path, cur.join(format!("{base}:2,{flags}"))).unwrap();
}

/// With line ends as in a file. `mail` has no CR except in CRLF.
fn lf(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().filter(|&octet| octet != b'\r').collect()
}

/// A message without the field by which mbsync finds it again.
fn without_tuid(octets: Vec<u8>) -> Vec<u8> {
    match memchr::memmem::find(&octets, b"X-TUID: ") {
        Some(at) if at == 0 || octets[at - 1] == b'\n' => {
            let end = at + memchr::memchr(b'\n', &octets[at..]).expect("an end of line") + 1;
            [&octets[..at], &octets[end..]].concat()
        }
        _ => octets,
    }
}

/// Describes how two mailboxes differ, without printing them.
#[track_caller]
fn same(found: impl Iterator<Item = (Vec<u8>, String, u64)>, wanted: &Mailbox, what: &str) {
    let mut seen = BTreeSet::new();
    for (octets, flags, arrival) in found {
        let head = String::from_utf8_lossy(&octets[..octets.len().min(600)]).into_owned();
        let Some(own) = wanted.get(&octets) else {
            panic!("{what}: a message that should not be there, of {}\n{head}", octets.len());
        };
        assert_eq!((flags, arrival), *own, "{what}:\n{head}");
        assert!(seen.insert(octets), "{what}, twice:\n{head}");
    }
    assert_eq!(seen.len(), wanted.len(), "{what}: messages");
}
