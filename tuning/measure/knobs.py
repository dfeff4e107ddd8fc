#!/usr/bin/env python3
"""Measures how settings of the host affect `mailrace bench`. Runs as root, but changes nothing for
other processes: limits, capabilities and huge pages are set for the process, TCP settings in a
network namespace.

    tuning/measure/knobs.py MAILRACE FOLDER [ROUNDS] [SECONDS] [GROUP...]

The choices of a group alternate within each round, in reverse order every other round, so an even
number of rounds is fair. Prints a table: the median over the rounds, with the lowest and highest in
brackets.
"""

import ctypes
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

MEGABYTES, CPU = "megabytes_per_second", "server_cpu_seconds_per_gigabyte"
PRCTL_THP_DISABLE = 41
LIBC = ctypes.CDLL(None, use_errno=True)


def little_memlock():
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (8 << 20, 8 << 20))


def no_huge_pages():
    if LIBC.prctl(PRCTL_THP_DISABLE, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_THP_DISABLE")


# Subject to the limit on locked memory, like an ordinary user.
BOUND = ["setpriv", "--inh-caps=-ipc_lock", "--bounding-set=-ipc_lock"]


def network(**settings):
    """A network namespace with a loopback and its own settings."""
    writes = [
        f"echo '{value}' > /proc/sys/net/{name.replace('__', '/')}"
        for name, value in settings.items()
    ]
    script = " && ".join(["ip link set lo up", *writes, 'exec "$@"'])
    return ["unshare", "--net", "sh", "-c", script, "sh"]


UNPINNED = "2 reactors, unpinned"
SMALL = ["--single", "--size", "4K"]

# Group: the name of each choice, a prefix of the command, flags of bench, and a function that the
# process calls first.
GROUPS = {
    "locked memory": [
        ("registered buffers", [], [], None),
        ("limit of 8 MiB, unregistered", BOUND, [], little_memlock),
    ],
    "huge pages": [
        ("huge pages for the arena", [], [], None),
        ("none", [], [], no_huge_pages),
    ],
    "reactors": [
        ("--reactors 1", [], ["--reactors", "1"], None),
        ("--reactors 2", [], ["--reactors", "2"], None),
        ("--reactors 4, unpinned", [], ["--reactors", "4"], None),
    ],
    "pinning": [
        ("2 reactors, each pinned to its core", [], [], None),
        (UNPINNED, [], [], None),
    ],
    "tcp": [
        ("tcp_rmem up to 32 MiB", network(ipv4__tcp_rmem="4096 131072 33554432"), [], None),
        ("tcp_rmem up to 6 MiB", network(ipv4__tcp_rmem="4096 131072 6291456"), [], None),
        ("tcp_rmem up to 256 KiB", network(ipv4__tcp_rmem="4096 131072 262144"), [], None),
    ],
    "locked memory, small": [
        ("registered, one of 4 KiB each", [], SMALL, None),
        ("unregistered, one of 4 KiB each", BOUND, SMALL, little_memlock),
    ],
}


def unpin(pid):
    """Lets the reactors of a process run on any core."""
    found = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text().startswith("reactor-"):
                os.sched_setaffinity(int(task.name), range(os.cpu_count()))
                found += 1
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found > 0


def bench(mailrace, folder, seconds, choice):
    name, before, flags, prepare = choice
    report = folder / "mailrace-knobs.json"
    command = [*before, mailrace, "bench", "--temp", folder, "--seconds", seconds, "--json", report]
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, *flags], stdout=quiet, preexec_fn=prepare) as running:
        if name == UNPINNED:
            # They pin themselves at their start, long before the load begins.
            while not unpin(running.pid):
                time.sleep(0.01)
            time.sleep(0.5)
            unpin(running.pid)
    if running.returncode:
        sys.exit(f"{name}: bench ended with {running.returncode}")
    found = json.loads(report.read_text())["rounds"][0]
    report.unlink()
    return found[MEGABYTES], found[CPU], found["latency_ms"]["p50"]


def show(values, digits):
    parts = statistics.median(values), min(values), max(values)
    return "{} ({}–{})".format(*(f"{part:,.{digits}f}" for part in parts))


def main():
    mailrace, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    rounds, seconds = (sys.argv[3:5] + ["6", "5"][len(sys.argv[3:5]):])[:2]
    print("| | MB/s | server CPU, s/GB | batch p50, ms |")
    print("| --- | --- | --- | --- |")
    for group in sys.argv[5:] or GROUPS:
        found = {choice[0]: [] for choice in GROUPS[group]}
        for number in range(int(rounds)):
            # The disk has not forgotten who wrote before: each comes as often before as after.
            choices = GROUPS[group] if number % 2 == 0 else GROUPS[group][::-1]
            for choice in choices:
                found[choice[0]].append(bench(mailrace, folder, seconds, choice))
            print(f"{group}: round {number + 1} of {rounds}", file=sys.stderr)
        for name, rows in found.items():
            cells = [show(column, digits) for column, digits in zip(zip(*rows), (0, 2, 1))]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


main()
