//! Clients that write a command in pieces without TCP_NODELAY.

use std::time::{Duration, Instant};

use kit::{Client, Folder, Server};

/// Clients without TCP_NODELAY write the next piece of a command when the last is acknowledged. A
/// server that leaves this to the kernel's timer costs them 40 ms per piece. A server that
/// acknowledges at once is hundreds of times faster; this test demands much less.
#[test]
fn pieces_are_acknowledged_at_once() {
    let server = Server::start(&Folder::new());
    let mut client = server.login();
    let whole = median(|| {
        client.send(b"a NOOP\r\n");
        client.reply("a");
    });
    let message = [b"Subject: x\r\n\r\n".to_vec(), vec![b'y'; 40_000]].concat();
    let announced = format!("a APPEND INBOX {{{}}}\r\n", message.len());
    let cases: [(&str, Vec<&[u8]>); 3] = [
        ("a command and its end", vec![b"a NOOP", b"\r\n"]),
        ("tag, command, end", vec![b"a ", b"NOOP", b"\r\n"]),
        ("a message in pieces of 8 KiB", message.chunks(8 << 10).chain([&b"\r\n"[..]]).collect()),
    ];
    for (what, pieces) in cases {
        let mut slow = raw(&server);
        let time = median(|| {
            if pieces.len() > 3 {
                slow.send(announced.as_bytes());
                assert!(slow.response().unwrap().text().starts_with("+ "));
            }
            pieces.iter().for_each(|piece| slow.send(piece));
            slow.reply("a");
        });
        println!("{what}: {time:?}, a NOOP in one piece {whole:?}");
        assert!(time < Duration::from_millis(20).max(100 * whole), "{what}: {time:?}");
    }
    // Synchronizing literals: later messages of a batch, in the pieces that c-client writes.
    for header in [100, 4_096, 5_000, 50_000] {
        let (header, body) = (vec![b'h'; header], vec![b'b'; 700]);
        let next = format!(" {{{}}}\r\n", header.len() + body.len());
        let mut slow = raw(&server);
        slow.send(format!("a APPEND INBOX{next}").as_bytes());
        let time = median(|| {
            assert!(slow.response().unwrap().text().starts_with("+ "));
            slow.send(&header);
            slow.send(&body);
            slow.send(next.as_bytes());
        });
        println!("a message with a header of {}: {time:?}", header.len());
        assert!(time < Duration::from_millis(20).max(100 * whole), "{time:?}");
    }
}

/// A logged-in client without TCP_NODELAY.
fn raw(server: &Server) -> Client {
    let client = server.login();
    client.socket().set_nodelay(false).unwrap();
    client
}

fn median(mut step: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..25)
        .map(|_| {
            let begun = Instant::now();
            step();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
