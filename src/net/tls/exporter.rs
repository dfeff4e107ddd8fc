//! The channel binding `tls-exporter` (RFC 9266).
//!
//! rustls exports keying material only from its buffered connections. The exporter secret, from
//! which it is derived, goes to a key log, so a key log captures it here; RFC 8446 section 7.5 does
//! the rest.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use rustls::KeyLog;
use rustls::crypto::hash::HashAlgorithm;

/// RFC 9266 section 4.2.
const LABEL: &str = "EXPORTER-Channel-Binding";

/// Length of the binding in octets (RFC 9266 section 4.2).
const LENGTH: usize = 32;

/// Captures the exporter secret during the handshake of a connection.
#[derive(Default)]
pub(super) struct Secret(OnceLock<Box<[u8]>>);

impl Secret {
    /// For the configuration of a single connection.
    pub(super) fn new() -> Arc<Secret> {
        Arc::default()
    }

    /// The binding, if the handshake was TLS 1.3 with this hash.
    pub(super) fn binding(&self, hash: HashAlgorithm) -> Option<[u8; LENGTH]> {
        let secret = self.0.get()?;
        let (kdf, algorithm) = match hash {
            HashAlgorithm::SHA256 => (HKDF_SHA256, &SHA256),
            HashAlgorithm::SHA384 => (HKDF_SHA384, &SHA384),
            _ => return None,
        };
        let of_nothing = digest(algorithm, b"");
        let derived = {
            let mut derived = vec![0; of_nothing.as_ref().len()];
            let prk = Prk::new_less_safe(kdf, secret);
            expand(&prk, LABEL, of_nothing.as_ref(), &mut derived)?;
            Prk::new_less_safe(kdf, &derived)
        };
        let mut binding = [0; LENGTH];
        expand(&derived, "exporter", of_nothing.as_ref(), &mut binding)?;
        Some(binding)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl KeyLog for Secret {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if self.will_log(label) {
            let _ = self.0.set(secret.into());
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == "EXPORTER_SECRET"
    }
}

/// `HKDF-Expand-Label` (RFC 8446 section 7.1).
///
/// ```text
/// struct {
///     uint16 length = Length;
///     opaque label<7..255> = "tls13 " + Label;
///     opaque context<0..255> = Context;
/// } HkdfLabel;
/// ```
fn expand(prk: &Prk, label: &str, context: &[u8], out: &mut [u8]) -> Option<()> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_length = [u8::try_from("tls13 ".len() + label.len()).ok()?];
    let context_length = [u8::try_from(context.len()).ok()?];
    let info: [&[u8]; 6] =
        [&length, &label_length, b"tls13 ", label.as_bytes(), &context_length, context];
    prk.expand(&info, Length(out.len())).ok()?.fill(out).ok()
}
