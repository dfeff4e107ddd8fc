#!/usr/bin/env python3
"""How long `mailutil copy` (package uw-mailutils) takes to move an mbox from one mailrace to another,
and to a Dovecot (benches/peers/dovecot.sh) in turn: it sends MULTIAPPEND with synchronising literals,
header and body apart, so a server that acknowledges late makes it wait 40 ms for each message.

    cargo build --release && python3 benches/clients/mailutil.py old.mbox [ROUNDS]

MAILRACE_BINARY names another binary. Checks that each target has the messages and octets of the
source. Needs Python 3 and mailutil.
"""

import imaplib
import mailbox
import os
import pty
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RELEASE = os.path.join(HERE, "../../target/release/mailrace")
BINARY = os.environ.get("MAILRACE_BINARY", RELEASE)
DOVECOT = os.path.join(HERE, "../peers/dovecot.sh")
OURS, THEIRS = ("joe", "secret"), ("bench", "bench")


def start(folder):
    add = [BINARY, "user", "add", "joe", "--data", folder]
    subprocess.run(add, input=b"secret\n", check=True, stdout=subprocess.DEVNULL)
    serve = [BINARY, "serve", "--listen", "127.0.0.1:0", "--data", folder, "--log", "warn"]
    server = subprocess.Popen(serve + ["--segment-size", "64M"], stdout=subprocess.PIPE)
    return server, int(server.stdout.readline().rsplit(b":", 1)[1])


def login(port, account=OURS):
    imap = imaplib.IMAP4("127.0.0.1", port)
    imap.login(*account)
    return imap


def fill(port, path):
    imap, mbox = login(port), mailbox.mbox(path, create=False)
    for key in mbox.keys():
        message = re.sub(rb"\r?\n", b"\r\n", mbox.get_bytes(key))
        assert imap.append("INBOX", None, None, message)[0] == "OK"
    return status(imap, "INBOX")


def status(imap, name):
    """Messages and octets, also of a server without STATUS=SIZE."""
    imap.select(name, readonly=True)
    sizes = [re.search(rb"SIZE (\d+)", line) for line in imap.fetch("1:*", "(RFC822.SIZE)")[1]]
    return len(sizes), sum(int(size[1]) for size in sizes)


def copy(source, target, account, name):
    """Runs mailutil on a terminal of its own, because it asks for passwords there."""
    box = "{127.0.0.1:%d/imap/notls/user=%s}%s"
    begun = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        source, target = box % (source, OURS[0], "INBOX"), box % (target, account[0], name)
        os.execvp("mailutil", ["mailutil", "copy", source, target])
    seen, passwords = b"", [OURS[1], account[1]]
    while True:
        try:
            octets = os.read(terminal, 4096)
        except OSError:  # The end of a terminal.
            octets = b""
        if not octets:
            assert os.waitpid(pid, 0)[1] == 0, seen.decode(errors="replace")
            return time.monotonic() - begun
        seen += octets
        if seen.count(b"assword") > 2 - len(passwords):
            os.write(terminal, passwords.pop(0).encode() + b"\n")


def dovecot():
    """Its port and its folder."""
    started = subprocess.run([DOVECOT, "start"], check=True, stdout=subprocess.PIPE, text=True)
    values = dict(line.split("=", 1) for line in started.stdout.splitlines())
    return int(values["PORT"]), values["DIR"]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) == 3 else 5
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        (first, source), (second, target) = start(one), start(two)
        peer, folder = dovecot()
        try:
            wanted = fill(source, sys.argv[1])
            targets = {"mailrace": (target, OURS), "Dovecot": (peer, THEIRS)}
            times = {name: [] for name in targets}
            for number in range(rounds):
                for name, (port, account) in targets.items():
                    box = f"x{number}"
                    times[name].append(copy(source, port, account, box))
                    found = status(login(port, account), box)
                    assert found == wanted, f"{name}: {found} is not {wanted}"
            print("mailutil copy: %d messages of %d octets, %d rounds" % (*wanted, rounds))
            for name, seconds in times.items():
                middle = statistics.median(seconds)
                print(f"to {name}: {middle:.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")
        finally:
            subprocess.run([DOVECOT, "stop", folder], check=True)
            for server in (first, second):
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
