//! Who may log in: the file of users, and the check of their passwords away from the reactors.
//!
//! ```text
//!  LOGIN, AUTHENTICATE PLAIN ──▶ Verifier ──▶ remembered? ──no──▶ a pool of threads ──▶ argon2id
//!        (sasl)                     │ yes                                  │
//!                                   └────────────▶ Verdict ◀───────────────┘
//! ```

mod line;
mod password;
mod remembered;
mod sasl;
mod users;
mod verifier;

pub use line::LineError;
pub use password::{Password, PasswordError};
pub use sasl::{Plain, SaslError, plain};
pub use users::{NameError, User, UserError, Users};
pub use verifier::{Busy, Verdict, Verifier};
