//! LOGIN and AUTHENTICATE PLAIN (RFC 3501 sections 6.2.2 and 6.2.3, RFC 4616, RFC 4959).

use super::dispatch::{Flow, Session};
use crate::auth::{Password, Plain, SaslError, User, Verdict, plain};
use crate::protocol::response::{Code, continuation};
use crate::protocol::{Secret, Tag, decode_sasl};

/// What this server can do, but for logging in and limits.
const CAPABILITIES: &str = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE NAMESPACE UNSELECT UIDPLUS \
     MULTIAPPEND STATUS=SIZE IDLE MOVE CONDSTORE QRESYNC UNAUTHENTICATE UTF8=ACCEPT IMAP4rev2 \
     BINARY LIST-EXTENDED LIST-STATUS CHILDREN SPECIAL-USE CREATE-SPECIAL-USE OBJECTID SAVEDATE \
     PREVIEW PARTIAL ESEARCH SEARCHRES WITHIN SORT SORT=DISPLAY ESORT CONTEXT=SEARCH CONTEXT=SORT \
     THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS";

/// Longest response to a challenge: name and password in base64.
const RESPONSE: usize = 4 << 10;

/// A command that logs in.
pub(super) enum Login {
    Command { user: Vec<u8>, password: Secret },
    Sasl { mechanism: Box<str>, initial: Option<Vec<u8>> },
}

impl Session {
    /// What this server can do for this client: to be told in the greeting, by CAPABILITY and after
    /// login.
    pub(super) fn capabilities(&self) -> String {
        let login = match (&self.user, self.takes_passwords()) {
            (Some(_), _) => "",
            (None, true) => " AUTH=PLAIN",
            (None, false) => " LOGINDISABLED",
        };
        let tls = if self.offers_tls() { " STARTTLS" } else { "" };
        format!("{CAPABILITIES} APPENDLIMIT={}{tls}{login}", self.home.settings.append_limit)
    }

    pub(super) async fn login(&mut self, tag: &Tag, login: Login) -> Flow {
        if self.user.is_some() {
            self.bad(tag, "somebody is logged in already");
            return Flow::On;
        }
        if !self.takes_passwords() {
            let reason = "passwords are not taken in clear text; use TLS";
            self.login_refused("", reason);
            self.no(tag, Some(Code::PrivacyRequired), reason);
            return Flow::On;
        }
        let (name, password) = match self.credentials(tag, login).await {
            Ok(credentials) => credentials,
            Err(flow) => return flow,
        };
        match self.home.verifier.verify(&name, password).await {
            Ok(Verdict::Accepted(user)) => self.accepted(tag, user).await,
            Ok(Verdict::Refused) => {
                let reason = "user name or password is wrong";
                self.login_refused(&name, reason);
                self.no(tag, Some(Code::AuthenticationFailed), reason);
                Flow::On
            }
            Err(_) => {
                let reason = "too many logins at once; try again";
                self.login_refused(&name, reason);
                self.no(tag, Some(Code::Unavailable), reason);
                Flow::On
            }
        }
    }

    async fn credentials(&mut self, tag: &Tag, login: Login) -> Result<(String, Password), Flow> {
        let (mechanism, initial) = match login {
            Login::Command { user, password } => {
                // A name that is not UTF-8 is nobody's.
                let name = String::from_utf8_lossy(&user).into_owned();
                return Ok((name, Password::new(password.0)));
            }
            Login::Sasl { mechanism, initial } => (mechanism, initial),
        };
        if &*mechanism != "PLAIN" {
            self.no(tag, None, "this server knows AUTHENTICATE PLAIN only");
            return Err(Flow::On);
        }
        let response = match initial {
            Some(response) => Some(response),
            None => {
                self.output.push(|out| continuation(out, ""));
                let line = self.input.line(RESPONSE).await.ok_or(Flow::Over)?;
                // `*` cancels (RFC 3501 section 6.2.2); it is no base64 either.
                decode_sasl(&line).map(|secret| secret.0)
            }
        };
        let Some(response) = response else {
            self.bad(tag, "AUTHENTICATE cancelled, or the response is no base64");
            return Err(Flow::On);
        };
        match plain(&response) {
            Ok(Plain { name, password }) => Ok((name, password)),
            Err(error @ SaslError::OtherIdentity) => {
                self.no(tag, Some(Code::AuthorizationFailed), &error.to_string());
                Err(Flow::On)
            }
            Err(error) => {
                self.bad(tag, &error.to_string());
                Err(Flow::On)
            }
        }
    }

    async fn accepted(&mut self, tag: &Tag, user: User) -> Flow {
        if self.home.reactor_of(&user.name) != self.home.number {
            return Flow::Move(user, tag.clone());
        }
        self.welcome(user, tag).await;
        Flow::On
    }

    /// The account is at home here.
    pub(super) async fn welcome(&mut self, user: User, tag: &Tag) {
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
        if let Err(error) = self.home.inbox(&owner).await {
            self.not_written(tag, &error);
            return;
        }
        self.login_accepted(&user.name);
        self.deadline = None;
        self.input.logged_in();
        self.output.logged_in();
        self.user = Some((user, owner));
        self.ok_code(tag, Some(Code::Capability(&self.capabilities())), "logged in");
    }
}
