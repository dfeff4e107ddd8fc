#!/usr/bin/env python3
"""How long `mailutil copy` (package uw-mailutils) takes to move 1,000 messages of an mbox between
two servers of ours: it sends MULTIAPPEND with synchronising literals, header and body apart, so a
server that acknowledges late makes it wait 40 ms for each message.

    cargo build --release && python3 benches/clients/mailutil.py old.mbox

Checks that the target has the messages and octets of the source. Needs Python 3 only.
"""

import imaplib
import itertools
import mailbox
import os
import pty
import re
import subprocess
import sys
import tempfile
import time

BINARY = os.path.join(os.path.dirname(__file__), "../../target/release/mailrace")
MESSAGES = 1000


def start(folder):
    add = [BINARY, "user", "add", "joe", "--data", folder]
    subprocess.run(add, input=b"secret\n", check=True, stdout=subprocess.DEVNULL)
    serve = [BINARY, "serve", "--listen", "127.0.0.1:0", "--data", folder, "--log", "warn"]
    server = subprocess.Popen(serve + ["--segment-size", "64M"], stdout=subprocess.PIPE)
    return server, int(server.stdout.readline().rsplit(b":", 1)[1])


def fill(port, path):
    imap = imaplib.IMAP4("127.0.0.1", port)
    imap.login("joe", "secret")
    messages = (re.sub(rb"\r?\n", b"\r\n", m.as_bytes()) for m in mailbox.mbox(path))
    for message in itertools.islice(messages, MESSAGES):
        assert imap.append("INBOX", None, None, message)[0] == "OK"
    return imap


def copy(source, target):
    """Runs mailutil on a terminal of its own, because it asks for passwords there."""
    name = "{127.0.0.1:%d/imap/notls/user=joe}%s"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("mailutil", ["mailutil", "copy", name % (source, "INBOX"), name % (target, "x")])
    seen, answered, begun = b"", 0, 0.0
    while True:
        try:
            octets = os.read(terminal, 4096)
        except OSError:  # The end of a terminal.
            octets = b""
        if not octets:
            assert os.waitpid(pid, 0)[1] == 0, seen.decode(errors="replace")
            return time.monotonic() - begun
        seen += octets
        if seen.count(b"assword") > answered:
            os.write(terminal, b"secret\n")
            answered, begun = answered + 1, time.monotonic()


def main():
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        (first, source), (second, target) = start(one), start(two)
        try:
            imap = fill(source, sys.argv[1])
            seconds = copy(source, target)
            wanted = imap.status("INBOX", "(MESSAGES SIZE)")[1][0].split(b" ", 1)[1]
            imap = imaplib.IMAP4("127.0.0.1", target)
            imap.login("joe", "secret")
            found = imap.status("x", "(MESSAGES SIZE)")[1][0].split(b" ", 1)[1]
            assert found == wanted, f"{found} is not {wanted}"
            print(f"mailutil copy: {found.decode()} in {seconds:.2f} s (under 3)")
        finally:
            for server in (first, second):
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
