"""What the Python clients of this folder share: their arguments, the messages, and comparing.

Each is started with HOST PORT USER PASSWORD FOLDER PREFIX: the messages are the files of FOLDER in
the order of their names, and all mailboxes made begin with PREFIX. Standard library only.
"""

import imaplib
import os
import re
import sys

HOST, PORT, USER, PASSWORD, FOLDER, PREFIX = sys.argv[1:7]

# Seconds; longer than any answer takes on a busy machine.
PATIENCE = 60

# Every FETCH of these tests asks for it first: number, items, then the octets.
ITEMS = re.compile(rb'(\d+) \(UID (\d+) FLAGS \(([^)]*)\) INTERNALDATE ("[^"]*") RFC822.SIZE (\d+)')


def messages():
    """The messages to upload."""
    files = sorted(os.listdir(FOLDER))
    return [open(os.path.join(FOLDER, name), "rb").read() for name in files]


def login():
    """A connection that is logged in."""
    imap = imaplib.IMAP4(HOST, int(PORT), PATIENCE)
    done(imap.login(USER, PASSWORD))
    return imap


def done(reply):
    """The data of a reply that is OK."""
    assert reply[0] == "OK", reply
    return reply[1]


def equal(found, wanted, what):
    """Says where two values part, and not all of them: they may be whole messages."""
    if found != wanted:
        raise AssertionError(f"{what}: {short(found)} is not {short(wanted)}")


def short(value):
    text = repr(value)
    return text if len(text) < 2000 else f"{text[:1500]} ... {text[-400:]}"


class Message:
    """A message as a FETCH shows it."""

    def __init__(self, uid, flags, date, size, octets):
        self.uid, self.date, self.size, self.octets = uid, date, size, octets
        # \Recent is the session's and no property of the message.
        self.flags = sorted(flag for flag in flags.split() if flag != b"\\Recent")


def fetch(imap, numbers="1:*"):
    """Those messages of the selected mailbox, whole, without setting \\Seen."""
    items = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"
    found = []
    for part in done(imap.fetch(numbers, items)):
        if isinstance(part, tuple):
            number, uid, flags, date, size = ITEMS.match(part[0]).groups()
            found.append(Message(int(uid), flags, date, int(size), part[1]))
            assert int(size) == len(part[1]), f"message {number}: RFC822.SIZE {size}"
    return found
