//! LOGIN and AUTHENTICATE (RFC 3501 sections 6.2.2 and 6.2.3, RFC 4422, RFC 4959).

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::deadline::Deadline;
use super::session::{Flow, Session};
use super::vigil::Vigil;
use crate::auth::{
    Busy, Claim, Identity, LoginRefusal, Mechanism, MechanismName, Password, SaslError, Step, User,
    Verdict,
};
use crate::home::{Arrival, FAULTY, Seat};
use crate::limits::{LINE_BEFORE_LOGIN, LOGINS_OF_CONNECTION};
use crate::net::Gone;
use crate::reactor::{random, sleep, timeout};
use imap::protocol::response::{Code, continuation};
use imap::protocol::{Secret, Tag, decode_sasl};

/// The BYE of a session whose user is no longer the one who logged in.
const GONE: &str = "the user was removed, or has another password now";

/// Capabilities that every client gets; those of login and the limits are added later.
pub(crate) const CAPABILITIES: &str = "\
    IMAP4rev1 LITERAL+ SASL-IR ID ENABLE NAMESPACE UNSELECT UIDPLUS MULTIAPPEND STATUS=SIZE IDLE \
    MOVE CONDSTORE QRESYNC UNAUTHENTICATE UTF8=ACCEPT IMAP4rev2 BINARY LIST-EXTENDED LIST-STATUS \
    CHILDREN SPECIAL-USE CREATE-SPECIAL-USE METADATA OBJECTID SAVEDATE PREVIEW PARTIAL ESEARCH \
    SEARCHRES WITHIN SORT SORT=DISPLAY ESORT CONTEXT=SEARCH CONTEXT=SORT THREAD=ORDEREDSUBJECT \
    THREAD=REFERENCES THREAD=REFS";

/// A command that logs in.
pub(super) enum Login {
    Command { user: Vec<u8>, password: Secret },
    Sasl { mechanism: Box<str>, initial: Option<Vec<u8>> },
}

/// Why a challenge has no response.
enum NoResponse {
    /// The client has disconnected.
    Gone,
    /// The client sent `*`, or invalid base64.
    Cancelled,
}

/// Whether the connection comes from this machine, where LOGIN and PLAIN are allowed without TLS.
fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl Session {
    /// The capabilities for this client, for the greeting, CAPABILITY and the reply to a login.
    pub(super) async fn capabilities(&self) -> String {
        let mut list = format!("{CAPABILITIES} APPENDLIMIT={}", self.home.settings.append_limit);
        if self.user.is_some() {
            return list;
        }
        if self.offers_tls() {
            list.push_str(" STARTTLS");
        }
        for mechanism in self.offered().await {
            list.push_str(" AUTH=");
            list.push_str(mechanism.as_str());
        }
        if !self.takes_passwords() {
            list.push_str(" LOGINDISABLED");
        }
        list
    }

    /// The mechanisms that this client could use now.
    async fn offered(&self) -> Vec<MechanismName> {
        let (verifier, security) = (&self.home.verifier, &self.security);
        let has_keys = verifier.all_have_keys().await;
        let works = |name: &MechanismName| match name {
            MechanismName::Plain | MechanismName::Login => self.is_private(),
            MechanismName::OauthBearer | MechanismName::Xoauth2 => {
                self.is_private() && verifier.takes_tokens()
            }
            MechanismName::ScramSha256 => has_keys,
            MechanismName::ScramSha256Plus => has_keys && security.exporter.is_some(),
            MechanismName::External => !security.certificate_names.is_empty(),
        };
        self.home.settings.mechanisms.iter().copied().filter(works).collect()
    }

    /// Whether passwords may be sent unencrypted by the client, because the connection is protected
    /// or local, or the operator allows it.
    fn is_private(&self) -> bool {
        self.security.private
            || is_local(self.conn.address())
            || self.home.settings.allow_plaintext_auth
    }

    /// LOGIN is allowed if a mechanism that sends the password is.
    fn takes_passwords(&self) -> bool {
        let allowed = &self.home.settings.mechanisms;
        let shown = [MechanismName::Plain, MechanismName::Login];
        self.is_private() && shown.iter().any(|name| allowed.contains(name))
    }

    pub(super) async fn login(&mut self, tag: &Tag, login: Login) -> Flow {
        if self.user.is_some() {
            self.bad(tag, "somebody is logged in already");
            return Flow::On;
        }
        match login {
            Login::Command { user, password } => {
                self.trail.mechanism = "LOGIN command";
                if !self.takes_passwords() {
                    self.not_offered(tag, "LOGIN", true);
                    return Flow::On;
                }
                // No user has a name that is not UTF-8.
                let identity = Identity::of(String::from_utf8_lossy(&user));
                let password = Password::new(password.0);
                self.claim(tag, Claim::Password { identity, password }, None).await
            }
            Login::Sasl { mechanism, initial } => self.authenticate(tag, &mechanism, initial).await,
        }
    }

    async fn authenticate(&mut self, tag: &Tag, name: &str, initial: Option<Vec<u8>>) -> Flow {
        let offered = self.offered().await;
        let known = MechanismName::parse(name);
        self.trail.mechanism = known.map_or("unknown", MechanismName::as_str);
        let Some(name) = known.filter(|name| offered.contains(name)) else {
            let shows_secret = known.is_some_and(MechanismName::shows_secret);
            self.not_offered(tag, &format!("AUTHENTICATE {name}"), shows_secret);
            return Flow::On;
        };
        let nonce = [random(), random(), random()];
        let [Ok(first), Ok(second), Ok(third)] = nonce else {
            self.no(tag, Some(Code::Unavailable), "the system gives no randomness");
            return Flow::On;
        };
        let offers_plus = offered.contains(&MechanismName::ScramSha256Plus);
        let nonce = [first, second, third];
        let mut mechanism = Mechanism::start(name, &self.security, nonce, offers_plus);
        let mut step = mechanism.step(initial.as_deref());
        loop {
            step = match step {
                Step::Challenge(octets) => match self.challenge(&octets).await {
                    Ok(response) => mechanism.step(Some(&response)),
                    Err(NoResponse::Gone) => return Flow::Over,
                    Err(NoResponse::Cancelled) => {
                        self.bad(tag, "AUTHENTICATE cancelled, or the response is no base64");
                        return Flow::On;
                    }
                },
                Step::Keys(name) => {
                    match self.home.verifier.keys(self.conn.address().ip(), &name).await {
                        Ok(keys) => mechanism.keys(keys),
                        Err(verdict) => {
                            return self.judge(tag, &name, verdict, Some(&mechanism)).await;
                        }
                    }
                }
                Step::Claim(claim) => return self.claim(tag, claim, Some(&mechanism)).await,
                Step::Failed(error) => {
                    self.sasl_failed(tag, error);
                    return Flow::On;
                }
            };
        }
    }

    /// Replies that a login method is not available here.
    fn not_offered(&self, tag: &Tag, what: &str, shows_secret: bool) {
        if shows_secret && !self.is_private() {
            let text = "passwords and tokens in clear text are taken from this machine only; \
                        use TLS";
            self.login_refused("", &format!("{text}, or see --allow-plaintext-auth"));
            self.no(tag, Some(Code::PrivacyRequired), text);
        } else {
            let text = format!("{what} is not offered here; CAPABILITY lists what is");
            self.no(tag, Some(Code::Cannot), &text);
        }
    }

    fn sasl_failed(&self, tag: &Tag, error: SaslError) {
        match error {
            SaslError::Malformed(_) => self.bad(tag, &error.to_string()),
            SaslError::ChannelBinding(_) => {
                self.no(tag, Some(Code::AuthenticationFailed), &error.to_string());
            }
        }
    }

    /// Sends a challenge and waits for the response.
    async fn challenge(&mut self, octets: &[u8]) -> Result<Vec<u8>, NoResponse> {
        self.output.push(|out| continuation(out, &STANDARD.encode(octets)));
        let line = self.input.line(LINE_BEFORE_LOGIN).await.ok_or(NoResponse::Gone)?;
        // `*` cancels (RFC 3501 section 6.2.2). It is invalid base64 too.
        decode_sasl(&line).map(|secret| secret.0).ok_or(NoResponse::Cancelled)
    }

    async fn claim(&mut self, tag: &Tag, claim: Claim, mechanism: Option<&Mechanism>) -> Flow {
        let name = claim.name().to_owned();
        // A tenth of the time is kept for the reply that the login took too long.
        let left = self.deadline.as_ref().map_or(Duration::ZERO, Deadline::left) / 10 * 9;
        let verified = async {
            let verified = self.home.verifier.verify(self.conn.address().ip(), claim);
            timeout(left, verified).await.unwrap_or(Err(Busy))
        };
        match self.watch(&mut Vigil::new(), verified).await {
            Ok(Ok(verdict)) => self.judge(tag, &name, verdict, mechanism).await,
            Ok(Err(Busy)) => {
                let text = "the server is busy; try again";
                self.login_refused(&name, text);
                self.no(tag, Some(Code::Unavailable), text);
                Flow::On
            }
            Err(Gone) => Flow::Over,
        }
    }

    async fn judge(
        &mut self,
        tag: &Tag,
        name: &str,
        verdict: Verdict,
        mechanism: Option<&Mechanism>,
    ) -> Flow {
        let user = match verdict {
            Verdict::Accepted(user) => user,
            Verdict::Refused(why, delay) => {
                self.login_refused(name, &why.for_operator());
                sleep(delay).await;
                return self.refused(tag, why, mechanism).await;
            }
        };
        if let Some(last) = mechanism.and_then(Mechanism::accepted) {
            match self.challenge(&last).await {
                Ok(response) if response.is_empty() => {}
                Err(NoResponse::Gone) => return Flow::Over,
                // The client has rejected the server's proof of identity.
                Ok(_) | Err(NoResponse::Cancelled) => {
                    self.bad(tag, "AUTHENTICATE cancelled");
                    return Flow::On;
                }
            }
        }
        self.accepted(tag, user).await
    }

    async fn refused(
        &mut self,
        tag: &Tag,
        why: LoginRefusal,
        mechanism: Option<&Mechanism>,
    ) -> Flow {
        if let Some(last) = mechanism.and_then(Mechanism::refused)
            && let Err(NoResponse::Gone) = self.challenge(&last).await
        {
            return Flow::Over;
        }
        let code = match why {
            LoginRefusal::Wrong => Code::AuthenticationFailed,
            LoginRefusal::NotAllowed => Code::AuthorizationFailed,
            LoginRefusal::TooMany(_) => Code::Unavailable,
        };
        self.no(tag, Some(code), &why.to_string());
        self.failures += 1;
        if self.failures < LOGINS_OF_CONNECTION {
            return Flow::On;
        }
        let text = format!("{LOGINS_OF_CONNECTION} logins have failed on this connection");
        self.farewell(None, &text);
        Flow::Over
    }

    async fn accepted(&mut self, tag: &Tag, user: User) -> Flow {
        if self.home.reactor_of(&user.account()) != self.home.number {
            return Flow::Move(user, tag.clone());
        }
        self.welcome(user, tag).await;
        Flow::On
    }

    /// Moves the session to the reactor of its account.
    pub(super) async fn move_to(self, user: User, tag: Tag) {
        let Session { home, conn, output, input, permit, trail, .. } = self;
        if output.flush().await.is_err() {
            return;
        }
        drop(output);
        let target = home.reactor_of(&user.account());
        let input = input.into_octets();
        let target = home.reactors.get().and_then(|reactors| reactors.get(target));
        if let (Ok(guest), Some(target)) = (conn.into_guest(), target) {
            // If that reactor has ended, the server is about to end too.
            let _ = target.send(Arrival::LoggedIn { guest, user, tag, input, permit, trail });
        }
    }

    /// Completes a login on the reactor of the account.
    pub(super) async fn welcome(&mut self, user: User, tag: &Tag) {
        let most = self.home.settings.connections_per_user;
        let Some(seat) = Seat::take(&self.home.seats, &user.name, most) else {
            let text = format!("too many connections of this user, {most} is the most");
            self.login_refused(&user.name, &format!("{text}; see --connections-per-user"));
            return self.no(tag, Some(Code::Limit), &text);
        };
        // The users file may have changed while the session moved.
        let Some((user, generation)) = self.home.verifier.still(&user) else {
            return self.no(tag, Some(Code::AuthenticationFailed), "the password was changed");
        };
        let owner = match self.home.owner(&user).await {
            Ok(owner) => owner,
            Err(error) => {
                tracing::error!(user = %user.name, "the account cannot be opened: {error}");
                self.no(
                    tag,
                    Some(Code::Unavailable),
                    "the account cannot be opened; the log says why",
                );
                return;
            }
        };
        if owner.is_faulty() {
            return self.no(tag, Some(Code::Unavailable), FAULTY);
        }
        if let Err(error) = self.home.inbox(&owner).await {
            self.not_written(tag, &error);
            return;
        }
        self.login_accepted(&user);
        self.deadline = None;
        self.input.logged_in();
        self.output.logged_in();
        self.attending = Some(owner.attend(&self.conn));
        self.user = Some((user, owner));
        (self.seat, self.generation) = (Some(seat), generation);
        let capabilities = self.capabilities().await;
        self.ok_code(tag, Code::Capability(&capabilities), "logged in");
    }

    /// Whether the user is still in the users file with the password of this login. If not, the
    /// session is over and the client was told. Cheap while the file has not changed.
    pub(super) async fn goes_on(&mut self) -> bool {
        let verifier = &self.home.verifier;
        let Some((user, owner)) = &mut self.user else { return true };
        if verifier.generation() == self.generation {
            return true;
        }
        let Some((now, generation)) = verifier.still(user) else {
            self.farewell(None, GONE);
            return false;
        };
        owner.quota.set(now.quota);
        (*user, self.generation) = (now, generation);
        true
    }

    /// Ends the session if the mail of its removed user is being deleted. Returns whether it did.
    pub(super) fn end_if_removed(&self) -> bool {
        let removed = self.user.as_ref().is_some_and(|(_, owner)| owner.is_removed());
        if removed {
            self.farewell(None, GONE);
        }
        removed
    }

    /// Ends the session if its account was abandoned after an error. Returns whether it did.
    pub(super) fn end_if_faulty(&self) -> bool {
        let faulty = self.user.as_ref().is_some_and(|(_, owner)| owner.is_faulty());
        if faulty {
            self.farewell(Some(Code::Unavailable), FAULTY);
        }
        faulty
    }
}
