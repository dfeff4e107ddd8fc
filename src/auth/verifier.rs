//! Logins are verified off the reactors, where they cost more than a hash or two: a bounded pool of
//! threads behind an async call.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use super::claim::{Claim, Identity, Keyring, Proof};
use super::keys::{KEY, Keys};
use super::password::{self, Password};
use super::remembered::Remembered;
use super::throttle::{Throttle, network};
use super::tokens::Tokens;
use super::users::{Table, User, Users};
use crate::limits;
use crate::reactor::{Instant, Jobs, unix_seconds};

/// Verifies who clients say they are. Clones share the threads, which end with the last of them.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    jobs: Jobs,
}

/// What a verifier goes by, besides the users.
#[derive(Default)]
pub struct VerifierOptions {
    /// Users who may act as any other.
    pub masters: Vec<Box<str>>,
    /// Tokens, if they are taken.
    pub tokens: Option<Tokens>,
    /// Failures of an address in [`limits::LOGIN_WINDOW`]; `None` for [`limits::LOGIN_FAILURES`].
    pub failures: Option<u32>,
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right. The user has [`User::acting`] when a master acts.
    Accepted(User),
    /// It is not. The client is to be told after so long.
    Refused(Refusal, Duration),
}

/// Why a claim is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Name and password, proof or token do not belong together. Which of them is wrong is not
    /// said, nor can the time taken tell.
    Wrong,
    /// They do, but whoever it is may not open this mail.
    NotAllowed,
    /// Nothing was looked at, after so many failures; it will be again in so long.
    TooMany(Duration),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Wrong => f.write_str("user name, password or token is wrong"),
            Refusal::NotAllowed => f.write_str("you may not open the mail of that user"),
            Refusal::TooMany(wait) => write!(
                f,
                "too many failed logins; try again in {} seconds",
                wait.as_millis().div_ceil(1000)
            ),
        }
    }
}

impl Refusal {
    /// The same for the operator.
    #[must_use]
    pub fn for_operator(self) -> String {
        match self {
            Refusal::TooMany(_) => format!("{self}; see --login-failures"),
            Refusal::Wrong | Refusal::NotAllowed => self.to_string(),
        }
    }
}

/// Too many logins wait already: nothing was checked, the client may try again later
/// (`NO [UNAVAILABLE]`, RFC 5530).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

struct Shared {
    users: Users,
    masters: Vec<Box<str>>,
    tokens: Option<Tokens>,
    remembered: Mutex<Remembered>,
    throttle: Mutex<Throttle>,
    /// Hash of a password that nobody knows: what an unknown user is checked against, so that a
    /// name costs the same whether it exists or not.
    nobody: Box<str>,
    /// Makes keys for those who have none.
    secret: [u8; KEY],
    hashed: AtomicU64,
    /// Passwords of one user from one address are checked one after the other: the first that is
    /// right is remembered for the rest, and no guess is looked at beyond those allowed. So are all
    /// of an address when few guesses are left to it. By the numbers of [`Throttle::numbers`].
    one_user: Gates,
    one_address: Gates,
    threads: u32,
}

/// Locks for what is not to be done at the same time. Two things may share one.
struct Gates(Vec<RwLock<()>>);

impl Gates {
    fn new() -> Gates {
        Gates((0..1024).map(|_| RwLock::default()).collect())
    }

    fn with_others(&self, number: usize) -> RwLockReadGuard<'_, ()> {
        self.0[number % self.0.len()].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self, number: usize) -> RwLockWriteGuard<'_, ()> {
        self.0[number % self.0.len()].write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verifier {
    /// Starts a thread for each core, beyond four cores for every two of them, behind the reactors:
    /// logins come in bursts, mail comes always. `secret` is that of [`Users::secret`].
    ///
    /// # Errors
    /// When the system refuses randomness, memory or threads.
    pub fn start(
        users: Users,
        secret: [u8; KEY],
        options: VerifierOptions,
    ) -> io::Result<Verifier> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        users.watch()?;
        let threads = (cores / 2).max(cores.min(4));
        Verifier::with(users, secret, options, threads, limits::LOGINS_WAITING)
    }

    fn with(
        users: Users,
        secret: [u8; KEY],
        options: VerifierOptions,
        threads: usize,
        waiting: usize,
    ) -> io::Result<Verifier> {
        let failures = options.failures.unwrap_or(limits::LOGIN_FAILURES);
        let throttle = Throttle::new(random()?, failures, limits::LOGIN_COUNTS);
        let shared = Shared {
            users,
            masters: options.masters,
            tokens: options.tokens,
            remembered: Mutex::new(Remembered::new(random()?, limits::REMEMBERED_LOGINS)),
            throttle: Mutex::new(throttle),
            nobody: password::hash(&Password::new(random()?)).map_err(io::Error::other)?,
            secret,
            hashed: AtomicU64::new(0),
            one_user: Gates::new(),
            one_address: Gates::new(),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
        };
        let jobs = Jobs::start_behind("login", threads, waiting)?;
        Ok(Verifier { shared: Arc::new(shared), jobs })
    }

    /// Verifies what a client at this address claims. A password that was right a moment ago is
    /// answered at once; for others a thread of the pool spends an argon2. Those who wait for that
    /// take turns by address, so whoever guesses from one keeps no other waiting. A login whose
    /// future is dropped leaves the queue.
    ///
    /// # Errors
    /// [`Busy`] when [`limits::LOGINS_WAITING`] others wait.
    pub async fn verify(&self, from: IpAddr, claim: Claim) -> Result<Verdict, Busy> {
        let shared = self.shared.clone();
        match &claim {
            Claim::Password { identity, password } => {
                // A file of users that changed is read by a thread of the pool, not by a reactor.
                if let Some(users) = shared.users.unchanged()
                    && let Some(verdict) = shared.recall(&users, identity, password)
                {
                    return Ok(verdict);
                }
                let (name, _) = shared.resolve(identity);
                if let Err(refused) = shared.admit(from, name) {
                    return Ok(refused);
                }
            }
            Claim::Token { token, acts_for } => {
                if let Err(refused) = shared.admit(from, acts_for.as_deref().unwrap_or(token)) {
                    return Ok(refused);
                }
            }
            // These cost some microseconds.
            Claim::Proof(_) | Claim::Certificate { .. } => {
                let users = self.up_to_date().await;
                return Ok(shared.check(&users, from, claim));
            }
        }
        let check = move || shared.check(&shared.users.current(), from, claim);
        self.jobs.run_for(&network(from).to_string(), check).await.map_err(|_| Busy)
    }

    /// The keys of a name for SCRAM, or such as nobody has.
    ///
    /// # Errors
    /// The refusal, when there were too many failures.
    pub async fn keys(&self, from: IpAddr, name: &str) -> Result<Keyring, Verdict> {
        let users = self.up_to_date().await;
        let identity = Identity::of(name);
        let (name, _) = self.shared.resolve(&identity);
        self.shared.admit(from, name)?;
        Ok(self.shared.keys(&users, name))
    }

    /// Whether everybody can log in by SCRAM: a client that prefers it and is offered it must not
    /// fail for want of keys.
    pub async fn all_have_keys(&self) -> bool {
        self.up_to_date().await.all_have_keys()
    }

    /// Whether tokens are taken.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        self.shared.tokens.is_some()
    }

    /// The number of the users' last reading; another number, perhaps other users. Costs nothing.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.users.generation()
    }

    /// How a user is now who logged in before, and the number of the reading that says so; `None`
    /// when a session of this user is to end: removed, or with another password.
    #[must_use]
    pub fn still(&self, user: &User) -> Option<(User, u64)> {
        let users = self.shared.users.last();
        Some((users.still(user)?, users.generation()))
    }

    /// How many password hashes were computed since the start.
    #[must_use]
    pub fn hashed(&self) -> u64 {
        self.shared.hashed.load(Ordering::Relaxed)
    }

    /// The users as the file has them; or, when more wait than may, as they were.
    async fn up_to_date(&self) -> Arc<Table> {
        if let Some(users) = self.shared.users.unchanged() {
            return users;
        }
        let shared = self.shared.clone();
        let read = self.jobs.run(move || shared.users.current()).await;
        read.unwrap_or_else(|_| self.shared.users.last())
    }
}

impl Shared {
    fn check(&self, users: &Table, from: IpAddr, claim: Claim) -> Verdict {
        match claim {
            Claim::Password { identity, password } => {
                self.check_password(users, from, &identity, &password)
            }
            Claim::Proof(proof) => self.check_proof(users, from, &proof),
            Claim::Token { token, acts_for } => self.check_token(users, from, &token, acts_for),
            Claim::Certificate { names, acts_for } => {
                self.check_certificate(users, from, &names, acts_for.as_deref())
            }
        }
    }

    fn check_password(
        &self,
        users: &Table,
        from: IpAddr,
        identity: &Identity,
        password: &Password,
    ) -> Verdict {
        let (name, target) = self.resolve(identity);
        let [pair, address] = self.throttle().numbers(from, name);
        let _one_user = self.one_user.alone(pair);
        // Of many logins that waited together, the first pays.
        if let Some(verdict) = self.recall(users, identity, password) {
            return verdict;
        }
        let mut others = Some(self.one_address.with_others(address));
        let near = self.throttle().is_near(from, self.threads, Instant::now());
        let _alone = near.then(|| {
            others.take();
            self.one_address.alone(address)
        });
        // Those that failed while this one waited count.
        if let Err(refused) = self.admit(from, name) {
            return refused;
        }
        let user = users.get(name);
        let phc = user.map_or(&*self.nobody, |user| &*user.phc);
        let right = password::matches(password, phc);
        self.hashed.fetch_add(u64::from(right.is_some()), Ordering::Relaxed);
        match user {
            Some(user) if right == Some(true) => {
                self.remembered().remember(name, phc, password);
                self.authorize(users, from, user, target)
            }
            _ => self.fail(from, name, Refusal::Wrong),
        }
    }

    fn check_proof(&self, users: &Table, from: IpAddr, proof: &Proof) -> Verdict {
        let (name, target) = self.resolve(&proof.identity);
        if let Err(refused) = self.admit(from, name) {
            return refused;
        }
        let right = proof.keys.0.prove(&proof.message, &proof.proof);
        // The password may have been changed since.
        let user = users.get(name).filter(|user| user.keys.as_ref() == Some(&proof.keys.0));
        match user {
            Some(user) if right => self.authorize(users, from, user, target),
            _ => self.fail(from, name, Refusal::Wrong),
        }
    }

    fn check_token(
        &self,
        users: &Table,
        from: IpAddr,
        token: &str,
        acts_for: Option<String>,
    ) -> Verdict {
        // A bad token that is sent over and over counts as one user who is.
        let claimed = acts_for.as_deref().unwrap_or(token);
        if let Err(refused) = self.admit(from, claimed) {
            return refused;
        }
        let named = self.tokens.as_ref().map(|tokens| tokens.user_of(token));
        let user = match &named {
            Some(Ok(name)) => users.get(name),
            Some(Err(error)) => {
                let user = acts_for.as_deref().unwrap_or_default();
                tracing::info!(user, peer = %from, "token refused: {error}");
                None
            }
            None => None,
        };
        match user {
            Some(user) => self.authorize(users, from, user, acts_for.as_deref()),
            None => self.fail(from, claimed, Refusal::Wrong),
        }
    }

    /// The first name that is a user, unless the client says whom it means; a master's certificate
    /// opens everybody's mail.
    fn check_certificate(
        &self,
        users: &Table,
        from: IpAddr,
        names: &[Box<str>],
        acts_for: Option<&str>,
    ) -> Verdict {
        let mut owners = names.iter().filter_map(|name| users.get(name));
        let user = match acts_for {
            None => owners.next(),
            Some(target) => owners.find(|user| &*user.name == target || self.is_master(&user.name)),
        };
        match user {
            Some(user) => self.authorize(users, from, user, acts_for),
            None => self.fail(from, acts_for.unwrap_or_default(), Refusal::NotAllowed),
        }
    }

    /// Whose mail somebody may open who is who he says to be.
    fn authorize(&self, users: &Table, from: IpAddr, user: &User, target: Option<&str>) -> Verdict {
        let target = match target {
            None => return Verdict::Accepted(user.clone()),
            Some(target) if target == &*user.name => return Verdict::Accepted(user.clone()),
            Some(target) => users.get(target),
        };
        match target {
            Some(target) if self.is_master(&user.name) => {
                let master = Some(Arc::new(user.clone()));
                Verdict::Accepted(User { master, ..target.clone() })
            }
            _ => self.fail(from, &user.name, Refusal::NotAllowed),
        }
    }

    /// Whose password it is, and whose mail is wanted if it is another's. With master users,
    /// `alice*admin` is admin who wants alice's.
    fn resolve<'a>(&self, identity: &'a Identity) -> (&'a str, Option<&'a str>) {
        if identity.acts_for.is_none()
            && let Some((target, master)) = identity.name.rsplit_once('*')
            && self.is_master(master)
        {
            return (master, Some(target));
        }
        (&identity.name, identity.acts_for.as_deref())
    }

    fn is_master(&self, name: &str) -> bool {
        self.masters.iter().any(|master| &**master == name)
    }

    fn keys(&self, users: &Table, name: &str) -> Keyring {
        let keys = users.get(name).and_then(|user| user.keys.clone());
        Keyring(keys.unwrap_or_else(|| {
            let keys = Keys::of_nobody(&self.secret, name, users.usual(), unix_seconds());
            Arc::new(keys)
        }))
    }

    fn recall(&self, users: &Table, identity: &Identity, password: &Password) -> Option<Verdict> {
        let (name, target) = self.resolve(identity);
        let user = users.get(name)?;
        let known = self.remembered().knows(name, &user.phc, password);
        // One who may not open this mail is looked at whole, and counted.
        match (known, target) {
            (true, None) => Some(Verdict::Accepted(user.clone())),
            (true, Some(target)) if self.is_master(name) => {
                let master = Some(Arc::new(user.clone()));
                Some(Verdict::Accepted(User { master, ..users.get(target)?.clone() }))
            }
            _ => None,
        }
    }

    fn admit(&self, from: IpAddr, name: &str) -> Result<(), Verdict> {
        let admitted = self.throttle().admit(from, name, Instant::now());
        admitted.map_err(|wait| Verdict::Refused(Refusal::TooMany(wait), limits::LOGIN_DELAY_MAX))
    }

    fn fail(&self, from: IpAddr, name: &str, why: Refusal) -> Verdict {
        Verdict::Refused(why, self.throttle().failed(from, name, Instant::now()))
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().expect("nothing panics while it holds this lock")
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().expect("nothing panics while it holds this lock")
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(io::Error::other)?;
    Ok(octets)
}

#[cfg(test)]
mod tests;
