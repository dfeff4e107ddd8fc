use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::auth::Kept;

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn claim(name: &str, password: &str) -> Claim {
    Claim::Password { identity: Identity::of(name), password: Password::new(password.as_bytes()) }
}

fn start(users: Users) -> Verifier {
    Verifier::start(users, [7; KEY], VerifierOptions::default()).unwrap()
}

fn is_wrong(verdict: Result<Verdict, Busy>) -> bool {
    matches!(verdict, Ok(Verdict::Refused(LoginRefusal::Wrong, _)))
}

fn login(verifier: &Verifier, name: &str, password: &str) -> Result<Verdict, Busy> {
    block_on(verifier.verify(HERE, claim(name, password)))
}

fn alice() -> (tempfile::TempDir, Users) {
    let folder = tempfile::tempdir().unwrap();
    let users = Users::open(folder.path()).unwrap();
    users.add("alice", &Password::new(*b"secret"), Some(1 << 30), Kept::HashOnly).unwrap();
    (folder, users)
}

#[test]
fn right_wrong_and_unknown() {
    let (_folder, users) = alice();
    let verifier = start(users.clone());
    let accepted = Verdict::Accepted(users.get("alice").unwrap());
    assert_eq!(login(&verifier, "alice", "secret"), Ok(accepted));
    assert!(is_wrong(login(&verifier, "alice", "Secret")));
    assert!(is_wrong(login(&verifier, "Alice", "secret")));
    assert!(is_wrong(login(&verifier, "bob", "secret")));
    assert_eq!(verifier.hashed(), 4, "an unknown name costs a hash as well");
}

#[test]
fn many_logins_of_one_user_cost_one_hash() {
    let (_folder, users) = alice();
    let verifier = start(users);
    for _ in 0..10_000 {
        assert!(matches!(login(&verifier, "alice", "secret"), Ok(Verdict::Accepted(_))));
    }
    assert_eq!(verifier.hashed(), 1);
}

#[test]
fn logins_that_wait_together_cost_one_hash() {
    let (_folder, users) = alice();
    let verifier = start(users);
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                assert!(matches!(login(&verifier, "alice", "secret"), Ok(Verdict::Accepted(_))));
            });
        }
    });
    assert_eq!(verifier.hashed(), 1);
}

#[test]
fn a_changed_password_voids_the_old_one() {
    let (folder, users) = alice();
    let verifier = start(users);
    assert!(matches!(login(&verifier, "alice", "secret"), Ok(Verdict::Accepted(_))));
    std::fs::remove_file(folder.path().join("users")).unwrap();
    assert!(is_wrong(login(&verifier, "alice", "secret")));
    let other = Users::open(folder.path()).unwrap();
    other.add("alice", &Password::new(*b"changed"), None, Kept::HashOnly).unwrap();
    assert!(is_wrong(login(&verifier, "alice", "secret")));
    assert!(matches!(login(&verifier, "alice", "changed"), Ok(Verdict::Accepted(_))));
}

#[test]
fn more_than_can_wait_are_turned_away() {
    let (_folder, users) = alice();
    let verifier = Verifier::with(users, [7; KEY], VerifierOptions::default(), 1, 2).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let (begun, begins) = std::sync::mpsc::channel();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let mut busy = pin!(verifier.jobs.run(move || {
        begun.send(()).unwrap();
        ends.recv()
    }));
    assert!(busy.as_mut().poll(&mut context).is_pending());
    begins.recv().unwrap();
    let verify = || verifier.verify(HERE, claim("alice", "secret"));
    let mut waiting = [pin!(verify()), pin!(verify())];
    for login in &mut waiting {
        assert!(login.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(login(&verifier, "alice", "secret"), Err(Busy));
    drop(end);
}

/// A verifier whose only thread is busy until the second value is dropped.
fn held_up(users: Users) -> (Verifier, std::sync::mpsc::Sender<()>) {
    let options = VerifierOptions::default();
    let verifier = Verifier::with(users, [7; KEY], options, 1, limits::LOGINS_WAITING).unwrap();
    let (begun, begins) = std::sync::mpsc::channel();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let held = verifier.clone();
    thread::spawn(move || {
        block_on(held.jobs.run(move || {
            begun.send(()).unwrap();
            ends.recv()
        }))
    });
    begins.recv().unwrap();
    (verifier, end)
}

#[test]
fn thousands_wait_and_dropped_logins_cost_nothing() {
    let (_folder, users) = alice();
    let (verifier, end) = held_up(users);
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> = (0..3000)
        .map(|number| Box::pin(verifier.verify(HERE, claim(&format!("user{number}"), "secret"))))
        .collect();
    for login in &mut waiting {
        assert!(login.as_mut().poll(&mut context).is_pending());
    }
    drop(waiting);
    drop(end);
    assert!(matches!(login(&verifier, "alice", "secret"), Ok(Verdict::Accepted(_))));
    assert_eq!(verifier.hashed(), 1);
}

#[test]
fn guesses_from_one_address_do_not_delay_others() {
    let (_folder, users) = alice();
    let (verifier, end) = held_up(users);
    let mut context = Context::from_waker(Waker::noop());
    let mut guesses: Vec<_> = (0..40)
        .map(|number| Box::pin(verifier.verify(HERE, claim(&format!("user{number}"), "guess"))))
        .collect();
    for guess in &mut guesses {
        assert!(guess.as_mut().poll(&mut context).is_pending());
    }
    let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    let mut login = pin!(verifier.verify(elsewhere, claim("alice", "secret")));
    assert!(login.as_mut().poll(&mut context).is_pending());
    drop(end);
    assert!(matches!(block_on(login), Ok(Verdict::Accepted(_))));
    // One guess was first, and the thread has started some since.
    assert!(verifier.hashed() <= 10, "{} hashes", verifier.hashed());
}

fn verdict(verifier: &Verifier, claim: Claim) -> Verdict {
    block_on(verifier.verify(HERE, claim)).unwrap()
}

/// The user and the acting master user.
fn names(verdict: Verdict) -> Option<(String, Option<String>)> {
    match verdict {
        Verdict::Accepted(user) => Some((user.name.to_string(), user.acting().map(str::to_owned))),
        Verdict::Refused(..) => None,
    }
}

fn with_master() -> (tempfile::TempDir, Verifier) {
    let (folder, users) = alice();
    users.add("admin", &Password::new(*b"root"), None, Kept::HashOnly).unwrap();
    let options = VerifierOptions { masters: vec!["admin".into()], ..VerifierOptions::default() };
    (folder, Verifier::start(users, [7; KEY], options).unwrap())
}

#[test]
fn a_certificate_opens_the_mail_of_its_names() {
    let (_folder, verifier) = with_master();
    let login = |certificate: &[&str], acts_for: Option<&str>| {
        let names_in_it = certificate.iter().map(|&name| name.into()).collect();
        let acts_for = acts_for.map(str::to_owned);
        names(verdict(&verifier, Claim::Certificate { names: names_in_it, acts_for }))
    };
    let alice = Some(("alice".to_owned(), None));
    assert_eq!(login(&["alice"], None), alice);
    assert_eq!(login(&["host.example", "alice"], None), alice);
    assert_eq!(login(&["alice"], Some("alice")), alice);
    assert_eq!(login(&["admin", "alice"], Some("alice")).unwrap().0, "alice");
    let acting = Some(("alice".to_owned(), Some("admin".to_owned())));
    assert_eq!(login(&["admin"], Some("alice")), acting);
    assert_eq!(login(&["alice"], Some("admin")), None);
    assert_eq!(login(&["nobody"], None), None);
    assert_eq!(login(&["nobody"], Some("alice")), None);
    assert_eq!(login(&[], None), None);
}

#[test]
fn a_master_is_remembered_as_himself() {
    let (_folder, verifier) = with_master();
    for _ in 0..2 {
        let acting = Some(("alice".to_owned(), Some("admin".to_owned())));
        assert_eq!(names(verdict(&verifier, claim("alice*admin", "root"))), acting);
        assert_eq!(names(verdict(&verifier, claim("nobody*admin", "root"))), None);
        assert_eq!(names(verdict(&verifier, claim("alice*admin", "secret"))), None);
    }
    assert_eq!(names(verdict(&verifier, claim("admin", "root"))), Some(("admin".into(), None)));
}

#[test]
fn after_too_many_failures_only_remembered_passwords_work() {
    let (_folder, verifier) = with_master();
    assert!(names(verdict(&verifier, claim("alice", "secret"))).is_some());
    let mut hashed = verifier.hashed();
    for number in 0..limits::LOGIN_FAILURES {
        let refused = verdict(&verifier, claim(&format!("user{number}"), "wrong"));
        assert!(matches!(refused, Verdict::Refused(LoginRefusal::Wrong, _)), "{number}");
        hashed += 1;
    }
    let too_many = |verdict| matches!(verdict, Verdict::Refused(LoginRefusal::TooMany(_), _));
    assert!(too_many(verdict(&verifier, claim("admin", "root"))));
    assert!(too_many(verdict(&verifier, Claim::Token { token: "x".into(), acts_for: None })));
    assert!(block_on(verifier.keys(HERE, "admin")).is_err());
    assert_eq!(verifier.hashed(), hashed);
    assert!(names(verdict(&verifier, claim("alice", "secret"))).is_some());
    let elsewhere = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    let there = block_on(verifier.verify(elsewhere, claim("admin", "root"))).unwrap();
    assert!(names(there).is_some());
}

#[test]
fn a_bad_token_over_and_over_leaves_others_alone() {
    let (_folder, verifier) = with_master();
    let token =
        |text: &str| verdict(&verifier, Claim::Token { token: text.into(), acts_for: None });
    for _ in 0..2 * limits::LOGIN_FAILURES {
        token("bad");
    }
    assert!(matches!(token("bad"), Verdict::Refused(LoginRefusal::TooMany(_), _)));
    assert!(matches!(token("other"), Verdict::Refused(LoginRefusal::Wrong, _)));
}

/// The first right login replaces a hash of another server, and the session it opens goes on.
#[test]
fn a_hash_of_another_server_lasts_until_the_first_login() {
    let folder = tempfile::tempdir().unwrap();
    let ssha = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";
    std::fs::write(folder.path().join("users"), format!("# ours\nalice:{ssha}:7\n")).unwrap();
    let users = Users::open(folder.path()).unwrap();
    let verifier = start(users.clone());
    assert!(is_wrong(login(&verifier, "alice", "Secret")));
    assert_eq!(&*users.get("alice").unwrap().hash, ssha);
    assert!(!block_on(verifier.all_have_keys()), "nobody knows them yet");
    let Ok(Verdict::Accepted(alice)) = login(&verifier, "alice", "secret") else { panic!() };
    assert!(alice.hash.starts_with("$argon2id$") && alice.has_keys() && alice.quota == Some(7));
    assert_eq!(verifier.still(&alice).unwrap().0, alice);
    assert_eq!(users.get("alice").unwrap(), alice);
    assert!(block_on(verifier.all_have_keys()));
    let hashed = verifier.hashed();
    assert_eq!(login(&verifier, "alice", "secret"), Ok(Verdict::Accepted(alice)));
    assert_eq!(verifier.hashed(), hashed, "it is remembered with the new hash");
    let text = std::fs::read_to_string(folder.path().join("users")).unwrap();
    assert!(text.starts_with("# ours\nalice:$argon2id$"), "{text}");
}

/// Who chose that one user has no keys, chose it for those who come along.
#[test]
fn keys_are_stored_if_all_others_have_them() {
    let (folder, users) = alice();
    let path = folder.path().join("users");
    let text = std::fs::read_to_string(&path).unwrap();
    let ssha = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";
    std::fs::write(&path, format!("{text}bob:{ssha}:none\n")).unwrap();
    let verifier = start(users);
    let Ok(Verdict::Accepted(bob)) = login(&verifier, "bob", "secret") else { panic!() };
    assert!(!bob.is_foreign() && !bob.has_keys());
}
