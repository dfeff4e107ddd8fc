use std::fs;

use super::*;

const HASH: &str = "{CRYPT}$6$saltstring$yXINhNcWYChNvftxpJ/2EnkpMZPR5ZbSTwU31LH5Tt0sIu3w4ja7ihR7I\
                    YG2jVcbySbWVhgUj1DEbNvBWenmE/";

fn read(text: &str, format: Format) -> Result<Import, Vec<Problem>> {
    Import::read(text.replace("HASH", HASH).as_bytes(), format)
}

fn problems(text: &str, format: Format) -> Vec<String> {
    read(text, format).unwrap_err().iter().map(Problem::to_string).collect()
}

/// Names, quotas and whether the password is in clear text.
fn users(import: &Import) -> Vec<(&str, Option<u64>, bool)> {
    let of = |user: &NewUser| matches!(user.secret, Secret::Plain(_));
    import.users.iter().map(|user| (&*user.name, user.quota, of(user))).collect()
}

#[test]
fn a_passwd_file_of_dovecot() {
    let text = "# users\n\
                alice@example.org:HASH:1000:1000::/home/alice::userdb_quota_rule=*:storage=1G\n\
                bob:HASH:::::: userdb_quota_rule=*:storage=100 nopassword\r\n\
                carol:{plain}a secret: with a colon\n\
                dora:{PLAIN}secret::::::userdb_quota_storage_size=500M\n\
                \n\
                erin:HASH\n";
    let text = text.replace("carol:{plain}a secret: with a colon\n", "carol:{plain}a secret\n");
    let import = read(&text, Format::Passwd).unwrap();
    assert_eq!(
        users(&import),
        [
            ("alice@example.org", Some(1 << 30), false),
            ("bob", Some(100 << 10), false),
            ("carol", None, true),
            ("dora", Some(500 << 20), true),
            ("erin", None, false),
        ]
    );
}

/// Lines of shadow have hashes without a scheme, and users who cannot log in.
#[test]
fn a_shadow_file() {
    let text = "root:!:19000:0:99999:7:::\ndaemon:*:19000::::::\nmail:x:8:8::/:\nnobody::1\n\
                alice:SHADOW:19000:0:99999:7:::\n";
    let text = text.replace("SHADOW", HASH.strip_prefix("{CRYPT}").unwrap());
    let import = read(&text, Format::Passwd).unwrap();
    assert_eq!(users(&import), [("alice", None, false)]);
    assert_eq!(import.locked, ["root", "daemon", "mail", "nobody"].map(Box::from));
}

#[test]
fn comma_separated_values() {
    let text = "Password, NAME ,Quota,comment\n\
                HASH,alice,10G,\n\
                # a comment\n\
                {PLAIN} a secret,\"bob\",,\"with, a comma\"\n\
                HASH,carol,unlimited,\n\
                HASH,dora,0,\n";
    let import = read(text, Format::Csv).unwrap();
    let expected = [("alice", Some(10 << 30), false), ("bob", None, true), ("carol", None, false)];
    assert_eq!(users(&import)[..3], expected);
    assert_eq!(users(&import)[3], ("dora", None, false));
    let Secret::Plain(password) = &import.users[1].secret else { panic!("in clear text") };
    assert_eq!(*password, Password::new(*b" a secret"));
}

#[test]
fn everything_that_is_wrong_is_told_with_its_line() {
    let text = "alice:HASH\n\nbob\nal ice:HASH\nalice:HASH\ncarol:secret\ndora:{MD5}x\n\
                erin:{PLAIN}\nfrank:HASH:::::userdb_quota_rule=*:storage=much\n\
                gina:HASH::::::userdb_quota_rule=*:storage=much\n";
    let told = problems(text, Format::Passwd);
    let lines: Vec<_> = told.iter().map(|told| told.split_once(": ").unwrap()).collect();
    let (numbers, what): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    assert_eq!(numbers, ["line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 10"]);
    assert!(what[0].contains("no password") && what[1].contains("' '"), "{what:?}");
    assert!(what[2].contains("line 1") && what[3].contains("{PLAIN}"), "{what:?}");
    assert!(what[4].contains("scheme") && what[6].contains("\"much\""), "{what:?}");

    let told = problems("name,password\nalice,HASH,1\nbob,HASH\nbob,HASH\n", Format::Csv);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("line 2: expected 2 fields"), "{told:?}");
    assert!(told[1].starts_with("line 4: the name is that of line 3"), "{told:?}");
    assert!(problems("alice,HASH\n", Format::Csv)[0].starts_with("line 1: the first line"));
    let binary = Import::read(b"name,password\n\xff,x\n", Format::Csv).unwrap_err();
    assert_eq!(binary[0].to_string(), "line 2: the line is not UTF-8");
    assert_eq!(problems("x:y\n\0\n", Format::Passwd).len(), 2);
}

#[test]
fn sizes() {
    for (text, unit, octets) in [
        ("1", 1 << 10, Some(Some(1 << 10))),
        ("1B", 1 << 10, Some(Some(1))),
        ("2kb", 1, Some(Some(2 << 10))),
        ("3T", 1, Some(Some(3 << 40))),
        ("0", 1, Some(None)),
        ("None", 1, Some(None)),
        ("", 1, None),
        ("G", 1, None),
        ("-1", 1, None),
        ("1.5G", 1, None),
        ("99999999T", 1, None),
    ] {
        assert_eq!(quota(text, unit), octets, "{text}");
    }
}

#[test]
fn an_import_is_whole_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let users = Users::open(folder.path()).unwrap();
    users.add("alice", &Password::new(*b"mine"), Some(7), Kept::HashOnly).unwrap();
    users.add("bob", &Password::new(*b"mine"), None, Kept::HashOnly).unwrap();
    users.remove("bob").unwrap();
    let before = fs::read_to_string(folder.path().join(FILE)).unwrap();
    let text = "alice:HASH\nbob:HASH\ncarol:{PLAIN}secret::::::userdb_quota_rule=*:storage=1M\n";
    let import = read(text, Format::Passwd).unwrap();
    let done = users.import(&import, Kept::HashAndKeys).unwrap();
    assert_eq!(done, Imported { added: 2, known: 1 });

    let now = fs::read_to_string(folder.path().join(FILE)).unwrap();
    assert!(now.starts_with(&before), "what was there is unchanged");
    assert!(!now.contains("secret"));
    let names: Vec<_> = users.list().unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["alice", "bob", "carol"].map(Box::from));
    let (bob, carol) = (users.get("bob").unwrap(), users.get("carol").unwrap());
    assert_ne!(&*bob.account(), "bob", "the mail of the removed bob is not his");
    assert_eq!((bob.scheme(), bob.has_keys()), (Some("CRYPT"), false));
    assert_eq!((carol.quota, carol.has_keys()), (Some(1 << 20), true));

    let done = users.import(&import, Kept::HashAndKeys).unwrap();
    assert_eq!(done, Imported { added: 0, known: 3 });
    assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), now);
}
