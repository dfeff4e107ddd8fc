use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::*;

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
    users.add("alice", &password(), Some(10 << 30)).unwrap();
    users.add("Alice", &password(), None).unwrap();
    for users in [users, Users::open(folder.path()).unwrap()] {
        assert_eq!(users.get("alice").unwrap().quota, Some(10 << 30));
        assert_eq!(users.get("Alice").unwrap().quota, None);
        assert_eq!(users.get("ALICE"), None);
    }
}

#[test]
fn the_file_is_private_and_nothing_else_remains() {
    let (folder, users) = folder();
    users.add("alice", &password(), None).unwrap();
    let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!folder.path().join(TEMPORARY).exists());
    let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
    assert!(text.starts_with(HEADING) && !text.contains("secret"), "{text}");
}

#[test]
fn a_folder_is_made_and_is_private() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep").join("data");
    Users::open(&folder).unwrap().add("alice", &password(), None).unwrap();
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_name_is_taken_once() {
    let (folder, users) = folder();
    users.add("alice", &password(), None).unwrap();
    let before = fs::read(folder.path().join(FILE)).unwrap();
    assert!(matches!(users.add("alice", &password(), None), Err(UserError::Exists)));
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
}

#[test]
fn bad_names_and_passwords_are_refused_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let users = Users::open(&folder).unwrap();
    assert!(matches!(users.add("a:b", &password(), None), Err(UserError::Name(_))));
    let empty = Password::new(*b"");
    assert!(matches!(users.add("alice", &empty, None), Err(UserError::Password(_))));
    assert!(!folder.exists());
}

#[test]
fn users_added_at_the_same_time_are_all_there() {
    let (folder, users) = folder();
    thread::scope(|scope| {
        for number in 0..8 {
            // Each with an `Users` of its own, as processes have.
            let users = Users::open(folder.path()).unwrap();
            scope.spawn(move || users.add(&format!("user{number}"), &password(), None).unwrap());
        }
    });
    for number in 0..8 {
        assert!(users.get(&format!("user{number}")).is_some(), "{number}");
    }
}

#[test]
fn what_a_person_wrote_stays() {
    let (folder, users) = folder();
    let path = folder.path().join(FILE);
    fs::write(&path, "# ours\n\n# no line end").unwrap();
    users.add("alice", &password(), None).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# ours\n\n# no line end\nalice:$argon2id$"), "{text}");
}

#[test]
fn an_error_names_file_and_line() {
    let (folder, users) = folder();
    users.add("alice", &password(), None).unwrap();
    let path = folder.path().join(FILE);
    let good = fs::read_to_string(&path).unwrap();
    let line = good.lines().last().unwrap();
    fs::write(&path, format!("{good}{line}\n")).unwrap();
    let error = Users::open(folder.path()).unwrap_err().to_string();
    let expected = format!("{}, line 3: this name stands on an earlier line too", path.display());
    assert_eq!(error, expected);
    assert!(matches!(users.add("bob", &password(), None), Err(UserError::Malformed { .. })));
}

#[test]
fn a_file_that_went_bad_leaves_the_former_users() {
    let (folder, users) = folder();
    users.add("alice", &password(), None).unwrap();
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
