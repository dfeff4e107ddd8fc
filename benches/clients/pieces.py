#!/usr/bin/env python3
"""How long a server takes for commands that clients write in pieces, without TCP_NODELAY. The
kernel sends a second small piece only when the first is acknowledged, and acknowledges late, after
40 ms, unless the server asks for more.

    python3 benches/clients/pieces.py HOST PORT USER PASSWORD

Prints the median, the least and the most of each pattern in milliseconds. Needs Python 3 only, and
appends to a mailbox of its own, which it deletes.
"""

import socket
import statistics
import sys
import time

ROUNDS = 100
BOX = b"pieces"


class Connection:
    def __init__(self, host, port, user, password):
        self.socket = socket.create_connection((host, int(port)))
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.run(b"LOGIN %s %s" % (user.encode(), password.encode()))

    def until(self, start):
        line = self.lines.readline()
        while not line.startswith(start):
            assert line.startswith(b"*"), line
            line = self.lines.readline()
        return line

    def run(self, command):
        self.socket.sendall(b"t " + command + b"\r\n")
        line = self.until(b"t ")
        assert line.startswith(b"t OK"), line

    def play(self, pieces, replies=1):
        """Sends each piece in a write of its own; None waits for a continuation."""
        for piece in pieces:
            if piece is None:
                self.until(b"+")
            else:
                self.socket.send(piece)
        for _ in range(replies):
            line = self.until(b"t ")
            assert line.startswith(b"t OK"), line


def literal(octets):
    """How clients write a message: the octets of one write each."""
    head, body = octets[:5000], octets[5000:]
    return {
        "at once": [octets],
        "header, body": [head, body],
        "8 KiB": [octets[at:at + 8192] for at in range(0, len(octets), 8192)],
        "1,000 octets": [octets[at:at + 1000] for at in range(0, len(octets), 1000)],
    }


def patterns():
    yield "command", [b"t NOOP\r\n"]
    yield "command | CRLF (Ruby)", [b"t NOOP", b"\r\n"]
    yield "tag | command | CRLF", [b"t ", b"NOOP", b"\r\n"]
    octets = b"Subject: x\r\n\r\n".ljust(40_000, b"y")
    size = len(octets)
    for name, pieces in literal(octets).items():
        head = b"t APPEND %s {%d}\r\n" % (BOX, size)
        yield f"APPEND: {name} | CRLF", [head, None, *pieces, b"\r\n"]
        plus = b"t APPEND %s {%d+}\r\n" % (BOX, size)
        yield f"APPEND, LITERAL+: {name} | CRLF", [plus, *pieces, b"\r\n"]
        again = b" {%d}\r\n" % size
        batch = [head, None, *pieces] + [again, None, *pieces] * 9
        yield f"MULTIAPPEND of 10: {name} (c-client)", [*batch, b"\r\n"]
    yield "LOGIN-like literals", [b"t STATUS {%d}\r\n" % len(BOX), None, BOX, b" (MESSAGES)", b"\r\n"]
    yield "IDLE | DONE | CRLF", [b"t IDLE\r\n", None, b"DONE", b"\r\n"]


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    connection = Connection(*sys.argv[1:])
    connection.run(b"CREATE " + BOX)
    connection.run(b"SELECT " + BOX)
    try:
        for name, pieces in patterns():
            times = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                connection.play(pieces)
                times.append((time.perf_counter() - begun) * 1000)
            print(f"{name:48} {statistics.median(times):8.2f} ({min(times):.2f} to {max(times):.2f})")
    finally:
        connection.run(b"DELETE " + BOX)


if __name__ == "__main__":
    main()
