//! A fault in the index affects one account only.

use kit::{Folder, Message, PASSWORD, Server};
use redb::{Database, ReadableDatabase, TableDefinition};
use xxhash_rust::xxh3::xxh3_64;

const MAILBOXES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("mailboxes");

const MAIL: Message<'_> = Message { options: "", octets: b"Subject: kept\r\n\r\nkept\r\n" };

/// Writes into the catalog that a user's mailbox has no message without `\Seen`.
fn miscount(folder: &Folder, user: &str) {
    let database = Database::open(folder.catalog()).unwrap();
    let table = database.begin_read().unwrap().open_table(MAILBOXES).unwrap();
    let (key, row) = table.range((user, 0)..=(user, u64::MAX)).unwrap().next().unwrap().unwrap();
    let (id, mut row) = (key.value().1, row.value().to_vec());
    // Name, UIDVALIDITY, messages, recent ones, then unseen ones: `src/index/mailbox/saving.rs`.
    let unseen = 2 + usize::from(u16::from_le_bytes([row[0], row[1]])) + 12;
    assert_eq!(row[unseen..unseen + 4], 1_u32.to_le_bytes());
    row[unseen..unseen + 4].copy_from_slice(&0_u32.to_le_bytes());
    let end = row.len() - 8;
    let checksum = xxh3_64(&row[..end]).to_le_bytes();
    row[end..].copy_from_slice(&checksum);
    let transaction = database.begin_write().unwrap();
    transaction.open_table(MAILBOXES).unwrap().insert((user, id), &*row).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_fault_of_the_index_ends_the_sessions_of_one_account() {
    let folder = Folder::new();
    folder.add_user("other", PASSWORD, &[]);
    let server = Server::start(&folder);
    let login = |server: &Server, user: &str| {
        let mut client = server.connect();
        client.ok(&format!("LOGIN {user} {PASSWORD}"));
        client
    };
    for user in [kit::USER, "other"] {
        assert!(login(&server, user).append("INBOX", &[MAIL]).tagged.starts_with("OK "));
    }
    assert!(server.terminate().success());
    miscount(&folder, kit::USER);

    let server = Server::with(&folder, &["--reactors", "1"]);
    let mut other = login(&server, "other");
    let (mut idle, mut client) = (server.login(), server.login());
    client.ok("SELECT INBOX");
    client.send(b"x STORE 1 +FLAGS (\\Seen)\r\n");
    // The reader gets no OK, and an idle session does not wait for ever.
    for client in [&mut client, &mut idle] {
        let said = client.response().expect("a farewell").text();
        assert!(said.starts_with("* BYE [UNAVAILABLE] this account is not available"), "{said}");
        assert!(client.response().is_none());
    }
    let mut again = server.connect();
    let refused = again.command(&format!("LOGIN {} {PASSWORD}", kit::USER));
    assert!(refused.tagged.starts_with("NO [UNAVAILABLE] "), "{}", refused.tagged);

    assert!(other.append("INBOX", &[MAIL]).tagged.starts_with("OK "));
    other.ok("SELECT INBOX");
    other.ok("STORE 1 +FLAGS (\\Seen)");
    let log = server.log();
    let named = log.lines().filter(|line| line.contains("the index of this account is at fault"));
    let named: Vec<_> = named.collect();
    assert_eq!(named.len(), 1, "{log}");
    assert!(named[0].contains(&format!("user={}", kit::USER)), "{}", named[0]);
    assert!(server.terminate().success());

    // As the log line says.
    std::fs::remove_file(folder.catalog()).unwrap();
    let server = Server::start(&folder);
    let mut client = server.login();
    client.ok("SELECT INBOX");
    let flags = client.ok("FETCH 1 (FLAGS)").texts();
    assert!(flags.iter().any(|line| line.contains("\\Seen")), "{flags:?}");
    let mut other = login(&server, "other");
    let counts = other.ok("STATUS INBOX (MESSAGES UNSEEN)").texts();
    assert_eq!(counts, ["* STATUS INBOX (MESSAGES 2 UNSEEN 1)"]);
    assert!(server.terminate().success());
}
