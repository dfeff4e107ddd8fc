//! The mechanisms SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), bound by
//! `tls-exporter` (RFC 9266).
//!
//! ```text
//! C: n,,n=user,r=rOprNGfwEbeRWgbNEkqO                                     client-first
//! S: r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=...,i=4096     server-first
//! C: c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=...     client-final
//! S: v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=                        server-final
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::step::{SaslError, Step, text};
use crate::auth::claim::{Claim, Identity, Keyring, Proof};

/// The only channel binding for TLS 1.3 (RFC 9266).
const EXPORTER: &str = "tls-exporter";

/// The client says that the server does not offer channel binding, but it does (RFC 5802 section
/// 6).
const DOWNGRADE: &str = "possible downgrade attack: this server offered SCRAM-SHA-256-PLUS, but \
                         the client did not see it";

/// The channel binding of the exchange.
#[derive(Clone, Copy)]
pub(super) enum Binding {
    /// None. A client that believes that the server offers no binding must be right.
    Unused { offers_plus: bool },
    /// To the TLS connection, by these octets.
    Exporter(Option<[u8; 32]>),
}

/// The state of an exchange.
pub(super) struct Scram {
    binding: Binding,
    server_nonce: String,
    state: State,
}

enum State {
    ClientFirst,
    Keys(First),
    ClientFinal { first: First, server_first: String, keys: Keyring },
    Claimed { signature: [u8; 32] },
    Over,
}

/// The client's first message.
struct First {
    /// `gs2-header`, which the last message repeats.
    header: String,
    /// `client-first-message-bare`
    bare: String,
    identity: Identity,
    nonce: String,
}

impl Scram {
    pub(super) fn new(binding: Binding, nonce: [u64; 3]) -> Scram {
        let octets: Vec<u8> = nonce.iter().flat_map(|number| number.to_le_bytes()).collect();
        Scram { binding, server_nonce: STANDARD.encode(octets), state: State::ClientFirst }
    }

    pub(super) fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        let message = text(response, "it is not UTF-8")?;
        match std::mem::replace(&mut self.state, State::Over) {
            State::ClientFirst => {
                let first = self.client_first(&message)?;
                let name = first.identity.name.clone();
                self.state = State::Keys(first);
                Ok(Step::Keys(name))
            }
            State::ClientFinal { first, server_first, keys } => {
                self.client_final(&message, first, &server_first, keys)
            }
            _ => Err(SaslError::Malformed("the exchange is over")),
        }
    }

    /// ```abnf
    /// server-first-message = [reserved-mext ","] nonce "," salt ","
    ///                        iteration-count ["," extensions]
    /// ```
    pub(super) fn keys(&mut self, keys: Keyring) -> Step {
        let State::Keys(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Step::Failed(SaslError::Malformed("no keys were asked for"));
        };
        let (salt, iterations) = (STANDARD.encode(&keys.0.salt), keys.0.iterations);
        let server_first =
            format!("r={}{},s={salt},i={iterations}", first.nonce, self.server_nonce);
        let challenge = server_first.clone().into_bytes();
        self.state = State::ClientFinal { first, server_first, keys };
        Step::Challenge(challenge)
    }

    /// ```abnf
    /// verifier             = "v=" base64     ;; base-64 encoded ServerSignature.
    /// server-final-message = (server-error / verifier) ["," extensions]
    /// ```
    pub(super) fn accepted(&self) -> Option<Vec<u8>> {
        match &self.state {
            State::Claimed { signature } => {
                Some(format!("v={}", STANDARD.encode(signature)).into_bytes())
            }
            _ => None,
        }
    }

    /// ```abnf
    /// gs2-cbind-flag            = ("p=" cb-name) / "n" / "y"
    /// gs2-header                = gs2-cbind-flag "," [ authzid ] ","
    /// authzid                   = "a=" saslname
    /// username                  = "n=" saslname
    /// reserved-mext             = "m=" 1*(value-char)
    /// nonce                     = "r=" c-nonce [s-nonce]
    /// client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
    /// client-first-message      = gs2-header client-first-message-bare
    /// ```
    fn client_first(&self, message: &str) -> Result<First, SaslError> {
        let malformed = SaslError::Malformed("a first message is n,,n=name,r=nonce");
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        self.check_flag(flag)?;
        let acts_for = match authzid.strip_prefix("a=") {
            Some(name) => saslname(name).ok_or(malformed)?,
            None if authzid.is_empty() => String::new(),
            None => return Err(malformed),
        };
        let mut attributes = bare.split(',');
        let (name, nonce) = (attributes.next(), attributes.next());
        // `m=` marks extensions that must be understood; no other attribute can stand here.
        let name = name.and_then(|value| saslname(value.strip_prefix("n=")?)).ok_or(malformed)?;
        let nonce = nonce.and_then(|value| value.strip_prefix("r=")).ok_or(malformed)?;
        if nonce.is_empty() || !nonce.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(malformed);
        }
        Ok(First {
            header: format!("{flag},{authzid},"),
            identity: Identity::new(name, acts_for),
            nonce: nonce.into(),
            bare: bare.into(),
        })
    }

    /// Checks the channel binding flag (RFC 5802 section 6).
    fn check_flag(&self, flag: &str) -> Result<(), SaslError> {
        let wrong = |why| Err(SaslError::ChannelBinding(why));
        match (flag, self.binding) {
            ("n", Binding::Unused { .. }) | ("y", Binding::Unused { offers_plus: false }) => Ok(()),
            ("y", Binding::Unused { offers_plus: true }) => wrong(DOWNGRADE),
            ("n" | "y", Binding::Exporter(_)) => {
                wrong("SCRAM-SHA-256-PLUS requires channel binding")
            }
            (_, binding) => match (flag.strip_prefix("p="), binding) {
                (Some(EXPORTER), Binding::Exporter(Some(_))) => Ok(()),
                (Some(_), Binding::Exporter(_)) => {
                    wrong("the only channel binding is tls-exporter")
                }
                (Some(_), Binding::Unused { .. }) => wrong("SCRAM-SHA-256 has no channel binding"),
                (None, _) => Err(SaslError::Malformed("a first message begins with n, y or p=")),
            },
        }
    }

    /// ```abnf
    /// channel-binding                    = "c=" base64      ;; base64 encoding of cbind-input.
    /// proof                              = "p=" base64
    /// client-final-message-without-proof = channel-binding "," nonce ["," extensions]
    /// client-final-message               = client-final-message-without-proof "," proof
    /// cbind-input                        = gs2-header [ cbind-data ]
    /// ```
    fn client_final(
        &mut self,
        message: &str,
        first: First,
        server_first: &str,
        keys: Keyring,
    ) -> Result<Step, SaslError> {
        let malformed = SaslError::Malformed("a last message is c=binding,r=nonce,p=proof");
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(malformed)?;
        let mut attributes = without_proof.split(',');
        let (binding, nonce) = (attributes.next(), attributes.next());
        let binding = binding.and_then(|value| value.strip_prefix("c=")).ok_or(malformed)?;
        let nonce = nonce.and_then(|value| value.strip_prefix("r=")).ok_or(malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| malformed)?;
        let mut bound = first.header.into_bytes();
        if let Binding::Exporter(Some(octets)) = self.binding {
            bound.extend_from_slice(&octets);
        }
        if STANDARD.decode(binding).ok() != Some(bound) {
            return Err(SaslError::ChannelBinding(
                "the channel binding is not that of this connection",
            ));
        }
        if nonce.strip_prefix(&*first.nonce) != Some(&*self.server_nonce) {
            return Err(SaslError::Malformed("the nonce is not the one in the challenge"));
        }
        // AuthMessage := client-first-message-bare + "," + server-first-message + "," +
        //                client-final-message-without-proof
        let message = format!("{},{server_first},{without_proof}", first.bare).into_bytes();
        self.state = State::Claimed { signature: keys.0.signature(&message) };
        let proof = Proof { identity: first.identity, keys, message, proof };
        Ok(Step::Claim(Claim::Proof(Box::new(proof))))
    }
}

/// ```abnf
/// saslname        = 1*(value-safe-char / "=2C" / "=3D")
/// value-safe-char = %x01-2B / %x2D-3C / %x3E-7F / UTF8-2 / UTF8-3 / UTF8-4
///                   ;; UTF8-char except NUL, "=", and ",".
/// ```
pub(super) fn saslname(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        name.push(escaped);
        name.push_str(rest);
    }
    (!name.is_empty() && !name.contains('\0') && !text.contains(',')).then_some(name)
}

#[cfg(test)]
mod tests;
