//! The messages of one client, as it knows them.

use std::collections::BTreeMap;

use kit::{Client, Fetched};

use crate::mail::Mail;

/// Flags that clients set and clear, sorted as in [`Fetched::flags`].
pub const FLAGS: [&str; 6] = ["\\Answered", "\\Deleted", "\\Flagged", "\\Seen", "alpha", "beta"];

/// Bit of `\Deleted`, which is used only in private mailboxes: EXPUNGE by others would interfere.
pub const DELETED: u8 = 1 << 1;

/// Bit of `\Seen`.
pub const SEEN: u8 = 1 << 3;

/// A message and its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The message.
    pub mail: Mail,
    /// One bit for each of [`FLAGS`].
    pub flags: u8,
}

/// Messages of one mailbox, by UID.
pub type Mailbox = BTreeMap<u32, Kept>;

/// The names of flags.
pub fn names(flags: u8) -> Vec<&'static str> {
    let set = FLAGS.into_iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0);
    set.map(|(_, name)| name).collect()
}

/// The items that FETCH requests for each message.
pub const ITEMS: &str = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])";

/// Compares a response to FETCH of [`ITEMS`] with the generator. `None` if it is news of another
/// client's change instead.
pub fn checked(fetched: &Fetched) -> Option<(u32, Kept)> {
    if !fetched.has("BODY[]") {
        return None;
    }
    let octets = fetched.octets("BODY[]");
    let beginning = || String::from_utf8_lossy(&octets[..octets.len().min(80)]);
    let mail = Mail::of(octets).unwrap_or_else(|| panic!("other octets: {:?}", beginning()));
    assert_eq!(fetched.number("RFC822.SIZE"), octets.len() as u64, "{mail:?}");
    assert_eq!(fetched.text("INTERNALDATE"), mail.date(), "{mail:?}");
    let flags = fetched.flags();
    let bits = FLAGS.iter().enumerate().filter(|(_, name)| flags.contains(name));
    let bits = bits.map(|(bit, _)| 1 << bit).sum();
    assert_eq!(names(bits), flags, "{mail:?}: a flag that nobody gave it");
    Some((u32::try_from(fetched.number("UID")).unwrap(), Kept { mail, flags: bits }))
}

/// All messages of a mailbox, with every octet compared.
pub fn all(client: &mut Client, mailbox: &str) -> Mailbox {
    client.ok(&format!("EXAMINE {mailbox}"));
    let tag = client.tag();
    client.send(format!("{tag} UID FETCH 1:* {ITEMS}\r\n").as_bytes());
    let mut found = Mailbox::new();
    loop {
        let response = client.response().expect("a response to FETCH");
        if let Some(fetched) = Fetched::parse(&response) {
            let (uid, kept) = checked(&fetched).expect("nobody changes anything");
            assert_eq!(found.insert(uid, kept), None, "UID {uid} of {mailbox} twice");
        } else if response.text().starts_with(&format!("{tag} ")) {
            assert!(response.text().starts_with(&format!("{tag} OK ")), "{}", response.text());
            return found;
        }
    }
}
