use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;
use crate::auth::Password;
use crate::auth::keys::{Keys, mac};

const BOUND: Option<[u8; 32]> = Some([7; 32]);
const UNUSED: Binding = Binding::Unused { offers_plus: false };

/// The user of RFC 7677 section 3: `user` with password `pencil`.
fn pencil() -> Keyring {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    Keyring(Arc::new(Keys::derive(&Password::new(*b"pencil"), &salt, iterations)))
}

/// An exchange in which the server draws the nonce of the example.
fn exchange() -> Scram {
    let mut scram = Scram::new(UNUSED, [0; 3]);
    scram.server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into();
    scram
}

fn challenge(step: Step) -> String {
    let Step::Challenge(octets) = step else { panic!("{step:?}") };
    String::from_utf8(octets).unwrap()
}

fn proven(step: Result<Step, SaslError>) -> bool {
    let Ok(Step::Claim(Claim::Proof(proof))) = step else { panic!("{step:?}") };
    proof.keys.0.prove(&proof.message, &proof.proof)
}

const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

#[test]
fn the_example_of_rfc_7677() {
    let mut scram = exchange();
    assert!(matches!(scram.step(FIRST.as_bytes()), Ok(Step::Keys(name)) if name == "user"));
    assert_eq!(
        challenge(scram.keys(pencil())),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    assert!(scram.accepted().is_none());
    assert!(proven(scram.step(FINAL.as_bytes())));
    let last = String::from_utf8(scram.accepted().unwrap()).unwrap();
    assert_eq!(last, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn another_proof_proves_nothing() {
    for proof in ["eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "dHzb", ""] {
        let mut scram = exchange();
        scram.step(FIRST.as_bytes()).unwrap();
        scram.keys(pencil());
        let (without, _) = FINAL.rsplit_once(",p=").unwrap();
        assert!(!proven(scram.step(format!("{without},p={proof}").as_bytes())), "{proof}");
    }
    // Neither is the right proof accepted with keys of an unknown name.
    let mut scram = exchange();
    scram.step(FIRST.as_bytes()).unwrap();
    scram.keys(Keyring(Arc::new(Keys::of_unknown(
        &[1; 32],
        "user",
        crate::auth::keys::Usual::of_ours(),
        0,
    ))));
    assert!(!proven(scram.step(FINAL.as_bytes())));
}

#[test]
fn last_messages_that_do_not_fit_are_refused() {
    for (from, to) in [
        ("c=biws", "c=eSws"),
        ("c=biws", "c=!"),
        ("c=biws", "d=biws"),
        ("r=rOpr", "r=sOpr"),
        ("hNlF$k0", "hNlF$k1"),
        ("hNlF$k0", ""),
        ("hNlF$k0", "hNlF$k00"),
        (",p=", ",q="),
        (",p=dHzb", ",p=!"),
    ] {
        let mut scram = exchange();
        scram.step(FIRST.as_bytes()).unwrap();
        scram.keys(pencil());
        let message = FINAL.replacen(from, to, 1);
        assert!(message != FINAL && scram.step(message.as_bytes()).is_err(), "{message}");
        assert!(scram.accepted().is_none());
        // There is no second attempt.
        assert!(scram.step(FINAL.as_bytes()).is_err());
    }
}

#[test]
fn first_messages() {
    let first = |message: &str| Scram::new(UNUSED, [0; 3]).client_first(message).ok();
    let names = |message: &str| first(message).map(|first| first.identity);
    let both = |name: &str, other: Option<&str>| {
        Some(Identity { name: name.into(), acts_for: other.map(str::to_owned) })
    };
    assert_eq!(names("n,,n=user,r=x"), both("user", None));
    assert_eq!(names("y,,n=user,r=x,e=xt"), both("user", None));
    assert_eq!(names("n,a=alice,n=admin,r=x"), both("admin", Some("alice")));
    assert_eq!(names("n,a=user,n=user,r=x"), both("user", None));
    assert_eq!(names("n,,n=a=2Cb=3Dc,r=x"), both("a,b=c", None));
    for message in [
        "",
        "n",
        "n,,",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,n=,r=x",
        "n,,n=a=2cb,r=x",
        "n,,n=a=,r=x",
        "n,,m=x,n=user,r=x",
        "n,,r=x,n=user",
        "n,b=x,n=user,r=x",
        "n,a=,n=user,r=x",
        "n,,n=user,r=x y",
        "n,,n=us\0er,r=x",
        "x,,n=user,r=x",
        "p=,,n=user,r=x",
    ] {
        assert!(first(message).is_none(), "{message:?}");
    }
}

/// The checks of RFC 5802 section 6.
#[test]
fn channel_bindings() {
    let check = |binding, flag| Scram::new(binding, [0; 3]).check_flag(flag).is_ok();
    let offered = Binding::Unused { offers_plus: true };
    for (binding, flag, right) in [
        (UNUSED, "n", true),
        (UNUSED, "y", true),
        (UNUSED, "p=tls-exporter", false),
        (offered, "n", true),
        (offered, "y", false),
        (offered, "p=tls-exporter", false),
        (Binding::Exporter(BOUND), "p=tls-exporter", true),
        (Binding::Exporter(BOUND), "p=tls-unique", false),
        (Binding::Exporter(BOUND), "p=tls-server-end-point", false),
        (Binding::Exporter(BOUND), "n", false),
        (Binding::Exporter(BOUND), "y", false),
        (Binding::Exporter(None), "p=tls-exporter", false),
    ] {
        assert_eq!(check(binding, flag), right, "{flag}");
    }
}

#[test]
fn a_proof_is_bound_to_its_channel() {
    let login = |client: [u8; 32]| {
        let mut scram = Scram::new(Binding::Exporter(BOUND), [1, 2, 3]);
        scram.step(b"p=tls-exporter,,n=user,r=x").unwrap();
        let server_first = challenge(scram.keys(pencil()));
        let nonce = server_first.split(',').next().unwrap();
        let mut input = b"p=tls-exporter,,".to_vec();
        input.extend_from_slice(&client);
        let without = format!("c={},{nonce}", STANDARD.encode(input));
        let message = format!("n=user,r=x,{server_first},{without}");
        let proof = STANDARD.encode(prove("pencil", &pencil(), message.as_bytes()));
        scram.step(format!("{without},p={proof}").as_bytes())
    };
    assert!(proven(login([7; 32])));
    assert!(matches!(login([8; 32]), Err(SaslError::ChannelBinding(_))));
}

/// Makes a proof as a client does.
fn prove(password: &str, keys: &Keyring, message: &[u8]) -> Vec<u8> {
    let mut salted = [0; 32];
    let algorithm = aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256;
    let (iterations, salt) = (keys.0.iterations, &keys.0.salt);
    aws_lc_rs::pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
    let key = mac(&salted, b"Client Key");
    key.iter().zip(mac(&keys.0.stored, message)).map(|(key, mask)| key ^ mask).collect()
}
