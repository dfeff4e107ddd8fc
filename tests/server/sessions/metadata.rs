//! Metadata of mailboxes: it survives every kind of end, and is limited.

use mailrace::limits::{METADATA_ENTRIES, METADATA_NAME, METADATA_OCTETS, METADATA_VALUE};

use kit::{Client, Folder, Server};

const ALL: &str = "GETMETADATA (DEPTH infinity) Sent (/private /shared)";

fn answer(client: &mut Client, command: &str) -> String {
    client.command(command).tagged
}

/// Sets an entry to a value of any octets.
fn set(client: &mut Client, entry: &str, value: &[u8]) -> String {
    let tag = client.tag();
    client.send(format!("{tag} SETMETADATA Sent ({entry} ~{{{}+}}\r\n", value.len()).as_bytes());
    client.send(value);
    client.send(b")\r\n");
    client.reply(&tag).tagged
}

/// A migrated mailbox becomes the one for sent mail, and stays so after kill -9 and after an
/// orderly stop: from the log, and from the catalog.
#[test]
fn metadata_survives_any_end() {
    let folder = Folder::new();
    let mut server = Server::start(&folder);
    server.login().ok("CREATE Sent");
    server
        .login()
        .ok("SETMETADATA Sent (/private/specialuse \"\\\\Sent\" /private/a {3+}\r\nx\r\n)");
    assert!(set(&mut server.login(), "/shared/b", b"\0binary").starts_with("OK "));
    for graceful in [false, true, true] {
        match graceful {
            true => assert!(server.terminate().success()),
            false => server.kill(),
        }
        server = Server::start(&folder);
        let mut client = server.login();
        let told = client.ok("LIST (SPECIAL-USE) \"\" *").texts();
        assert_eq!(told, ["* LIST (\\HasNoChildren \\Sent) \"/\" Sent"]);
        let told = client.ok(ALL).texts();
        let expected = "* METADATA Sent (/private/a {3}\r\nx\r\n /private/specialuse \"\\\\Sent\" \
                        /shared/b ~{7}\r\n\0binary)";
        assert_eq!(told, [expected]);
    }
    server.login().ok("SETMETADATA Sent (/private/specialuse NIL /private/a NIL /shared/b NIL)");
    server.kill();
    let server = Server::start(&folder);
    assert_eq!(server.login().ok(ALL).texts(), [""; 0]);
    assert_eq!(server.login().ok("LIST (SPECIAL-USE) \"\" *").texts(), [""; 0]);
}

#[test]
fn metadata_has_bounds() {
    let server = Server::start(&Folder::new());
    let mut client = server.login();
    client.ok("CREATE Sent");
    let too_large = format!("NO [METADATA MAXSIZE {METADATA_VALUE}] ");
    let value = vec![b'v'; METADATA_VALUE];
    assert!(set(&mut client, "/shared/v", &value).starts_with("OK "));
    for octets in [METADATA_VALUE + 1, 1 << 20, 2 << 20] {
        let refused = set(&mut client, "/shared/w", &vec![b'v'; octets]);
        assert!(refused.starts_with(&too_large), "{octets}: {refused}");
    }
    // Nor is one asked for that would be thrown away.
    client.send(b"a SETMETADATA Sent (/shared/w {9999999999}\r\n");
    assert!(client.reply("a").tagged.starts_with(&too_large));
    let before = client.ok(ALL).texts();

    // All that a mailbox holds, and none of what does not fit.
    let fit = METADATA_OCTETS / (METADATA_VALUE + 100);
    for number in 1..fit {
        assert!(set(&mut client, &format!("/shared/v{number}"), &value).starts_with("OK "));
    }
    assert!(set(&mut client, "/shared/w", &value).starts_with("NO [METADATA TOOMANY] "));
    let gone =
        (1..fit).map(|number| format!("/shared/v{number} NIL")).collect::<Vec<_>>().join(" ");
    client.ok(&format!("SETMETADATA Sent ({gone})"));
    assert_eq!(client.ok(ALL).texts(), before);

    let entries = |count: usize| {
        (0..count).map(|n| format!("/private/{n} \"\"")).collect::<Vec<_>>().join(" ")
    };
    let many = format!("SETMETADATA Sent ({})", entries(METADATA_ENTRIES));
    assert!(answer(&mut client, &many).starts_with("NO [METADATA TOOMANY] "));
    assert_eq!(client.ok(ALL).texts(), before, "none of them is set");
    client.ok(&format!("SETMETADATA Sent ({})", entries(METADATA_ENTRIES - 1)));
    assert!(answer(&mut client, "SETMETADATA Sent (/private/x \"\")").contains("TOOMANY"));
    client.ok("SETMETADATA Sent (/private/0 NIL /private/x \"\" /private/specialuse \"\\\\Sent\")");

    let long = format!("/private/{}", "x".repeat(METADATA_NAME - 9));
    client.ok(&format!("SETMETADATA Sent ({long} NIL)"));
    assert!(
        answer(&mut client, &format!("SETMETADATA Sent ({long}x NIL)")).starts_with("NO [LIMIT]")
    );

    // However often it is asked for, it is told once.
    let often = "/private ".repeat(5_000);
    let told = client.ok(&format!("GETMETADATA (DEPTH infinity) Sent ({often})")).texts();
    assert!(told.len() == 1 && told[0].len() < 2_000, "{}", told[0].len());
    let often = "/shared/v ".repeat(5_000);
    let told = client.ok(&format!("GETMETADATA Sent ({often})")).texts();
    assert!(told.len() == 1 && told[0].len() < METADATA_VALUE + 100, "{}", told[0].len());
}
