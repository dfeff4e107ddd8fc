//! Authentication: the users file, SASL, and the checks of passwords, tokens and certificates. Work
//! of more than some microseconds is done off the reactors.
//!
//! ```text
//!  LOGIN, AUTHENTICATE ──▶ Mechanism ──▶ Claim ──▶ Verifier ──▶ remembered? ──▶ Verdict
//!                           (sasl)                    │ no                         ▲
//!                                                     ├──▶ too many failures? ─────┤
//!                                                     ▼     (throttle)             │
//!                                            a pool of threads ──▶ argon2id, JWT ──┘
//! ```

mod claim;
mod foreign;
mod keys;
mod line;
mod password;
mod recent;
mod remembered;
mod sasl;
mod stamp;
mod throttle;
mod tokens;
mod users;
mod verifier;

pub(crate) use claim::{Claim, Identity};
pub(crate) use password::Password;
pub(crate) use sasl::{Mechanism, MechanismName, SaslError, Step};
pub(crate) use throttle::network;
pub(crate) use tokens::{TokenConfig, TokenKeysError, Tokens};
pub(crate) use users::{Format, Import, Kept, User, UserError, Users};
pub(crate) use verifier::{Busy, LoginRefusal, Verdict, Verifier, VerifierOptions};
