//! The configuration file, and the completions and manual pages generated from the command line.

use std::fs;

use kit::{Folder, Server, command, mailrace};

fn said(arguments: &[&str]) -> (Option<i32>, String) {
    let output = mailrace(arguments, "");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_server_runs_by_its_file_and_flags_go_before_it() {
    let folder = Folder::new();
    let file = folder.path().join("mailrace.toml");
    fs::write(&file, "append-limit = \"1M\"\nlisten = \"127.0.0.1:1\"\nlogin-time = 600\n")
        .unwrap();
    let path = file.to_str().unwrap();
    // The test's own flag --listen overrides the key.
    let server = Server::with(&folder, &["--config", path]);
    let greeting = server.connect().command("CAPABILITY").texts().concat();
    assert!(greeting.contains("APPENDLIMIT=1048576"), "{greeting}");
    drop(server);
    let server = Server::with(&folder, &["--config", path, "--append-limit", "2M"]);
    let greeting = server.connect().command("CAPABILITY").texts().concat();
    assert!(greeting.contains("APPENDLIMIT=2097152"), "{greeting}");
}

#[test]
fn a_file_is_checked_before_it_is_used() {
    let folder = Folder::new();
    let file = folder.path().join("mailrace.toml");
    let path = file.to_str().unwrap();
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        said(&["config", "check", path])
    };
    let data = format!("data = {:?}\nlisten = '127.0.0.1:0'\n", folder.path());
    let (code, text) = check(&format!("{data}connections = 100\n"));
    assert!(code == Some(0) && text.contains("is valid"), "{text}");
    for (setting, wanted) in [
        ("conections = 100", "line 3: unknown key conections; did you mean connections?"),
        ("connections = 0", "line 3: connections = \"0\": "),
        ("tls-listen = '127.0.0.1:0'", "--tls-cert"),
        ("tls-cert = '/nowhere'\ntls-key = '/nowhere'", "cannot read /nowhere"),
        ("= 1", "line 3: "),
    ] {
        let (code, text) = check(&format!("{data}{setting}\n"));
        assert!(code == Some(78) && text.contains(wanted), "{setting}: {code:?} {text}");
        assert!(text.contains("mailrace.toml") || text.contains("/nowhere"), "{text}");
        // The server says the same.
        let output = Server::fail(&folder.path(), &["--config", path]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(78) && text.contains(wanted), "{setting}: {text}");
    }
    let (code, text) = said(&["config", "check", "/nowhere/mailrace.toml"]);
    assert!(code == Some(78) && text.contains("/nowhere/mailrace.toml: cannot be read"), "{text}");
}

#[test]
fn the_example_will_do() {
    let (code, text) = said(&["config", "example"]);
    assert_eq!(code, Some(0));
    let folder = Folder::new();
    let file = folder.path().join("mailrace.toml");
    fs::write(&file, text + "\nlisten = '127.0.0.1:0'\n").unwrap();
    let (code, text) = said(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn an_address_that_is_in_use_is_found_unless_the_server_itself_has_it() {
    let folder = Folder::new();
    let file = folder.path().join("mailrace.toml");
    let server = Server::with(&folder, &[]);
    let listen = server.address();
    let check = |data: &std::path::Path| {
        let text = format!("data = {data:?}\nlisten = '{listen}'\nmaster-user = ['nobody']\n");
        fs::write(&file, text).unwrap();
        said(&["config", "check", file.to_str().unwrap()])
    };
    let (code, text) = check(&folder.path());
    assert!(code == Some(0) && text.contains("--master-user nobody"), "{text}");
    let (code, text) = check(&Folder::new().path());
    assert!(code == Some(78) && text.contains(&format!("cannot listen on {listen}")), "{text}");
}

#[test]
fn users_are_added_where_the_server_looks_for_them() {
    let folder = Folder::new();
    let file = folder.path().join("mailrace.toml");
    let (in_file, in_environment) = (folder.path().join("a"), folder.path().join("b"));
    fs::write(&file, format!("data = {in_file:?}\n")).unwrap();
    fs::create_dir(&in_file).unwrap();
    fs::create_dir(&in_environment).unwrap();
    let add = ["user", "add", "alice", "--config", file.to_str().unwrap()];
    let output = mailrace(&add, "secret\n");
    assert!(output.status.success() && in_file.join("users").exists(), "{output:?}");
    // The environment overrides the file, for every command.
    let mut list = command(&["user", "list", "--config", file.to_str().unwrap()]);
    let listed = list.env("MAILRACE_DATA", &in_environment).output().unwrap();
    assert!(listed.status.success() && listed.stdout.is_empty(), "{listed:?}");
    let listed = mailrace(&["user", "list", "--data", in_file.to_str().unwrap()], "");
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("alice\t"), "{listed:?}");
}

#[test]
fn shells_and_man_know_the_command_line() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, text) = said(&["completions", shell]);
        assert!(code == Some(0) && text.contains("tls-listen"), "{shell}");
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let status = command(&["man"]).arg(folder.path()).status().unwrap();
    assert!(status.success());
    for page in ["mailrace.1", "mailrace-serve.1", "mailrace-user-add.1", "mailrace-config-check.1"]
    {
        let text = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".TH mailrace"), "{page}");
    }
    let (code, text) = said(&["man", "/nowhere"]);
    assert!(code == Some(74) && text.contains("/nowhere"), "{text}");
}
