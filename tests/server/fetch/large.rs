//! Messages larger than the memory for them, many of them, and clients that do not read.

use kit::Random;

use super::{append, server, with};

/// A multipart of three parts, the middle one of this size.
fn large(octets: usize) -> (Vec<u8>, [String; 3]) {
    let lines = |length: usize| {
        let line = (0..length.div_ceil(60)).map(|n| format!("{n:058}\r\n")).collect::<String>();
        line[..length].to_owned()
    };
    let parts = ["first".to_owned(), lines(octets), "last".to_owned()];
    let mut text = "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n".to_owned();
    for part in &parts {
        text += &format!("\r\n--b\r\nContent-Type: text/plain\r\n\r\n{part}");
    }
    text += "\r\n--b--\r\n";
    (text.into_bytes(), parts)
}

#[test]
fn large_messages() {
    // Within a lease, beyond one, beyond what is parsed on the reactor, and with a small message
    // after.
    for octets in [200_000, 300_000, 1_000_000, 3_000_000] {
        let (message, parts) = large(octets);
        let (_server, mut client) = with(&[&message, b"Subject: small\r\n\r\n"]);
        let reply = client
            .ok("FETCH 1:2 (BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[TEXT] \
             BODY.PEEK[]<100000.70000>)");
        let [whole, subject, text, partial] = &reply.untagged[0].literals[..] else {
            panic!("{octets}")
        };
        assert!(*whole == message, "{octets}");
        assert_eq!(subject, b"Subject: large\r\n\r\n");
        assert!(message.ends_with(text) && message.len() - text.len() == 61, "{octets}");
        assert!(partial[..] == message[100_000..170_000], "{octets}");
        let reply =
            client.ok("FETCH 1:2 (BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[3] BODY.PEEK[2]<150000.9> \
             BINARY.PEEK[2] BINARY.SIZE[2] ENVELOPE \
             BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[])");
        let literals = &reply.untagged[0].literals;
        for (literal, part) in literals.iter().zip(&parts) {
            assert!(literal[..] == *part.as_bytes(), "{octets}");
        }
        assert_eq!(literals[3], parts[1].as_bytes()[150_000..150_009]);
        assert!(literals[4] == parts[1].as_bytes(), "{octets}");
        assert!(literals[6] == message, "{octets}");
        let reply = client.ok("FETCH 1 BODYSTRUCTURE");
        let size = format!(" {octets} {} ", parts[1].matches('\n').count());
        assert!(reply.texts()[0].contains(size.trim_end()), "{:?}", reply.texts());
    }
}

#[test]
fn many_items_at_once() {
    let (message, parts) = large(200_000);
    let (_server, mut client) = with(&[&message]);
    let item = |n: usize| format!("BODY.PEEK[2]<{n}.150000> BODY.PEEK[]<{n}.100000>");
    let items = (0..100).map(item).collect::<Vec<_>>().join(" ");
    let reply = client.ok(&format!("FETCH 1 ({items})"));
    let literals = &reply.untagged[0].literals;
    assert_eq!(literals.len(), 200);
    for (n, pair) in literals.chunks(2).enumerate() {
        assert!(pair[0] == parts[1].as_bytes()[n..n + 150_000], "{n}");
        assert!(pair[1] == message[n..n + 100_000], "{n}");
    }
}

/// Whether the octets between those wanted are read or skipped.
#[test]
fn messages_of_all_sizes_in_any_order() {
    let (server, mut client) = server();
    let mut random = Random::seeded();
    let mut stored = Vec::new();
    for _ in 0..20 {
        let batch: Vec<Vec<u8>> = (0..random.within(1, 60))
            .map(|_| {
                let number = stored.len();
                let size = match random.below(20) {
                    0 => random.within(200_000, 700_000),
                    1..4 => random.within(20_000, 70_000),
                    _ => random.within(0, 3000),
                };
                let header = if random.one_in(9) { random.within(5000, 30_000) } else { 30 };
                let mut octets = format!("Number: {number}\r\nX: ").into_bytes();
                octets.resize(octets.len() + header, b'h');
                octets.extend_from_slice(b"\r\n\r\n");
                octets.extend((0..size).map(|at| (at * 31 + number) as u8 | 1));
                stored.push(octets.clone());
                octets
            })
            .collect();
        append(&mut client, &batch.iter().map(|octets| &octets[..]).collect::<Vec<_>>());
    }
    client.ok("SELECT INBOX");
    let all: Vec<usize> = (0..stored.len()).collect();
    let some: Vec<usize> = all.iter().copied().filter(|_| random.one_in(5)).collect();
    for set in [all, some] {
        let numbers: Vec<_> = set.iter().map(|n| (n + 1).to_string()).collect();
        let numbers = numbers.join(",");
        let mut fetch = |items: &str| {
            let reply = client.ok(&format!("FETCH {numbers} ({items})"));
            assert_eq!(reply.untagged.len(), set.len(), "{items}");
            reply.untagged
        };
        let headers = fetch("BODY.PEEK[HEADER.FIELDS (Number)]");
        let whole = fetch("BODY.PEEK[]");
        let starts = fetch("BODY.PEEK[]<0.2000>");
        let texts = fetch("RFC822.HEADER BODY.PEEK[TEXT]");
        for (n, &number) in set.iter().enumerate() {
            let octets = &stored[number];
            assert_eq!(
                String::from_utf8_lossy(&headers[n].literals[0]),
                format!("Number: {number}\r\n\r\n")
            );
            assert!(whole[n].literals[0] == *octets, "{number}");
            assert!(starts[n].literals[0] == octets[..octets.len().min(2000)], "{number}");
            assert!(texts[n].literals.concat() == *octets, "{number}");
        }
    }
    drop(server);
}

#[test]
fn who_does_not_read_holds_up_nobody() {
    let (server, mut client) = server();
    let message = [b"Subject: much\r\n\r\n".to_vec(), vec![b'x'; 100_000]].concat();
    for _ in 0..10 {
        append(&mut client, &[&message[..]; 20]);
    }
    // More than the number of leases.
    let lazy: Vec<_> = (0..150)
        .map(|_| {
            let mut lazy = server.login();
            lazy.ok("SELECT INBOX");
            lazy.send(b"x FETCH 1:* (BODY.PEEK[] BODY.PEEK[1])\r\n");
            lazy
        })
        .collect();
    client.ok("SELECT INBOX");
    for _ in 0..3 {
        let reply = client.ok("FETCH 1:200 (BODY.PEEK[] BODYSTRUCTURE)");
        assert_eq!(reply.untagged.len(), 200);
        append(&mut client, &[&message]);
        client.ok("EXAMINE INBOX");
        client.ok("FETCH 1:10 BODY.PEEK[1]");
        client.ok("SELECT INBOX");
        let reply = client.ok("FETCH 1:200 BODY.PEEK[]");
        assert_eq!(reply.untagged.len(), 200);
    }
    drop(lazy);
}

/// A part that ends beyond 64 MiB, and one behind it: their structure, their octets, and SEARCH in
/// them.
#[test]
fn messages_beyond_any_memory() {
    const LINES: usize = 900_000;
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5MDEyMzQ1\r\n";
    let encoded = line.repeat(LINES);
    let encoded = &encoded[..encoded.len() - 2];
    let head = "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\n\r\nfirst text\r\n--b\r\nContent-Type: application/octet-stream\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n";
    let tail = "\r\n--b\r\nContent-Type: text/html\r\n\r\nlast text z\u{e9}bra\r\n--b--\r\n";
    let message = [head, encoded, tail].concat();
    let (_server, mut client) = with(&[message.as_bytes()]);
    let reply = client.ok("FETCH 1 (BODYSTRUCTURE ENVELOPE PREVIEW)");
    let text = reply.texts()[0].clone();
    let part = format!("\"base64\" {} NIL", encoded.len());
    assert!(text.contains(&part) && text.contains("\"html\"") && text.contains("first text"));
    assert!(text.contains("\"large\""), "{text}");
    let near = encoded.len() - 1000;
    let command = format!("FETCH 1 (BODY.PEEK[2] BODY.PEEK[3] BODY.PEEK[2]<{near}.1000000>)");
    let reply = client.ok(&command);
    let [second, third, partial] = &reply.untagged[0].literals[..] else { panic!() };
    assert!(second == encoded.as_bytes() && partial[..] == encoded.as_bytes()[near..]);
    assert_eq!(third, "last text z\u{e9}bra".as_bytes());
    let decoded = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy012345".repeat(LINES);
    let reply = client.ok("FETCH 1 BINARY.SIZE[2]");
    assert!(reply.texts()[0].contains(&format!("BINARY.SIZE[2] {}", decoded.len())));
    let reply =
        client.ok("FETCH 1 (BINARY.PEEK[2] BINARY.PEEK[2]<51299990.99> BINARY.PEEK[2]<5.7>)");
    let [whole, end, start] = &reply.untagged[0].literals[..] else { panic!() };
    assert!(*whole == decoded && end[..] == decoded[51_299_990..] && start[..] == decoded[5..12]);
    for (key, found) in [
        ("BODY \"first text\"", true),
        ("BODY \"last text\"", true),
        ("CHARSET UTF-8 TEXT \"LAST TEXT Z\u{c9}BRA\"", true),
        ("BODY ABCDEFGHIJKLM", false),
        ("NOT TEXT octet-stream", false),
        ("OR BODY nowhere SUBJECT large", true),
        ("TEXT text NOT BODY text", false),
    ] {
        let reply = client.ok(&format!("SEARCH {key}"));
        let expected = if found { "* SEARCH 1" } else { "* SEARCH" };
        assert_eq!(reply.texts(), [expected], "{key}");
    }
}

/// Mail to many recipients: fields behind one of 300 KiB and of 3 MiB, and one that is too long.
#[test]
fn long_headers() {
    let mail = |recipients: usize, number: usize| {
        let to = |n: usize| format!(",\r\n \"Recipient {n:010}\" <user{n:010}@example.net>");
        let to: String = (0..recipients).map(to).collect();
        format!(
            "From: a@b\r\nTo: first@x{to}\r\nSubject: behind {number} zebra\r\n\
             Date: {} Jan 2024 00:00:00 +0000\r\nMessage-ID: <{number}@x>\r\n\
             In-Reply-To: <{}@x>\r\nContent-Type: text/html\r\n\r\n<p>hello</p>\r\n",
            28 - number,
            number - 1
        )
    };
    let counts = [10, 5000, 50_000];
    let mails: Vec<_> = (1..).zip(counts).map(|(number, count)| mail(count, number)).collect();
    let mails: Vec<_> = mails.iter().map(|mail| mail.as_bytes()).collect();
    let (_server, mut client) = with(&mails);
    for (number, count) in (1..).zip(counts) {
        for items in ["ENVELOPE", "ENVELOPE BODYSTRUCTURE PREVIEW"] {
            let text = client.ok(&format!("FETCH {number} ({items})")).texts()[0].clone();
            assert!(text.contains(&format!("\"behind {number} zebra\"")), "{number}");
            assert_eq!(text.matches("\"example.net\"").count(), count);
            assert!(!items.contains("BODY") || text.contains("\"html\"") && text.contains("hello"));
        }
    }
    for (command, expected) in [
        ("SEARCH SUBJECT zebra", "* SEARCH 1 2 3"),
        ("SEARCH TEXT \"3 zebra\"", "* SEARCH 3"),
        ("SEARCH HEADER Message-ID \"<3@x>\"", "* SEARCH 3"),
        ("SEARCH TO user0000049999", "* SEARCH 3"),
        ("SEARCH SENTSINCE 1-Jan-2024", "* SEARCH 1 2 3"),
        ("SORT (DATE) UTF-8 ALL", "* SORT 3 2 1"),
        ("SORT (TO SUBJECT) UTF-8 ALL", "* SORT 1 2 3"),
        ("THREAD REFERENCES UTF-8 ALL", "* THREAD (1 2 3)"),
    ] {
        assert_eq!(client.ok(command).texts(), [expected], "{command}");
    }
    let endless = [b"Subject: x\r\nTo: ", &b"a".repeat(26 << 20)[..], b"\r\n\r\nbody"].concat();
    append(&mut client, &[&endless]);
    for command in
        ["FETCH 4 ENVELOPE", "FETCH 4 BODYSTRUCTURE", "SEARCH SUBJECT x", "SEARCH TEXT nowhere"]
    {
        let reply = client.command(command);
        assert!(reply.tagged.starts_with("NO [LIMIT] "), "{command}: {}", reply.tagged);
    }
    let reply =
        client.ok("FETCH 4 (BODY.PEEK[HEADER.FIELDS (Subject)] BODY.PEEK[TEXT] BODY.PEEK[])");
    let [subject, text, whole] = &reply.untagged[0].literals[..] else { panic!() };
    assert!(subject == b"Subject: x\r\n\r\n" && text == b"body" && *whole == endless);
}
