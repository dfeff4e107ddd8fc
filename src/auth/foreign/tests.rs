use super::*;

/// Made by Dovecot's `doveadm pw` and by crypt(3), from [`PASSWORD`].
const HASHES: &str = include_str!("hashes.txt");

const PASSWORD: &str = "p\u{e4}$s w\u{f6}rd";

fn password(text: &str) -> Password {
    Password::new(text.as_bytes())
}

#[test]
fn hashes_of_other_servers_match_their_passwords_alone() {
    for hash in HASHES.lines() {
        assert!(is_foreign(hash));
        assert_eq!(check(hash), Ok(()), "{hash}");
        assert_eq!(matches(&password(PASSWORD), hash), Some(true), "{hash}");
        for wrong in ["", "p\u{e4}$s w\u{f6}rd ", "P\u{e4}$s w\u{f6}rd"] {
            assert_eq!(matches(&password(wrong), hash), Some(false), "{hash}");
        }
    }
}

/// A hash that is cut, or has a foreign letter, is not one; the check of a login never fails on it.
#[test]
fn a_damaged_hash_is_refused_and_matches_nothing() {
    for hash in HASHES.lines() {
        // The padding of base64 may be missing.
        for length in 0..hash.trim_end_matches('=').len() {
            let cut = &hash[..length];
            let right = check(cut).ok().and_then(|()| matches(&password(PASSWORD), cut));
            // Base64 of a digest and a shorter salt is a hash too, of nothing known.
            assert_ne!(right, Some(true), "{cut}");
        }
        let spoilt = format!("{hash}!");
        assert_eq!(check(&spoilt), Err(ForeignError::Form), "{spoilt}");
        assert_eq!(matches(&password(PASSWORD), &spoilt), None);
    }
}

#[test]
fn other_schemes_are_named_as_such() {
    for hash in ["{PLAIN}secret", "{MD5-CRYPT}$1$salt$x", "{}x", "{SSHA.hex}00"] {
        assert_eq!(check(hash), Err(ForeignError::Scheme), "{hash}");
    }
    for hash in [
        "{SHA512-CRYPT}$5$salt$x",
        "{SHA512-CRYPT}",
        "{SSHA",
        "{SSHA}AAAA",
        "{BLF-CRYPT}$2x$05$ahdbO1/1IP5Ba8sYPb1hlu/5nQlex7mBoPXa/MjhxsydXh6hGWQ7m",
        "{ARGON2I}$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAECAwQFBgcICQoLDA0ODw",
        "{PBKDF2}$1$salt$0$b0fa9e9d88d10f5f844c75b9479702b7f5ec21d4",
        "{PBKDF2}$1$salt$+1$b0fa9e9d88d10f5f844c75b9479702b7f5ec21d",
    ] {
        assert_eq!(check(hash), Err(ForeignError::Form), "{hash}");
    }
}

#[test]
fn a_hash_that_takes_seconds_is_refused() {
    for (at, from, to) in [
        (1, "rounds=10000", "rounds=999999999"),
        (5, "$05$", "$31$"),
        (8, "m=65536", "m=4194304"),
        (9, "$5000$", "$4000000000$"),
    ] {
        let hash = HASHES.lines().nth(at).unwrap().replace(from, to);
        assert_eq!(check(&hash), Err(ForeignError::TooCostly), "{hash}");
    }
}
