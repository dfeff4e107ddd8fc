"""mailutil (c-client, package uw-mailutils) against a server: all of its commands. What came of
it is looked at through imaplib.
"""

import os
import pty
import select
import signal

from peer import HOST, PASSWORD, PATIENCE, PORT, PREFIX, USER, done, equal, fetch, login, messages

# What the messages begin with, over and over; each list sorted.
FLAGS = [
    [],
    [b"\\Seen"],
    [b"\\Flagged", b"red"],
    [b"\\Answered", b"\\Draft", b"\\Seen"],
]


def remote(name):
    """A mailbox of the server as c-client spells it."""
    return "{%s:%s/imap/notls/user=%s}%s" % (HOST, PORT, USER, name)


def mailutil(*arguments):
    """Runs it to its end on a terminal of its own, because it asks for passwords there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("mailutil", ["mailutil", *arguments])
    seen, answered = b"", 0
    while True:
        if not select.select([terminal], [], [], PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
        try:
            octets = os.read(terminal, 4096)
        except OSError:  # The end of a terminal.
            octets = b""
        if not octets:
            break
        seen += octets
        while seen.count(b"assword:") > answered:
            os.write(terminal, PASSWORD.encode() + b"\n")
            answered += 1
    os.close(terminal)
    status = os.waitpid(pid, 0)[1]
    text = seen.decode(errors="replace")
    # A prune that went well ends with 1.
    assert status == 0 or "message(s) purged" in text, f"mailutil {arguments}: status {status}\n{text}"
    return text


def compare(imap, name, wanted, what):
    """The mailbox holds these messages with these flags and dates."""
    done(imap.select(PREFIX + name, readonly=True))
    found = fetch(imap) if wanted else []
    status = done(imap.status(PREFIX + name, "(MESSAGES)"))[0]
    assert status.endswith(b"(MESSAGES %d)" % len(wanted)), (what, status)
    equal(len(found), len(wanted), what)
    for index, (one, (octets, flags, date)) in enumerate(zip(found, wanted)):
        equal(one.octets, octets, f"{what}, message {index + 1}, octets")
        equal(one.flags, flags, f"{what}, message {index + 1}, flags")
        equal(one.date, date, f"{what}, {index + 1}, date")
    done(imap.unselect())


def fill(imap, name):
    """A mailbox to begin with."""
    done(imap.create(name))
    wanted = []
    for index, octets in enumerate(messages()):
        flags = FLAGS[index % len(FLAGS)]
        date = b'"%d-Jul-1996 02:44:25 +0000"' % (10 + index % 20)
        done(imap.append(name, "(%s)" % b" ".join(flags).decode(), date.decode(), octets))
        wanted.append((octets, flags, date))
    return wanted


def main():
    imap = login()
    wanted = fill(imap, PREFIX + "a")
    compare(imap, "a", wanted, "to begin with")
    text = mailutil("check", remote(PREFIX + "a"))
    assert f"{len(wanted)} total in " in text, text

    mailutil("copy", remote(PREFIX + "a"), remote(PREFIX + "b"))
    compare(imap, "b", wanted, "after copy")
    mailutil("create", remote(PREFIX + "c"))
    mailutil("append", remote(PREFIX + "a"), remote(PREFIX + "c"))
    compare(imap, "c", wanted, "after append")
    mailutil("appenddelete", remote(PREFIX + "b"), remote(PREFIX + "c"))
    compare(imap, "b", [], "after appenddelete, the source")
    compare(imap, "c", wanted + wanted, "after appenddelete")
    mailutil("move", remote(PREFIX + "c"), remote(PREFIX + "d"))
    compare(imap, "c", [], "after move, the source")
    compare(imap, "d", wanted + wanted, "after move")
    mailutil("prune", remote(PREFIX + "d"), "answered")
    left = [one for one in wanted + wanted if b"\\Answered" not in one[1]]
    compare(imap, "d", left, "after prune")

    mailutil("rename", remote(PREFIX + "d"), remote(PREFIX + "e/inner"))
    mailutil("transfer", remote(PREFIX), remote(PREFIX + "moved/"))
    for name, messages_of in [("a", wanted), ("b", []), ("c", []), ("e/inner", left)]:
        compare(imap, f"moved/{PREFIX}{name}", messages_of, f"after transfer, {name}")
    for name in ("a", "b", "c", "e/inner"):
        for place in (PREFIX + name, f"{PREFIX}moved/{PREFIX}{name}"):
            mailutil("delete", remote(place))
            equal(imap.select(place)[0], "NO", "SELECT after delete")
    imap.logout()


if __name__ == "__main__":
    main()
