//! Password checks off the reactors: a bounded pool of threads behind an async call.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::password::{self, Password};
use super::remembered::Remembered;
use super::users::{Table, User, Users};
use crate::limits;
use crate::reactor::Jobs;

/// Checks passwords. Clones share the threads, which end with the last of them.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    jobs: Jobs,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Name and password belong together.
    Accepted(User),
    /// They do not. Which of the two is wrong is not said, nor can the time taken tell.
    Refused,
}

/// Too many logins wait already: nothing was checked, the client may try again later
/// (`NO [UNAVAILABLE]`, RFC 5530).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

struct Shared {
    users: Users,
    remembered: Mutex<Remembered>,
    /// Hash of a password that nobody knows: what an unknown user is checked against, so that a
    /// name costs the same whether it exists or not.
    nobody: Box<str>,
    hashed: AtomicU64,
}

impl Verifier {
    /// Starts one thread for every two cores: logins come in bursts, mail comes always.
    ///
    /// # Errors
    /// When the system refuses randomness, memory or threads.
    pub fn start(users: Users) -> io::Result<Verifier> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Verifier::with(users, (cores / 2).max(1), limits::LOGINS_WAITING)
    }

    fn with(users: Users, threads: usize, waiting: usize) -> io::Result<Verifier> {
        let shared = Shared {
            users,
            remembered: Mutex::new(Remembered::new(random()?, limits::REMEMBERED_LOGINS)),
            nobody: password::hash(&Password::new(random()?)).map_err(io::Error::other)?,
            hashed: AtomicU64::new(0),
        };
        let jobs = Jobs::start("login", threads, waiting)?;
        Ok(Verifier { shared: Arc::new(shared), jobs })
    }

    /// Checks name and password. A password that was right a moment ago is answered at once;
    /// else a thread of the pool spends an argon2 on it.
    ///
    /// # Errors
    /// [`Busy`] when [`limits::LOGINS_WAITING`] others wait.
    pub async fn verify(&self, name: &str, password: Password) -> Result<Verdict, Busy> {
        // A file of users that changed is read by a thread of the pool, not by a reactor.
        if let Some(users) = self.shared.users.unchanged()
            && let Some(user) = self.shared.recall(&users, name, &password)
        {
            return Ok(Verdict::Accepted(user));
        }
        let (shared, name) = (self.shared.clone(), Box::<str>::from(name));
        self.jobs.run(move || shared.check(&name, &password)).await.map_err(|_| Busy)
    }

    /// How many password hashes were computed since the start.
    #[must_use]
    pub fn hashed(&self) -> u64 {
        self.shared.hashed.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn check(&self, name: &str, password: &Password) -> Verdict {
        let users = self.users.current();
        // Of many logins that waited together, the first pays.
        if let Some(user) = self.recall(&users, name, password) {
            return Verdict::Accepted(user);
        }
        let user = users.get(name);
        let phc = user.map_or(&*self.nobody, |user| &*user.phc);
        let right = password::matches(password, phc);
        self.hashed.fetch_add(u64::from(right.is_some()), Ordering::Relaxed);
        match user {
            Some(user) if right == Some(true) => {
                self.remembered().remember(name, phc, password);
                Verdict::Accepted(user.clone())
            }
            _ => Verdict::Refused,
        }
    }

    fn recall(&self, users: &Table, name: &str, password: &Password) -> Option<User> {
        let user = users.get(name)?;
        self.remembered().knows(name, &user.phc, password).then(|| user.clone())
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().expect("nothing panics while it holds this lock")
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;

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

    fn login(verifier: &Verifier, name: &str, password: &str) -> Result<Verdict, Busy> {
        block_on(verifier.verify(name, Password::new(password.as_bytes())))
    }

    fn alice() -> (tempfile::TempDir, Users) {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::open(folder.path()).unwrap();
        users.add("alice", &Password::new(*b"secret"), Some(1 << 30)).unwrap();
        (folder, users)
    }

    #[test]
    fn right_wrong_and_unknown() {
        let (_folder, users) = alice();
        let verifier = Verifier::start(users.clone()).unwrap();
        let accepted = Verdict::Accepted(users.get("alice").unwrap());
        assert_eq!(login(&verifier, "alice", "secret"), Ok(accepted));
        assert_eq!(login(&verifier, "alice", "Secret"), Ok(Verdict::Refused));
        assert_eq!(login(&verifier, "Alice", "secret"), Ok(Verdict::Refused));
        assert_eq!(login(&verifier, "bob", "secret"), Ok(Verdict::Refused));
        assert_eq!(verifier.hashed(), 4, "an unknown name costs a hash as well");
    }

    #[test]
    fn many_logins_of_one_user_cost_one_hash() {
        let (_folder, users) = alice();
        let verifier = Verifier::start(users).unwrap();
        for _ in 0..10_000 {
            assert!(matches!(login(&verifier, "alice", "secret"), Ok(Verdict::Accepted(_))));
        }
        assert_eq!(verifier.hashed(), 1);
    }

    #[test]
    fn logins_that_wait_together_cost_one_hash() {
        let (_folder, users) = alice();
        let verifier = Verifier::start(users).unwrap();
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    assert!(matches!(
                        login(&verifier, "alice", "secret"),
                        Ok(Verdict::Accepted(_))
                    ));
                });
            }
        });
        assert_eq!(verifier.hashed(), 1);
    }

    #[test]
    fn a_changed_password_voids_the_old_one() {
        let (folder, users) = alice();
        let verifier = Verifier::start(users).unwrap();
        assert!(matches!(login(&verifier, "alice", "secret"), Ok(Verdict::Accepted(_))));
        std::fs::remove_file(folder.path().join("users")).unwrap();
        assert_eq!(login(&verifier, "alice", "secret"), Ok(Verdict::Refused));
        let other = Users::open(folder.path()).unwrap();
        other.add("alice", &Password::new(*b"changed"), None).unwrap();
        assert_eq!(login(&verifier, "alice", "secret"), Ok(Verdict::Refused));
        assert!(matches!(login(&verifier, "alice", "changed"), Ok(Verdict::Accepted(_))));
    }

    #[test]
    fn more_than_can_wait_are_turned_away() {
        let (_folder, users) = alice();
        let verifier = Verifier::with(users, 1, 2).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let (begun, begins) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let mut busy = pin!(verifier.jobs.run(move || {
            begun.send(()).unwrap();
            ends.recv()
        }));
        assert!(busy.as_mut().poll(&mut context).is_pending());
        begins.recv().unwrap();
        let verify = || verifier.verify("alice", Password::new(*b"secret"));
        let mut waiting = [pin!(verify()), pin!(verify())];
        for login in &mut waiting {
            assert!(login.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(login(&verifier, "alice", "secret"), Err(Busy));
        drop(end);
    }
}
