//! Malformed, slow, large and frequent requests: all are bounded, and no reactor is affected.

use std::io::{Read, Write};
use std::thread;

use kit::{Folder, Message, Random};

use super::http::{connect, get, rest, send};
use super::observed;

#[test]
fn what_is_not_asked_as_it_should_be_is_refused() {
    let (_server, admin) = observed(&Folder::new(), &[]);
    let ask = |method: &str, path: &str, host: &str| {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        send(admin, request).expect("an answer").code
    };
    assert_eq!(ask("GET", "/", "localhost"), 200);
    assert_eq!(ask("HEAD", "/", "127.0.0.1:1"), 200);
    // A name that a foreign DNS server resolves to this machine.
    for host in ["example.org", "localhost.example.org", "10.0.0.1", ""] {
        assert_eq!(ask("GET", "/status.json", host), 403, "{host}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "X"] {
        assert_eq!(ask(method, "/", "localhost"), 405, "{method}");
    }
    for path in ["/favicon.ico", "/../etc/passwd", "/metrics/", "//", "/%2e%2e/"] {
        assert_eq!(ask("GET", path, "localhost"), 404, "{path}");
    }
    let no_host = send(admin, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").expect("an answer");
    assert_eq!(no_host.code, 403);
    let names = "Host: localhost\r\nHost: example.org\r\nConnection: close\r\n\r\n";
    let two = send(admin, format!("GET / HTTP/1.1\r\n{names}")).expect("an answer");
    assert_eq!(two.code, 403);
    let far = "GET http://example.org/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(send(admin, far).expect("an answer").code, 403);
    let post = send(admin, format!("POST / HTTP/1.1\r\nHost: {admin}\r\n\r\n")).expect("an answer");
    assert_eq!(post.header("allow"), "GET, HEAD");
}

#[test]
fn every_answer_has_the_headers_that_keep_browsers_from_harm() {
    let (_server, admin) = observed(&Folder::new(), &[]);
    for path in ["/", "/status.json", "/metrics", "/healthz", "/nothing"] {
        let answer = get(admin, path);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let head =
        send(admin, format!("HEAD / HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"));
    let head = head.expect("an answer");
    assert!(head.body.is_empty() && head.header("content-length").len() > 3, "{head:?}");
}

#[test]
fn garbage_and_endless_heads_end_the_connection() {
    let (server, admin) = observed(&Folder::new(), &[]);
    let mut random = Random::seeded();
    for _ in 0..50 {
        let length = 1 + random.below(4000);
        let noise: Vec<u8> = (0..length).map(|_| random.number() as u8).collect();
        let mut socket = connect(admin);
        let _ = socket.write_all(&noise);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: {admin}\r\nX: {}", "x".repeat(1 << 20));
    let wide = format!("GET / HTTP/1.1\r\nHost: {admin}\r\n{}\r\n", "x: y\r\n".repeat(1000));
    let far = format!("GET /{} HTTP/1.1\r\nHost: {admin}\r\n\r\n", "x".repeat(1 << 20));
    for request in [long, wide, far] {
        let answer = send(admin, request);
        assert!(answer.is_none_or(|answer| (400..=431).contains(&answer.code)));
    }
    assert_eq!(get(admin, "/healthz").code, 200);
    server.login().ok("NOOP");
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for_for_ever() {
    let (_server, admin) = observed(&Folder::new(), &[]);
    let mut slow = connect(admin);
    slow.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    let mut silent = connect(admin);
    for socket in [&mut slow, &mut silent] {
        let answer = rest(socket);
        assert!(answer.is_none_or(|answer| (400..=499).contains(&answer.code)));
    }
}

#[test]
fn a_crowd_is_turned_away_and_none_of_it_holds_up_mail() {
    let (server, admin) = observed(&Folder::new(), &[]);
    // These clients request much and read nothing.
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\n\r\n").repeat(400);
    let mut greedy = Vec::new();
    for _ in 0..32 {
        let mut socket = connect(admin);
        socket.set_nonblocking(true).unwrap();
        let _ = socket.write(request.as_bytes());
        socket.set_nonblocking(false).unwrap();
        greedy.push(socket);
    }
    let answer = get(admin, "/metrics");
    assert_eq!(answer.code, 503);
    assert!(answer.body.starts_with("too many connections to the admin endpoint"), "{answer:?}");
    assert_eq!(get(admin, "/healthz").code, 200);
    let mut client = server.login();
    let message = Message { options: "", octets: &[b'x'; 3000] };
    for _ in 0..20 {
        assert!(client.append("INBOX", &[message; 10]).tagged.starts_with("OK"));
    }
    drop(greedy);
    let count = super::until(|| {
        let answer = send(
            admin,
            format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"),
        );
        answer.filter(|answer| answer.code == 200)
    });
    assert!(count.body.contains("mailrace_messages_total"));
}

/// As many requests as the endpoint can answer, on all connections, while mail comes in.
#[test]
fn an_endpoint_under_load_does_not_stop_a_reactor() {
    let (server, admin) = observed(&Folder::new(), &[]);
    let over = std::sync::atomic::AtomicBool::new(false);
    let asked = std::sync::atomic::AtomicU64::new(0);
    thread::scope(|scope| {
        use std::sync::atomic::Ordering::Relaxed;
        for path in ["/metrics", "/status.json", "/", "/readyz"] {
            let (over, asked) = (&over, &asked);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    assert_eq!(get(admin, path).code, 200);
                    asked.fetch_add(1, Relaxed);
                }
            });
        }
        let mut client = server.login();
        let message = Message { options: "", octets: &[b'x'; 3000] };
        while asked.load(Relaxed) < 400 {
            assert!(client.append("INBOX", &[message; 10]).tagged.starts_with("OK"));
        }
        over.store(true, Relaxed);
    });
}
