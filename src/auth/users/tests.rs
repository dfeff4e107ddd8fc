use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::*;
use crate::auth::Password;

fn folder() -> (tempfile::TempDir, Users) {
    let folder = tempfile::tempdir().unwrap();
    let users = Users::open(folder.path()).unwrap();
    (folder, users)
}

fn password() -> Password {
    Password::new(*b"secret")
}

#[test]
fn a_user_that_was_added_is_there() {
    let (folder, users) = folder();
    assert_eq!(users.get("alice"), None);
    users.add("alice", &password(), Some(10 << 30), Kept::HashOnly).unwrap();
    users.add("Alice", &password(), None, Kept::HashOnly).unwrap();
    for users in [users, Users::open(folder.path()).unwrap()] {
        assert_eq!(users.get("alice").unwrap().quota, Some(10 << 30));
        assert_eq!(users.get("Alice").unwrap().quota, None);
        assert_eq!(users.get("ALICE"), None);
    }
}

#[test]
fn the_file_is_private_and_nothing_else_remains() {
    let (folder, users) = folder();
    users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!folder.path().join("users.new").exists());
    let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
    assert!(text.starts_with("# mailrace users, one a line") && !text.contains("secret"), "{text}");
}

#[test]
fn a_folder_is_made_and_is_private() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep").join("data");
    Users::open(&folder).unwrap().add("alice", &password(), None, Kept::HashOnly).unwrap();
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_name_is_taken_once() {
    let (folder, users) = folder();
    users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    let before = fs::read(folder.path().join(FILE)).unwrap();
    assert!(matches!(
        users.add("alice", &password(), None, Kept::HashOnly),
        Err(UserError::Exists)
    ));
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
}

#[test]
fn bad_names_and_passwords_are_refused_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let users = Users::open(&folder).unwrap();
    assert!(matches!(users.add("a:b", &password(), None, Kept::HashOnly), Err(UserError::Name(_))));
    let empty = Password::new(*b"");
    assert!(matches!(
        users.add("alice", &empty, None, Kept::HashOnly),
        Err(UserError::Password(_))
    ));
    assert!(!folder.exists());
}

#[test]
fn users_added_at_the_same_time_are_all_there() {
    let (folder, users) = folder();
    thread::scope(|scope| {
        for number in 0..8 {
            // Each has a `Users` of its own, like separate processes.
            let users = Users::open(folder.path()).unwrap();
            scope.spawn(move || {
                users.add(&format!("user{number}"), &password(), None, Kept::HashOnly).unwrap()
            });
        }
    });
    for number in 0..8 {
        assert!(users.get(&format!("user{number}")).is_some(), "{number}");
    }
}

#[test]
fn lines_written_by_hand_stay() {
    let (folder, users) = folder();
    let path = folder.path().join(FILE);
    fs::write(&path, "# ours\n\n# no line end").unwrap();
    users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# ours\n\n# no line end\nalice:$argon2id$"), "{text}");
}

#[test]
fn an_error_names_file_and_line() {
    let (folder, users) = folder();
    users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    let path = folder.path().join(FILE);
    let good = fs::read_to_string(&path).unwrap();
    let line = good.lines().last().unwrap();
    fs::write(&path, format!("{good}{line}\n")).unwrap();
    let error = Users::open(folder.path()).unwrap_err().to_string();
    let expected = format!("{}, line 5: an earlier line has the same name", path.display());
    assert_eq!(error, expected);
    assert!(matches!(
        users.add("bob", &password(), None, Kept::HashOnly),
        Err(UserError::Malformed { .. })
    ));
}

#[test]
fn a_malformed_file_leaves_the_previous_users() {
    let (folder, users) = folder();
    users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    assert!(users.get("alice").is_some());
    let path = folder.path().join(FILE);
    let good = fs::read(&path).unwrap();
    fs::write(&path, "nonsense\n").unwrap();
    assert!(users.get("alice").is_some());
    assert!(users.unchanged().is_some(), "a bad file is read once, not with every login");
    fs::write(&path, good).unwrap();
    assert!(users.get("alice").is_some());
    fs::remove_file(&path).unwrap();
    assert!(users.get("alice").is_none());
}

/// The file becomes a pipe, so a reader blocks until a writer comes.
#[test]
fn the_previous_users_are_served_while_the_file_is_read() {
    let (folder, users) = folder();
    users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    assert!(users.get("alice").is_some());
    let (path, generation) = (folder.path().join(FILE), users.generation());
    let good = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| users.current());
        // Opening returns once the reader has opened the pipe.
        let mut pipe = fs::OpenOptions::new().write(true).open(&path).unwrap();
        assert!(users.last().get("alice").is_some());
        assert_eq!(users.generation(), generation);
        assert!(users.unchanged().is_none());
        io::Write::write_all(&mut pipe, &good).unwrap();
        drop(pipe);
        assert!(reader.join().unwrap().get("alice").is_some());
    });
    assert_eq!(users.generation(), generation + 1);
}

#[test]
fn a_thread_looks_at_the_file() {
    let (_folder, users) = folder();
    users.watch().unwrap();
    users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    while users.last().get("alice").is_none() {
        thread::yield_now();
    }
    assert!(users.unchanged().is_some());
}

/// Two users among lines that a person wrote.
fn written(folder: &Path) -> (Users, std::path::PathBuf) {
    let users = Users::open(folder).unwrap();
    users.add("alice", &password(), Some(7), Kept::HashAndKeys).unwrap();
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n# alice:not:she\n")).unwrap();
    users.add("bob", &password(), None, Kept::HashOnly).unwrap();
    (users, path)
}

#[test]
fn keys_are_written_unless_they_are_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (users, _) = written(folder.path());
    assert!(users.get("alice").unwrap().has_keys());
    assert!(!users.get("bob").unwrap().has_keys());
    assert!(!users.current().all_have_keys());
    users.set_password("bob", &password(), Kept::HashAndKeys).unwrap();
    assert!(users.current().all_have_keys());
}

#[test]
fn a_change_leaves_all_other_lines_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (users, path) = written(folder.path());
    let before = fs::read_to_string(&path).unwrap();
    users.set_quota("alice", Some(8)).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after, before.replace(":7:SCRAM", ":8:SCRAM"));
    users.set_quota("alice", None).unwrap();
    assert_eq!(users.get("alice").unwrap().quota, None);
    let alice = before.lines().find(|line| line.starts_with("alice:")).unwrap();
    users.remove("alice").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), before.replace(alice, "#removed alice"));
    assert!(users.get("alice").is_none() && users.get("bob").is_some());
    users.remove("bob").unwrap();
    assert!(users.list().unwrap().is_empty());
}

#[test]
fn the_list_has_the_order_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (users, _) = written(folder.path());
    users.add("Alice", &password(), None, Kept::HashOnly).unwrap();
    let names = || users.list().unwrap().into_iter().map(|user| user.name).collect::<Vec<_>>();
    assert_eq!(names(), ["alice".into(), "bob".into(), Box::<str>::from("Alice")]);
    assert!(Users::open(&folder.path().join("none")).unwrap().list().unwrap().is_empty());
}

#[test]
fn unknown_users_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    for users in [Users::open(folder.path()).unwrap(), Users::open(&missing).unwrap()] {
        assert!(matches!(users.remove("alice"), Err(UserError::Unknown)));
        assert!(matches!(users.set_quota("alice", None), Err(UserError::Unknown)));
        let set = users.set_password("alice", &password(), Kept::HashOnly);
        assert!(matches!(set, Err(UserError::Unknown)));
    }
    assert!(!missing.exists());
}

#[test]
fn still_finds_the_current_entry_of_a_user() {
    let folder = tempfile::tempdir().unwrap();
    let (users, _) = written(folder.path());
    let alice = users.get("alice").unwrap();
    let acting = User { master: users.get("bob").map(Arc::new), ..alice.clone() };
    users.set_quota("alice", Some(9)).unwrap();
    assert_eq!(users.current().still(&alice).unwrap().quota, Some(9));
    assert_eq!(users.current().still(&acting).unwrap().acting(), Some("bob"));
    users.set_password("bob", &password(), Kept::HashOnly).unwrap();
    assert!(users.current().still(&alice).is_some());
    assert!(users.current().still(&acting).is_none());
    users.set_password("alice", &password(), Kept::HashAndKeys).unwrap();
    assert!(users.current().still(&alice).is_none());
    users.remove("alice").unwrap();
    assert!(users.current().still(&alice).is_none());
}

#[test]
fn the_secret_stays() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let secret = Users::open(&data).unwrap().secret().unwrap();
    assert_eq!(Users::open(&data).unwrap().secret().unwrap(), secret);
    let path = data.join("users.secret");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, "short").unwrap();
    let other = Users::open(&data).unwrap().secret().unwrap();
    assert_ne!(other, secret);
    assert_eq!(Users::open(&data).unwrap().secret().unwrap(), other);
}

#[test]
fn a_name_that_comes_back_is_another_account() {
    let (folder, users) = folder();
    let account = || users.get("alice").unwrap().account();
    let add = || users.add("alice", &password(), None, Kept::HashOnly).unwrap();
    add();
    assert_eq!(&*account(), "alice");
    users.remove("alice").unwrap();
    // Another name is not affected.
    users.add("alice2", &password(), None, Kept::HashOnly).unwrap();
    assert_eq!(&*users.get("alice2").unwrap().account(), "alice2");
    add();
    let second = account();
    assert!(second.starts_with("alice ") && second.len() == "alice ".len() + 16, "{second}");
    users.set_quota("alice", Some(7)).unwrap();
    users.set_password("alice", &password(), Kept::HashAndKeys).unwrap();
    assert_eq!(account(), second);
    users.remove("alice").unwrap();
    add();
    assert!(account() != second && &*account() != "alice");
    users.remove("alice").unwrap();
    // The last one removed.
    let third = fs::read_to_string(folder.path().join(FILE)).unwrap();
    let third = third.lines().rfind(|line| line.starts_with("#removed alice ")).unwrap();
    users.add_with_mail("alice", &password(), None, Kept::HashOnly).unwrap();
    assert_eq!(&*account(), third.strip_prefix("#removed ").unwrap());
    users.add_with_mail("bob", &password(), None, Kept::HashOnly).unwrap();
    assert_eq!(&*users.get("bob").unwrap().account(), "bob");
}
