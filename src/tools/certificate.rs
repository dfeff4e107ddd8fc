//! Self-signed certificates for trials.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{CertificateParams, DnType, KeyPair};

use super::ToolError;

/// A certificate and its key, as PEM.
pub struct SelfSigned {
    /// The certificate, which is its own CA.
    pub certificate: String,
    /// Its private key: ECDSA P-256, PKCS #8.
    pub key: String,
}

impl SelfSigned {
    /// Makes a certificate for these host names and addresses, valid for this many days.
    ///
    /// # Errors
    /// If a name is not allowed in a certificate, or there is no randomness.
    pub fn new(names: &[String], days: u32) -> Result<SelfSigned, ToolError> {
        let wrong = |source| ToolError::Certificate { names: names.join(", "), source };
        let mut params = CertificateParams::new(names).map_err(wrong)?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        let now = time::OffsetDateTime::now_utc();
        // Clocks of clients may be behind.
        params.not_before = now - time::Duration::hours(1);
        params.not_after = now + time::Duration::days(days.into());
        let key = KeyPair::generate().map_err(wrong)?;
        let certificate = params.self_signed(&key).map_err(wrong)?;
        Ok(SelfSigned { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Writes both to new files; only the owner can read the key.
    ///
    /// # Errors
    /// If a file exists already or cannot be created. Neither file is left behind then.
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), ToolError> {
        write_new(key, &self.key, 0o600)?;
        write_new(certificate, &self.certificate, 0o644).inspect_err(|_| {
            // The key was just created.
            let _ = std::fs::remove_file(key);
        })
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), ToolError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = made.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let doing = || format!("cannot write {}", path.display());
    written.map_err(|error| ToolError::Io { doing: doing(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let made = SelfSigned::new(&["localhost".into(), "127.0.0.1".into()], 1).unwrap();
        std::fs::write(&certificate, "mine").unwrap();
        assert!(made.write(&certificate, &key).is_err());
        assert!(!key.exists());
        assert_eq!(std::fs::read_to_string(&certificate).unwrap(), "mine");
        std::fs::remove_file(&certificate).unwrap();
        made.write(&certificate, &key).unwrap();
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(made.write(&certificate, &key).is_err());
        assert_eq!(std::fs::read_to_string(&key).unwrap(), made.key);
    }
}
