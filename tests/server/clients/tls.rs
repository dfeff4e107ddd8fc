//! imaplib, mbsync and curl over TLS.

use std::fs;
use std::path::Path;
use std::process::Command;

use kit::{Folder, Identity, PASSWORD, Server, USER};

use super::{Target, installed, mail, mbsync, run};

struct Private {
    folder: Folder,
    identity: Identity,
    server: Server,
}

impl Private {
    fn new() -> Private {
        let folder = Folder::new();
        let identity = Identity::new(&folder);
        let server = Server::with(&folder, &identity.flags());
        Private { folder, identity, server }
    }
}

#[test]
fn python_imaplib_by_tls() {
    if !installed(&[("python3", "python3")]) {
        return;
    }
    let Private { identity, server, .. } = Private::new();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (index, octets) in mail(30).iter().enumerate() {
        fs::write(folder.path().join(format!("{index:04}.eml")), octets).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/clients/tls_client.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script);
    command.args([server.address().port(), server.tls_address().port()].map(|p| p.to_string()));
    command.arg(&identity.certificate).args([USER, PASSWORD]).arg(folder.path());
    run(&mut command, 0);
}

#[test]
fn curl_by_tls() {
    if !installed(&[("curl", "curl")]) {
        return;
    }
    let Private { folder, identity, server } = Private::new();
    let file = folder.path().join("message");
    for (index, octets) in mail(3).iter().enumerate() {
        fs::write(&file, octets).unwrap();
        let places = [
            format!("imaps://localhost:{}", server.tls_address().port()),
            format!("imap://localhost:{}", server.address().port()),
        ];
        for (way, place) in places.iter().enumerate() {
            let curl = || {
                let mut command = Command::new("curl");
                command.args(["--silent", "--show-error", "--ssl-reqd", "--cacert"]);
                command.arg(&identity.certificate).args(["--user", &format!("{USER}:{PASSWORD}")]);
                command
            };
            run(curl().arg("--upload-file").arg(&file).arg(format!("{place}/INBOX")), 0);
            let number = index * 2 + way + 1;
            let back = run(curl().arg(format!("{place}/INBOX;MAILINDEX={number}")), 0);
            assert!(&back.stdout == octets, "message {number}");
        }
    }
}

#[test]
fn mbsync_by_tls() {
    if !installed(&[("mbsync", "isync")]) {
        return;
    }
    let Private { identity, server, .. } = Private::new();
    for (kind, address) in [("IMAPS", server.tls_address()), ("STARTTLS", server.address())] {
        let (user, password) = (USER.into(), PASSWORD.into());
        let target = Target { address: server.address(), user, password, _server: None };
        let tls = mbsync::Tls { kind, port: address.port(), certificate: &identity.certificate };
        mbsync::run_by(&target, Some(tls), &format!("by{kind}"), &mail(60));
    }
}
