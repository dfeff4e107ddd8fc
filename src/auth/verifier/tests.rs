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
    matches!(verdict, Ok(Verdict::Refused(Refusal::Wrong, _)))
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
