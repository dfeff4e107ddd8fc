"""Python's imaplib against a server: uploads, reads back, searches, changes, copies, expunges."""

import email.utils
import imaplib
import re
import time

from peer import PREFIX, done, equal, fetch, login, messages

BOX, COPY, BATCH = PREFIX, PREFIX + "copy", PREFIX + "batch"

# What the APPENDs of these tests give, over and over; each list sorted.
FLAGS = [
    [],
    [b"\\Seen"],
    [b"\\Answered", b"\\Flagged"],
    [b"\\Draft", b"red"],
    [b"\\Deleted", b"\\Seen", b"blue", b"red"],
]
# None: the time of arrival. Instants in several zones.
DATES = [
    None,
    '"17-Jul-1996 02:44:25 -0700"',
    '" 1-Feb-2003 23:59:59 +0000"',
    '"31-Dec-1999 12:00:00 +1345"',
]
NAMES = {b"\\Seen": "SEEN", b"\\Answered": "ANSWERED", b"\\Flagged": "FLAGGED",
         b"\\Draft": "DRAFT", b"\\Deleted": "DELETED"}


def instant(date):
    return email.utils.mktime_tz(email.utils.parsedate_tz(date.strip('" ').replace("-", " ", 2)))


def words(flags):
    return "(%s)" % b" ".join(flags).decode() if flags else None


class Expected:
    """A message as it should be found."""

    def __init__(self, index, octets):
        self.octets, self.date = octets, DATES[index % len(DATES)]
        self.flags = list(FLAGS[index % len(FLAGS)])


def compare(found, wanted, what):
    equal(len(found), len(wanted), what)
    for index, (one, other) in enumerate(zip(found, wanted)):
        equal(one.octets, other.octets, f"{what}, message {index + 1}, octets")
        equal(one.flags, sorted(other.flags), f"{what}, message {index + 1}, flags")
        if other.date is None:
            age = abs(time.time() - instant(one.date.decode()))
            assert age < 3600, f"{what}, message {index + 1}: {age} s old"
        else:
            equal(instant(one.date.decode()), instant(other.date), f"{what}, {index + 1}, date")


def mailboxes(imap):
    """Names and roles and LIST, SUBSCRIBE and LSUB, RENAME, DELETE."""
    for name in ("Entw&APw-rfe &- mehr", "(a) {b}", "INBOX.x"):  # imaplib adds no quotes.
        name, quoted = PREFIX + name, f'"{PREFIX}{name}"'
        done(imap.create(quoted))
        equal(done(imap.select(quoted)), [b"0"], f"EXISTS of {name}")
        done(imap.unselect())
        listed = done(imap.list('""', f'"{PREFIX}*"'))
        assert name.encode() in b"".join(listed), (name, listed)
        done(imap.delete(quoted))
    before, inner = PREFIX + "before", PREFIX + "before/inner"
    done(imap.create(inner))
    equal(imap.create(inner)[0], "NO", "CREATE of what is there")
    listed = b"".join(done(imap.list('""', f"{PREFIX}*")))
    assert inner.encode() in listed and b'"/"' in listed, listed
    done(imap.subscribe(inner))
    assert inner.encode() in b"".join(done(imap.lsub('""', f"{PREFIX}*"))), "not subscribed"
    done(imap.unsubscribe(inner))
    equal(done(imap.lsub('""', f"{PREFIX}*")), [None], "LSUB after UNSUBSCRIBE")
    done(imap.append(inner, None, None, b"Subject: inner\r\n\r\nx\r\n"))
    done(imap.rename(before, PREFIX + "after"))
    inner = PREFIX + "after/inner"
    status = done(imap.status(inner, "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"))[0]
    assert b"MESSAGES 1 " in status and b"UIDNEXT 2 " in status and b"UNSEEN 1" in status, status
    done(imap.delete(inner))
    equal(imap.select(inner)[0], "NO", "SELECT of a deleted mailbox")
    assert inner.encode() not in repr(done(imap.list('""', f"{PREFIX}*"))).encode()
    reply = imap.append(PREFIX + "nowhere", None, None, b"Subject: x\r\n\r\n")
    assert reply[0] == "NO" and b"TRYCREATE" in reply[1][0], reply


def upload(imap, mail):
    """One by one, with flags and dates."""
    done(imap.create(BOX))
    wanted = [Expected(index, octets) for index, octets in enumerate(mail)]
    for one in wanted:
        reply = done(imap.append(BOX, words(one.flags), one.date, one.octets))
        assert b"APPENDUID" in reply[0], reply
    equal(done(imap.select(BOX)), [b"%d" % len(wanted)], "EXISTS")
    permanent = imap.response("PERMANENTFLAGS")[1][0]
    assert b"\\*" in permanent and b"\\Deleted" in permanent, permanent
    compare(fetch(imap), wanted, "after APPEND")
    return wanted


def batch(imap, mail):
    """MULTIAPPEND (RFC 3502), which imaplib does not have: all in one command, by hand."""
    done(imap.create(BATCH))
    wanted = [Expected(index, octets) for index, octets in enumerate(mail)]
    tag = imap._new_tag()
    imap.send(tag + b" APPEND " + BATCH.encode())
    for one in wanted:
        options = [word for word in (words(one.flags), one.date) if word]
        head = " ".join(["", *options, "{%d}\r\n" % len(one.octets)])
        imap.send(head.encode())
        answer = imap.readline()
        assert answer.startswith(b"+ "), answer
        imap.send(one.octets)
    imap.send(b"\r\n")
    answer = imap.readline()
    while not answer.startswith(tag):
        answer = imap.readline()
    uids = re.search(rb"OK \[APPENDUID (\d+) 1:%d\]" % len(wanted), answer)
    assert uids, answer
    done(imap.select(BATCH, readonly=True))
    equal(imap.response("UIDVALIDITY")[1], [uids[1]], "UIDVALIDITY")
    compare(fetch(imap), wanted, "after MULTIAPPEND")
    # Dovecot says OK and does nothing, others say NO.
    imap.store("1", "+FLAGS", "\\Flagged")
    compare(fetch(imap), wanted, "after STORE in what EXAMINE opened")


def sections(imap, wanted):
    """Parts of messages agree with the whole."""
    items = "(BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[]<10.100> BODY.PEEK[HEADER.FIELDS (DATE)])"
    for index, one in enumerate(wanted):
        parts = [part[1] for part in done(imap.fetch(str(index + 1), items))
                 if isinstance(part, tuple)]
        what = f"message {index + 1}, part"
        equal(b"".join(parts[:2]), one.octets, what)
        equal(parts[2], one.octets[10:110], what)
        field = re.search(rb"(?ims)^date:.*?\r\n(?![ \t])", parts[0])
        equal(parts[3], (field[0] if field else b"") + b"\r\n", what)
    everything = done(imap.fetch("1:*", "(ENVELOPE BODYSTRUCTURE)"))
    starts = [part[0] if isinstance(part, tuple) else part for part in everything]
    shown = sum(1 for start in starts if re.match(rb"\d+ \((ENVELOPE|BODYSTRUCTURE) \(", start))
    equal(shown, len(wanted), "ENVELOPE and BODYSTRUCTURE")


def search(imap, wanted):
    """Every key that the index or the octets answer, against what we know of the messages."""
    def expect(test, *criteria, charset=None):
        numbers = b" ".join(b"%d" % n for n, one in enumerate(wanted, 1) if test(one))
        equal(done(imap.search(charset, *criteria))[0], numbers, f"SEARCH {criteria}")
        # Nothing was expunged yet, so UIDs are the numbers.
        if charset is None:
            equal(done(imap.uid("SEARCH", *criteria))[0], numbers, f"UID SEARCH {criteria}")

    for flag, name in NAMES.items():
        expect(lambda one: flag in one.flags, name)
        expect(lambda one: flag not in one.flags, "UN" + name)
    expect(lambda one: True, "ALL")
    expect(lambda one: b"red" in one.flags, "KEYWORD", "red")
    expect(lambda one: b"blue" not in one.flags, "UNKEYWORD", "blue")
    expect(lambda one: one.date is None, "SINCE", "1-Jan-2010")
    expect(lambda one: one.date is not None, "BEFORE", "1-Jan-2010")
    expect(lambda one: one.date == DATES[1], "ON", "17-Jul-1996")
    middle = sorted(len(one.octets) for one in wanted)[len(wanted) // 2]
    expect(lambda one: len(one.octets) > middle, "LARGER", str(middle))
    expect(lambda one: len(one.octets) < middle, "SMALLER", str(middle))
    expect(lambda one: b"red" in one.flags or b"\\Seen" not in one.flags,
           "OR", "KEYWORD red", "NOT (SEEN)")
    expect(lambda one: one in wanted[2:5], "3:5")
    expect(lambda one: one is wanted[-1], "UID", f"{len(wanted)}:*")
    date = re.compile(rb"(?im)^date:")
    header = [one.octets.split(b"\r\n\r\n")[0] for one in wanted]
    expect(lambda one: date.search(header[wanted.index(one)]), "HEADER", "DATE", '""')
    marked = wanted[7].octets
    ids = re.search(rb"(?im)^message-id:\s*(<[^>\"\\]+>)", marked)
    if ids:
        expect(lambda one: ids[1].lower() in one.octets.split(b"\r\n\r\n")[0].lower(),
               "HEADER", "Message-ID", '"%s"' % ids[1].decode())
    sizes = [len(one.octets) for one in wanted]
    order = sorted(range(len(wanted)), key=lambda index: -sizes[index])
    equal(done(imap.sort("REVERSE SIZE", "UTF-8", "ALL"))[0],
          b" ".join(b"%d" % (index + 1) for index in order), "SORT")
    threads = done(imap.thread("REFERENCES", "UTF-8", "ALL"))[0]
    equal(sorted(map(int, re.findall(rb"\d+", threads))), list(range(1, len(wanted) + 1)), "THREAD")
    imap.literal = "Größe".encode()
    equal(done(imap.search("UTF-8", "TEXT"))[0], b"%d" % len(wanted), "SEARCH of a literal")
    equal(imap.search("X-NO-SUCH", "ALL")[0], "NO", "SEARCH in an unknown charset")


def change(imap, other, wanted):
    """STORE in its forms; another session hears of it."""
    for numbers, item, flags in [
        ("1:4", "+FLAGS", [b"\\Flagged", b"green"]),
        ("2,5", "-FLAGS", [b"\\Seen", b"red"]),
        ("6", "FLAGS", [b"\\Draft"]),
        ("7:8", "+FLAGS.SILENT", [b"\\Answered"]),
        ("9", "FLAGS.SILENT", []),
    ]:
        reply = done(imap.store(numbers, item, "(%s)" % b" ".join(flags).decode()))
        touched = [wanted[int(n) - 1] for n in done(imap.search(None, numbers))[0].split()]
        for one in touched:
            kept = [] if item.startswith("FLAGS") else one.flags
            without = [flag for flag in kept if flag not in flags]
            one.flags = sorted(without if item.startswith("-") else without + flags)
        count = 0 if "SILENT" in item else len(touched)
        equal(len([line for line in reply if line]), count, f"responses to STORE {item}")
    compare(fetch(imap), wanted, "after STORE")
    done(other.noop())
    heard = b"".join(part for part in other.response("FETCH")[1] if part)
    assert b"green" in heard, heard
    compare(fetch(other), wanted, "in another session")
    # Reading a body sets \Seen, and a PEEK does not.
    assert b"\\Seen" not in wanted[5].flags
    done(imap.fetch("6", "BODY[TEXT]"))
    wanted[5].flags.append(b"\\Seen")
    compare(fetch(imap, "6"), wanted[5:6], "after BODY[]")


def copy(imap, wanted):
    """COPY and UID COPY keep octets, flags and dates."""
    done(imap.create(COPY))
    half = len(wanted) // 2
    reply = done(imap.copy(f"1:{half}", COPY))
    assert b"COPYUID" in reply[0], reply
    done(imap.uid("COPY", f"{half + 1}:*", COPY))
    done(imap.select(COPY))
    compare(fetch(imap), wanted, "after COPY")
    reply = imap.copy("1", PREFIX + "nowhere")
    assert reply[0] == "NO" and b"TRYCREATE" in reply[1][0], reply
    done(imap.select(BOX))


def expunge(imap, other, wanted):
    """EXPUNGE here, heard there, and CLOSE, which does it silently."""
    gone = [number for number, one in enumerate(wanted, 1) if b"\\Deleted" in one.flags]
    # In any order: replayed from the first to the last, they must name the right messages.
    numbers = list(range(1, len(wanted) + 1))
    for number in done(imap.expunge()):
        numbers.pop(int(number) - 1)
    left = [number for number in range(1, len(wanted) + 1) if number not in gone]
    equal(numbers, left, "EXPUNGE")
    wanted[:] = [wanted[number - 1] for number in left]
    found = fetch(imap)
    compare(found, wanted, "after EXPUNGE")
    equal([one.uid for one in found], left, "UIDs after EXPUNGE")
    done(other.noop())
    equal(len(other.response("EXPUNGE")[1]), len(gone), "EXPUNGE in another session")
    compare(fetch(other), wanted, "in another session after EXPUNGE")
    done(imap.uid("STORE", str(left[0]), "+FLAGS", "(\\Deleted)"))
    done(imap.close())
    equal(imap.state, "AUTH", "state after CLOSE")
    del wanted[0]
    done(imap.select(BOX))
    compare(fetch(imap), wanted, "after CLOSE")


def main():
    mail = messages()
    # One that only a search in UTF-8 finds, also where it is encoded.
    mail.append("Subject: =?iso-8859-1?Q?Gr=F6=DFe?=\r\n\r\nx\r\n".encode())
    imap, other = login(), login()
    # imaplib knows those of before the login only.
    offered = done(imap.capability())[0].split()
    for name in (b"IMAP4rev1", b"UIDPLUS", b"MULTIAPPEND", b"UNSELECT", b"LITERAL+", b"SORT",
                 b"THREAD=REFERENCES"):
        assert name in offered, offered
    mailboxes(imap)
    wanted = upload(imap, mail)
    batch(imap, mail)
    done(imap.select(BOX))
    sections(imap, wanted)
    search(imap, wanted)
    done(other.select(BOX))
    change(imap, other, wanted)
    copy(imap, wanted)
    expunge(imap, other, wanted)
    done(imap.unselect())
    for name in (BOX, COPY, BATCH):
        done(imap.delete(name))
    for one in (imap, other):
        equal(one.logout()[0], "BYE", "LOGOUT")


if __name__ == "__main__":
    main()
