//! Passwords that were right a moment ago, so that ten thousand logins cost a single argon2.
//!
//! Each is a BLAKE3 hash under a key drawn at start, which never leaves the process. None of it is
//! on disk.

use super::password::Password;
use super::recent::Recent;

/// Users, and a hash of the password each last logged in with.
pub(super) struct Remembered {
    key: [u8; 32],
    hashes: Recent<Box<str>, blake3::Hash>,
}

impl Remembered {
    /// Remembers this many users.
    pub(super) fn new(key: [u8; 32], capacity: usize) -> Remembered {
        Remembered { key, hashes: Recent::new(capacity) }
    }

    /// Checks whether this user logged in with this password while the stored hash was `phc`.
    /// [`blake3::Hash`] compares in constant time.
    pub(super) fn check(&mut self, name: &str, phc: &str, password: &Password) -> bool {
        let hash = self.hash(phc, password);
        self.hashes.get(name).is_some_and(|known| *known == hash)
    }

    /// Remembers a password that argon2 accepted.
    pub(super) fn remember(&mut self, name: &str, phc: &str, password: &Password) {
        let hash = self.hash(phc, password);
        self.hashes.insert(name.into(), hash);
    }

    /// Includes the stored hash, so that a changed password invalidates the entry. Its length
    /// separates the two inputs.
    fn hash(&self, phc: &str, password: &Password) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(phc.len() as u64).to_le_bytes());
        hasher.update(phc.as_bytes());
        hasher.update(password.octets());
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.as_bytes())
    }

    #[test]
    fn the_same_password_under_the_same_hash_is_known() {
        let mut remembered = Remembered::new([7; 32], 8);
        assert!(!remembered.check("alice", "phc", &password("secret")));
        remembered.remember("alice", "phc", &password("secret"));
        assert!(remembered.check("alice", "phc", &password("secret")));
        assert!(!remembered.check("alice", "phc", &password("Secret")));
        assert!(!remembered.check("alice", "changed", &password("secret")));
        assert!(!remembered.check("alice", "phcs", &password("ecret")));
        assert!(!remembered.check("bob", "phc", &password("secret")));
    }
}
