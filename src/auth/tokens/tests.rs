use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::*;

struct Issuer {
    folder: tempfile::TempDir,
    signer: Signer,
}

/// A key with its public half.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    public: Value,
}

impl Signer {
    fn ed25519() -> Signer {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Signer {
            key: EncodingKey::from_ed_der(document.as_ref()),
            algorithm: Algorithm::EdDSA,
            public: json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA" }),
        }
    }

    fn p256() -> Signer {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Signer::of(EncodingKey::from_ec_der(document.as_ref()), Algorithm::ES256)
    }

    fn rsa() -> Signer {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let document: Pkcs8V1Der = pair.as_der().unwrap();
        // The crate wants the inner key (RFC 8017), the last element of PKCS #8.
        Signer::of(EncodingKey::from_rsa_der(&document.as_ref()[26..]), Algorithm::RS256)
    }

    fn of(key: EncodingKey, algorithm: Algorithm) -> Signer {
        let jwk = Jwk::from_encoding_key(&key, algorithm).unwrap();
        Signer { key, algorithm, public: serde_json::to_value(jwk).unwrap() }
    }

    fn jwk(&self, id: &str) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = json!(id);
        jwk
    }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn claims() -> Value {
    json!({ "iss": "https://issuer.example", "aud": "mail", "exp": now() + 100,
            "email": "alice@example.com", "email_verified": true, "sub": "4711" })
}

impl Issuer {
    fn new(signer: Signer) -> Issuer {
        let issuer = Issuer { folder: tempfile::tempdir().unwrap(), signer };
        issuer.publish(&[issuer.signer.jwk("one")]);
        issuer
    }

    fn publish(&self, keys: &[Value]) {
        std::fs::write(self.path(), json!({ "keys": keys }).to_string()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn config(&self, user_claim: &str) -> TokenConfig {
        TokenConfig {
            keys: self.path(),
            issuer: "https://issuer.example".into(),
            audience: "mail".into(),
            user_claim: user_claim.to_owned(),
        }
    }

    fn tokens(&self) -> Tokens {
        Tokens::open(self.config("email")).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.signer.algorithm);
        header.kid = Some("one".into());
        encode(&header, claims, &self.signer.key).unwrap()
    }

    /// Claims with one changed, or removed.
    fn with(&self, name: &str, value: Option<Value>) -> String {
        let mut claims = claims();
        match value {
            Some(value) => claims[name] = value,
            None => drop(claims.as_object_mut().unwrap().remove(name)),
        }
        self.sign(&claims)
    }
}

#[test]
fn tokens_of_all_kinds_of_keys_are_taken() {
    for signer in [Signer::ed25519(), Signer::p256(), Signer::rsa()] {
        let (algorithm, issuer) = (signer.algorithm, Issuer::new(signer));
        let user = issuer.tokens().user_of(&issuer.sign(&claims()));
        assert_eq!(user.ok().as_deref(), Some("alice@example.com"), "{algorithm:?}");
    }
}

#[test]
fn claims_are_checked_with_a_minute_of_leeway() {
    let issuer = Issuer::new(Signer::ed25519());
    let tokens = issuer.tokens();
    for (name, value, right) in [
        ("exp", Some(json!(now() - 50)), true),
        ("exp", Some(json!(now() - 70)), false),
        ("exp", None, false),
        ("exp", Some(json!("tomorrow")), false),
        ("nbf", Some(json!(now() + 50)), true),
        ("nbf", Some(json!(now() + 70)), false),
        ("iss", Some(json!("https://other.example")), false),
        ("iss", None, false),
        ("iss", Some(json!(["https://issuer.example", "https://other.example"])), false),
        ("aud", Some(json!("other")), false),
        ("aud", Some(json!(["other", "mail"])), true),
        ("aud", None, false),
    ] {
        let token = issuer.with(name, value.clone());
        assert_eq!(tokens.user_of(&token).is_ok(), right, "{name} {value:?}");
    }
}

#[test]
fn the_user_is_named_by_the_one_claim_that_the_operator_chose() {
    let issuer = Issuer::new(Signer::ed25519());
    let user = |claim: &str, changes: Value| {
        let mut claims = claims();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let tokens = Tokens::open(issuer.config(claim)).unwrap();
        tokens.user_of(&issuer.sign(&claims)).ok()
    };
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(user("email", json!({ "preferred_username": "al" })), named("alice@example.com"));
    assert_eq!(user("sub", json!({ "email_verified": false })), named("4711"));
    assert_eq!(user("upn", json!({ "upn": "alice" })), named("alice"));
    // A claim that is missing or not a string is not replaced by another.
    assert_eq!(user("upn", json!({})), None);
    assert_eq!(user("email", json!({ "email": 7 })), None);
    for unverified in [json!(false), json!("false"), json!("true"), json!(0), json!(1), json!(null)]
    {
        assert_eq!(user("email", json!({ "email_verified": unverified })), None, "{unverified}");
    }
    let tokens = issuer.tokens();
    assert!(matches!(
        tokens.user_of(&issuer.with("email_verified", None)),
        Err(TokenError::NoUser)
    ));
}

/// The header comes from the client, and an error quotes it.
#[test]
fn refusals_of_tokens_are_short_and_printable() {
    let tokens = Issuer::new(Signer::ed25519()).tokens();
    let alg = format!("x\nlogged in\u{202e}{}", "y".repeat(5000));
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg }).to_string());
    let why = tokens.user_of(&format!("{header}.e30.AAAA")).unwrap_err().to_string();
    assert!(why.contains("logged in") && why.len() < 1000, "{why}");
    assert!(!why.contains(crate::stats::is_hidden), "{why:?}");
}

/// Forgeries: no algorithm, the public key as a secret, another key.
#[test]
fn only_the_issuer_can_sign() {
    let issuer = Issuer::new(Signer::ed25519());
    let tokens = issuer.tokens();
    let good = issuer.sign(&claims());
    let [_, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for header in [json!({ "alg": "none" }), json!({ "alg": "NONE", "typ": "JWT" })] {
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        for signature in ["", signature] {
            assert!(tokens.user_of(&format!("{header}.{body}.{signature}")).is_err());
        }
    }
    let public = issuer.signer.jwk("one");
    let public = URL_SAFE_NO_PAD.decode(public["x"].as_str().unwrap()).unwrap();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("one".into());
    let forged = encode(&header, &claims(), &EncodingKey::from_secret(&public)).unwrap();
    assert!(matches!(tokens.user_of(&forged), Err(TokenError::NoKey)));
    let other = Issuer::new(Signer::ed25519()).sign(&claims());
    assert!(matches!(tokens.user_of(&other), Err(TokenError::Invalid(_))));
    let flipped = good.replacen(body, &body.replacen('e', "f", 1), 1);
    assert!(tokens.user_of(&flipped).is_err());
    for nonsense in ["", ".", "..", "a.b.c", "\u{0}", &"x".repeat(10_000)] {
        assert!(tokens.user_of(nonsense).is_err(), "{nonsense:?}");
    }
    assert!(tokens.user_of(&good).is_ok());
}

#[test]
fn keys_are_used_only_as_declared() {
    let issuer = Issuer::new(Signer::p256());
    let right = issuer.signer.jwk("one");
    let takes = |change: &dyn Fn(&mut Value)| {
        let mut key = right.clone();
        change(&mut key);
        // Together with a permanent key, because an empty set would be refused.
        issuer.publish(&[Signer::ed25519().jwk("other"), key]);
        issuer.tokens().user_of(&issuer.sign(&claims())).is_ok()
    };
    assert!(takes(&|_| ()));
    assert!(takes(&|key| key["use"] = json!("sig")));
    assert!(!takes(&|key| key["use"] = json!("enc")));
    assert!(!takes(&|key| key["alg"] = json!("ES384")));
    assert!(!takes(&|key| key["kid"] = json!("two")));
    assert!(takes(&|key| drop(key.as_object_mut().unwrap().remove("kid"))));
    assert!(!takes(&|key| key["kty"] = json!("future")));
}

#[test]
fn a_token_with_a_critical_extension_is_not_taken() {
    let issuer = Issuer::new(Signer::ed25519());
    let mut header = Header::new(issuer.signer.algorithm);
    header.crit = Some(vec!["future".into()]);
    let token = encode(&header, &claims(), &issuer.signer.key).unwrap();
    assert!(matches!(issuer.tokens().user_of(&token), Err(TokenError::Critical)));
}

#[test]
fn the_file_is_reloaded_and_a_bad_one_leaves_the_previous_keys() {
    let issuer = Issuer::new(Signer::ed25519());
    let tokens = issuer.tokens();
    let token = issuer.sign(&claims());
    assert!(tokens.user_of(&token).is_ok());
    std::fs::write(issuer.path(), "nonsense").unwrap();
    assert!(tokens.user_of(&token).is_ok());
    issuer.publish(&[Signer::ed25519().jwk("one")]);
    assert!(tokens.user_of(&token).is_err());
    issuer.publish(&[issuer.signer.jwk("one")]);
    assert!(tokens.user_of(&token).is_ok());
}

#[test]
fn malformed_key_sets_are_refused() {
    let issuer = Issuer::new(Signer::ed25519());
    let open = |text: &str| {
        std::fs::write(issuer.path(), text).unwrap();
        Tokens::open(issuer.config("email")).err().map(|error| error.to_string())
    };
    for text in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert!(open(text).unwrap().contains("not a JSON Web Key Set"), "{text}");
    }
    let secret = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}"#;
    for text in [r#"{"keys":[]}"#, r#"{"keys":[7]}"#, secret] {
        assert!(open(text).unwrap().contains("no public key"), "{text}");
    }
    assert!(open(&" ".repeat(2 << 20)).unwrap().contains("larger than"));
    std::fs::remove_file(issuer.path()).unwrap();
    assert!(Tokens::open(issuer.config("email")).is_err());
}
