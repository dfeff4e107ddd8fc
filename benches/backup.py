#!/usr/bin/env python3
"""How long `mailrace backup` takes to copy a data folder, and dd to write the same octets to the same
disk, in turn:

    cargo build --release && python3 benches/backup.py SOURCE TARGET [GIGABYTES] [ROUNDS]

SOURCE and TARGET are folders on different file systems, so that the backup copies and does not link;
with SOURCE in memory (/dev/shm), only the disk of TARGET is measured. Both write past the page cache,
and make what they wrote durable. The restored backup must have all messages. MAILRACE_BINARY names
another binary. Needs Python 3 and dd.
"""

import imaplib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = os.environ.get("MAILRACE_BINARY", os.path.join(HERE, "../target/release/mailrace"))
MESSAGE = 4 << 20


def start(data):
    serve = [BINARY, "serve", "--listen", "127.0.0.1:0", "--data", data, "--log", "warn"]
    server = subprocess.Popen(serve + ["--segment-size", "64M"], stdout=subprocess.PIPE)
    port = int(server.stdout.readline().rsplit(b":", 1)[1])
    imap = imaplib.IMAP4("127.0.0.1", port)
    imap.login("joe", "secret")
    return server, imap


def stop(server, imap):
    imap.logout()
    server.terminate()
    assert server.wait() == 0


def fill(data, gigabytes):
    add = [BINARY, "user", "add", "joe", "--data", data]
    subprocess.run(add, input=b"secret\n", check=True, stdout=subprocess.DEVNULL)
    server, imap = start(data)
    count = max(1, int(gigabytes * 1e9 / MESSAGE))
    for number in range(count):
        body = random.Random(number).randbytes(MESSAGE // 2).hex().encode()
        message = b"Subject: %d\r\n\r\n" % number + body
        assert imap.append("INBOX", None, None, message)[0] == "OK"
    return server, imap, count


def backup(data, target):
    to = os.path.join(target, "backup")
    command = [BINARY, "backup", "--data", data, "--to", to, "--json"]
    begun = time.monotonic()
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    seconds = time.monotonic() - begun
    assert report["linked"] == 0, "SOURCE and TARGET are on one file system"
    return report["bytes_copied"] / seconds / 1e6, to


def dd(data, target):
    """The same files, one after the other."""
    to = os.path.join(target, "dd")
    os.mkdir(to)
    folder, octets, begun = os.path.join(data, "segments"), 0, time.monotonic()
    for name in os.listdir(folder):
        source, copy = os.path.join(folder, name), os.path.join(to, name)
        octets += os.path.getsize(source)
        flags = ["bs=1M", "oflag=direct", "conv=fsync", "status=none"]
        subprocess.run(["dd", f"if={source}", f"of={copy}"] + flags, check=True)
    seconds = time.monotonic() - begun
    shutil.rmtree(to)
    return octets / seconds / 1e6


def check(backup, target, count):
    data = os.path.join(target, "restored")
    restore = [BINARY, "restore", "--from", backup, "--data", data]
    subprocess.run(restore, check=True, stdout=subprocess.DEVNULL)
    server, imap = start(data)
    assert int(imap.select("INBOX", readonly=True)[1][0]) == count
    stop(server, imap)


def main():
    source, target = sys.argv[1:3]
    gigabytes = float(sys.argv[3]) if len(sys.argv) > 3 else 4
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    ratios = []
    with tempfile.TemporaryDirectory(dir=source) as data, \
            tempfile.TemporaryDirectory(dir=target) as target:
        server, imap, count = fill(data, gigabytes)
        for number in range(rounds):
            copied, to = backup(data, target)
            if number == 0:
                check(to, target, count)
            shutil.rmtree(to)
            os.sync()
            written = dd(data, target)
            os.sync()
            ratios.append(copied / written)
            print(f"backup {copied:.0f} MB/s, dd {written:.0f} MB/s: {ratios[-1]:.2f}")
        stop(server, imap)
    print(f"median of {rounds}: {statistics.median(ratios):.2f} of dd")


main()
