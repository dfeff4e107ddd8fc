//! Verifies logins off the reactors, on a bounded pool of threads behind an async call. Checks that
//! cost only a hash or two run in place.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use super::claim::{Claim, Identity, Keyring, Proof};
use super::foreign;
use super::keys::{KEY, Keys};
use super::password::{self, Password};
use super::remembered::Remembered;
use super::throttle::{Throttle, network};
use super::tokens::Tokens;
use super::users::{Table, User, Users};
use crate::limits;
use crate::reactor::{Instant, Jobs, unix_seconds};

/// Verifies claims. Clones share the threads, which end with the last clone.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    jobs: Jobs,
}

/// Options of a verifier.
#[derive(Default)]
pub struct VerifierOptions {
    /// Users who may act as any other user.
    pub masters: Vec<Box<str>>,
    /// Token settings, if tokens are accepted.
    pub tokens: Option<Tokens>,
    /// Failures allowed per address in [`limits::LOGIN_WINDOW`]; `None` means
    /// [`limits::LOGIN_FAILURES`].
    pub failures: Option<u32>,
}

/// The result of verifying a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted. [`User::acting`] is set if a master user acts.
    Accepted(User),
    /// Refused. Tell the client after this delay.
    Refused(LoginRefusal, Duration),
}

/// Why a claim is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRefusal {
    /// Name and evidence do not match. Neither the reply nor its timing tells which is wrong.
    Wrong,
    /// They match, but this user may not open the requested mail.
    NotAllowed,
    /// Nothing was checked after too many failures; try again after this time.
    TooMany(Duration),
}

impl fmt::Display for LoginRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoginRefusal::Wrong => f.write_str("user name, password or token is wrong"),
            LoginRefusal::NotAllowed => f.write_str("not allowed to open the mail of that user"),
            LoginRefusal::TooMany(wait) => write!(
                f,
                "too many failed logins; try again in {} seconds",
                wait.as_millis().div_ceil(1000)
            ),
        }
    }
}

impl LoginRefusal {
    /// The text for the operator.
    #[must_use]
    pub fn for_operator(self) -> String {
        match self {
            LoginRefusal::TooMany(_) => format!("{self}; see --login-failures"),
            LoginRefusal::Wrong | LoginRefusal::NotAllowed => self.to_string(),
        }
    }
}

/// Too many logins are waiting. Nothing was checked, and the client may try again (`NO
/// [UNAVAILABLE]`, RFC 5530).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

struct Shared {
    users: Users,
    masters: Vec<Box<str>>,
    tokens: Option<Tokens>,
    remembered: Mutex<Remembered>,
    throttle: Mutex<Throttle>,
    /// Hash of an unknown password. Unknown users are checked against it, so that a name takes
    /// equally long whether or not it exists.
    unknown_hash: Box<str>,
    /// Seed of keys for unknown names.
    secret: [u8; KEY],
    hashed: AtomicU64,
    /// Passwords of one user from one address are checked one by one: the first right one is
    /// remembered for the rest, and no guess beyond those allowed is checked. The same goes for all
    /// logins from an address that has few guesses left. Indexed by [`Throttle::numbers`].
    one_user: Gates,
    one_address: Gates,
    threads: u32,
}

/// Locks that keep checks from running at the same time. Unrelated checks may share one.
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
    /// Starts a thread for each of up to four cores and for every second further one, at lower
    /// priority than the reactors: logins come in bursts, mail comes always. `secret` is
    /// [`Users::secret`].
    ///
    /// # Errors
    /// If the system refuses random numbers, memory or threads.
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
            unknown_hash: password::hash(&Password::new(random()?)).map_err(io::Error::other)?,
            secret,
            hashed: AtomicU64::new(0),
            one_user: Gates::new(),
            one_address: Gates::new(),
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
        };
        let jobs = Jobs::start_behind("login", threads, waiting)?;
        Ok(Verifier { shared: Arc::new(shared), jobs })
    }

    /// Verifies the claim of a client at this address. A password that was right a moment ago is
    /// accepted immediately; for others, a thread of the pool computes an argon2. Waiting logins
    /// take turns by address, so guesses from one address do not delay other addresses. A login
    /// whose future is dropped leaves the queue.
    ///
    /// # Errors
    /// [`Busy`] if [`limits::LOGINS_WAITING`] logins are waiting.
    pub async fn verify(&self, from: IpAddr, claim: Claim) -> Result<Verdict, Busy> {
        let shared = self.shared.clone();
        match &claim {
            Claim::Password { identity, password } => {
                // A changed users file is read by a thread of the pool, not by a reactor.
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
            // These take some microseconds.
            Claim::Proof(_) | Claim::Certificate { .. } => {
                let users = self.up_to_date().await;
                return Ok(shared.check(&users, from, claim));
            }
        }
        let check = move || shared.check(&shared.users.current(), from, claim);
        self.jobs.run_for(&network(from).to_string(), check).await.map_err(|_| Busy)
    }

    /// The SCRAM keys of a name; made up for an unknown name.
    ///
    /// # Errors
    /// The refusal, after too many failures.
    pub async fn keys(&self, from: IpAddr, name: &str) -> Result<Keyring, Verdict> {
        let users = self.up_to_date().await;
        let identity = Identity::of(name);
        let (name, _) = self.shared.resolve(&identity);
        self.shared.admit(from, name)?;
        Ok(self.shared.keys(&users, name))
    }

    /// Whether every user can log in with SCRAM. If it were offered otherwise, clients that prefer
    /// it would fail for users without keys.
    pub async fn all_have_keys(&self) -> bool {
        self.up_to_date().await.all_have_keys()
    }

    /// Whether tokens are accepted.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        self.shared.tokens.is_some()
    }

    /// Generation of the latest users table. If it is unchanged, so are the users. Costs nothing.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.users.generation()
    }

    /// The current entry of a user who logged in before, with the generation it is from. `None` if
    /// the user's sessions must end: the user was removed, or the password changed.
    #[must_use]
    pub fn still(&self, user: &User) -> Option<(User, u64)> {
        let users = self.shared.users.last();
        Some((users.still(user)?, users.generation()))
    }

    /// Number of password hashes computed since the start.
    #[must_use]
    pub fn hashed(&self) -> u64 {
        self.shared.hashed.load(Ordering::Relaxed)
    }

    /// The users as the file has them; the previous ones if too many jobs are waiting.
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
        let near = self.throttle().check_margin(from, self.threads, Instant::now());
        let _alone = near.then(|| {
            others.take();
            self.one_address.alone(address)
        });
        // Failures that occurred while this login waited count too.
        if let Err(refused) = self.admit(from, name) {
            return refused;
        }
        let user = users.get(name);
        let hash = user.map_or(&*self.unknown_hash, |user| &*user.hash);
        let right = foreign::matches(password, hash);
        self.hashed.fetch_add(u64::from(right.is_some()), Ordering::Relaxed);
        match user {
            Some(user) if right == Some(true) => {
                let renewed = self.renew(user, password);
                let user = renewed.as_ref().unwrap_or(user);
                self.remembered().remember(name, &user.hash, password);
                self.authorize(users, from, user, target)
            }
            _ => {
                // Where the right password would have been hashed anew: a name takes equally long.
                if user.is_some_and(User::is_foreign) {
                    let _ = foreign::matches(password, &self.unknown_hash);
                }
                self.fail(from, name, LoginRefusal::Wrong)
            }
        }
    }

    /// Replaces the hash of another server, now that the password is known. If that fails, the next
    /// login tries it again.
    fn renew(&self, user: &User, password: &Password) -> Option<User> {
        if !user.is_foreign() {
            return None;
        }
        match self.users.renew(&user.name, &user.hash, password) {
            Ok(renewed) => {
                // So that the session does not meet the table with the old hash.
                self.users.current();
                renewed
            }
            Err(error) => {
                tracing::warn!("user {} keeps the hash of another server: {error}", user.name);
                None
            }
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
            _ => self.fail(from, name, LoginRefusal::Wrong),
        }
    }

    fn check_token(
        &self,
        users: &Table,
        from: IpAddr,
        token: &str,
        acts_for: Option<String>,
    ) -> Verdict {
        // A bad token that is sent repeatedly counts as one user.
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
            None => self.fail(from, claimed, LoginRefusal::Wrong),
        }
    }

    /// Selects the first name in the certificate that is a user, unless the client names one. A
    /// master user's certificate opens every user's mail.
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
            None => self.fail(from, acts_for.unwrap_or_default(), LoginRefusal::NotAllowed),
        }
    }

    /// Decides whether an authenticated user may open the requested mail.
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
            _ => self.fail(from, &user.name, LoginRefusal::NotAllowed),
        }
    }

    /// The owner of the password, and the user whose mail is requested if it is another. With
    /// master users, `alice*admin` means that admin requests alice's mail.
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
            let keys = Keys::of_unknown(&self.secret, name, users.usual(), unix_seconds());
            Arc::new(keys)
        }))
    }

    fn recall(&self, users: &Table, identity: &Identity, password: &Password) -> Option<Verdict> {
        let (name, target) = self.resolve(identity);
        let user = users.get(name)?;
        let known = self.remembered().check(name, &user.hash, password);
        // A user who may not open this mail is still checked completely, and counted.
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
        admitted
            .map_err(|wait| Verdict::Refused(LoginRefusal::TooMany(wait), limits::LOGIN_DELAY_MAX))
    }

    fn fail(&self, from: IpAddr, name: &str, why: LoginRefusal) -> Verdict {
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
