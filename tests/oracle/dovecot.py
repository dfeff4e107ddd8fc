"""Appends mail to a Dovecot and writes down what it says of every message.

    python3 tests/oracle/dovecot.py PORT OUT SOURCE...

PORT is that of a Dovecot on this machine (benches/peers/dovecot.sh start). A SOURCE is a folder of
messages, one a file, or an mbox. OUT gets lines of a key, a blank and a value, as
src/mime/tests/oracle.rs reads them: `M` begins a message and names it, `raw` is its octets, other
keys are FETCH items; values are base64 after `=`, or `-` for NIL. Python's standard library is all
it takes. The mailbox `oracle` of the user is overwritten.
"""

import base64
import os
import re
import socket
import sys

USER = PASSWORD = b"bench"
MAILBOX = b"oracle"

# Parts of a message that are asked for: of those with many, the first and the last.
PARTS = 30

# Sections that are not there, or only in some messages.
ODD = ["99", "1.99", "1.1", "1.1.1", "1.1.HEADER"]


class Closed(Exception):
    """The server ended the connection: some mail is too much for it."""


class Client:
    """A connection, and one command after the other."""

    def __init__(self, port):
        self.port = port
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.run(b"LOGIN %s %s" % (USER, PASSWORD))

    def run(self, command):
        """The lines of the answer, each with its literals; the last is the tagged one."""
        self.socket.sendall(b"a " + command + b"\r\n")
        lines = []
        while not lines or not lines[-1].startswith(b"a "):
            line = self.file.readline()
            while literal := re.search(rb"\{(\d+)\}\r\n$", line):
                line += self.file.read(int(literal[1])) + self.file.readline()
            if not line:
                raise Closed
            lines.append(line)
        return lines

    def fetch(self, number, items):
        """What is within the parentheses; `None` when the answer is not OK."""
        lines = self.run(b"FETCH %d (%s)" % (number, " ".join(items).encode()))
        if not lines[-1].startswith(b"a OK"):
            return None
        # FETCH of FLAGS may come unasked.
        names = tuple(re.split(r"[.\[ ]", item)[0].encode() for item in items)
        for line in lines:
            values = re.match(rb"\* \d+ FETCH (\(.*\))\r\n$", line, re.DOTALL)
            if values and values[1][1:].startswith(names):
                return values[1]
        return None


def parse(octets):
    """A list in parentheses: lists of lists, bytes, None for NIL, str for what else is an atom."""
    at = 0

    def value():
        nonlocal at
        first = octets[at : at + 1]
        if first == b"(":
            at += 1
            values = []
            while True:
                while octets[at : at + 1] == b" ":
                    at += 1
                if octets[at : at + 1] == b")":
                    at += 1
                    return values
                values.append(value())
        if first == b'"':
            at += 1
            text = bytearray()
            while octets[at : at + 1] != b'"':
                at += octets[at : at + 1] == b"\\"
                text += octets[at : at + 1]
                at += 1
            at += 1
            return bytes(text)
        if literal := re.match(rb"~?\{(\d+)\}\r\n", octets[at : at + 24]):
            start = at + literal.end()
            at = start + int(literal[1])
            return octets[start:at]
        atom = re.compile(rb"[^\s()\"\[]+(\[[^\]]*\](<\d+>)?)?").match(octets, at)
        at = atom.end()
        return None if atom[0] == b"NIL" else atom[0].decode("latin1")

    return value()


def pairs(octets):
    values = parse(octets)
    return zip(values[0::2], values[1::2])


def part_numbers(body, prefix="", is_message=True):
    """The numbers of all parts, as RFC 3501 section 6.4.5 counts them."""
    numbers = []

    def part(number, body):
        numbers.append(number)
        if isinstance(body[0], list):
            numbers.extend(part_numbers(body, number + ".", False))
        elif (body[0] or b"").lower() == b"message" and (body[1] or b"").lower() == b"rfc822":
            numbers.extend(part_numbers(body[8], number + "."))

    if isinstance(body[0], list):
        for n, child in enumerate(body, 1):
            if not isinstance(child, list):
                break
            part(f"{prefix}{n}", child)
    elif is_message:
        part(f"{prefix}1", body)
    return numbers


def messages(source):
    """Names and octets. Those of an mbox get lines that end with CRLF."""
    if os.path.isdir(source):
        name = os.path.basename(os.path.normpath(source))
        for file in sorted(os.listdir(source)):
            with open(os.path.join(source, file), "rb") as message:
                yield f"{name}/{file}", message.read()
        return
    with open(source, "rb") as mbox:
        parts = re.split(rb"(?m)^From .*\n", mbox.read())[1:]
    for n, message in enumerate(parts, 1):
        # An empty line stands before the next.
        message = re.sub(rb"(?m)^>(>*From )", rb"\1", message[:-1])
        yield f"mbox/{n}", message.replace(b"\n", b"\r\n")


def answers(client, number):
    """All that is said of a message: pairs of an item and a value."""
    whole = client.fetch(number, ["ENVELOPE", "BODY", "BODYSTRUCTURE"])
    if whole is None:
        return
    body, structure = whole.index(b" BODY ("), whole.index(b" BODYSTRUCTURE (")
    yield "ENVELOPE", whole[len("(ENVELOPE ") : body]
    yield "BODY", whole[body + len(" BODY ") : structure]
    yield "BODYSTRUCTURE", whole[structure + len(" BODYSTRUCTURE ") : -1]

    numbers = part_numbers(dict(pairs(whole))["BODYSTRUCTURE"])
    if len(numbers) > 2 * PARTS:
        numbers = numbers[:PARTS] + numbers[-PARTS:]
    sections = ["HEADER", "TEXT"]
    for part in numbers:
        sections += [part, f"{part}.MIME", f"{part}.HEADER", f"{part}.TEXT"]
    items = [f"BODY.PEEK[{section}]" for section in dict.fromkeys(sections + ODD)]
    for start in range(0, len(items), 40):
        some = items[start : start + 40]
        got = client.fetch(number, some)
        # If one of them is refused all are: one by one then.
        for values in [got] if got else [client.fetch(number, [item]) for item in some]:
            yield from pairs(values or b"()")

    for part in numbers[:40]:
        try:
            values = client.fetch(number, [f"BINARY.PEEK[{part}]", f"BINARY.SIZE[{part}]"])
            yield from pairs(values or b"()")
        except Closed:
            client.connect()
            client.run(b"SELECT " + MAILBOX)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    client = Client(int(sys.argv[1]))
    client.run(b"DELETE " + MAILBOX)
    client.run(b"CREATE " + MAILBOX)
    taken = []
    for source in sys.argv[3:]:
        for name, message in messages(source):
            answer = client.run(b"APPEND %s {%d+}\r\n%s" % (MAILBOX, len(message), message))[-1]
            if answer.startswith(b"a OK"):
                taken.append((name, message))
            else:
                print(f"{name} was not taken: {answer.decode(errors='replace').strip()}")
    client.run(b"SELECT " + MAILBOX)
    with open(sys.argv[2], "w", encoding="ascii") as out:

        def put(key, value):
            text = "-" if value is None else "=" + base64.b64encode(value).decode()
            out.write(f"{key} {text}\n")

        for number, (name, message) in enumerate(taken, 1):
            out.write(f"M {name}\n")
            put("raw", message)
            for key, value in answers(client, number):
                put(key, value.encode() if isinstance(value, str) else value)
    print(f"{len(taken)} messages")


if __name__ == "__main__":
    main()
