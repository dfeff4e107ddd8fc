#!/usr/bin/env python3
"""Measures how file system, mount options and the queue of a disk affect the log: runs the jobs of
tuning/fio, each on a newly made file system on a loop device. As root:

    tuning/measure/mounts.py FOLDER [ROUNDS]

FOLDER is on the disk to measure and has 3 GiB free. All kinds alternate within each round, so that
other load on the machine affects all alike. Prints a table: the median over the rounds, with the
lowest and highest in brackets.
"""

import json
import pathlib
import statistics
import subprocess
import sys

JOBS = pathlib.Path(__file__).resolve().parent.parent / "fio"
# Otherwise the kernel would still initialise inode tables during the measurement.
EXT4 = ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
XFS = ["mkfs.xfs", "-q", "-f"]

# The default settings of a loop device's queue.
QUEUE = {"scheduler": "none", "write_cache": "write back"}

# Name, command that makes it, mount options, settings of its device's queue.
KINDS = [
    ("ext4", EXT4, "", {}),
    ("ext4, noatime", EXT4, "noatime", {}),
    ("ext4, noatime,lazytime", EXT4, "noatime,lazytime", {}),
    ("ext4, discard", EXT4, "discard", {}),
    ("ext4, data=writeback", EXT4, "data=writeback", {}),
    ("ext4, journal of 256 MiB", EXT4 + ["-J", "size=256"], "", {}),
    ("ext4, fast_commit", EXT4 + ["-O", "fast_commit"], "", {}),
    ("ext4 without a journal", EXT4 + ["-O", "^has_journal"], "", {}),
    ("XFS", XFS, "", {}),
    ("XFS, noatime", XFS, "noatime", {}),
    ("XFS, log of 256 MiB", XFS + ["-l", "size=256m"], "", {}),
    ("XFS, logbsize=256k", XFS, "logbsize=256k", {}),
    ("XFS, discard", XFS, "discard", {}),
    ("XFS, reflink=0", XFS + ["-m", "reflink=0"], "", {}),
    ("ext4, scheduler mq-deadline", EXT4, "", {"scheduler": "mq-deadline"}),
    ("ext4, scheduler kyber", EXT4, "", {"scheduler": "kyber"}),
    ("ext4, scheduler bfq", EXT4, "", {"scheduler": "bfq"}),
    ("ext4, write cache off", EXT4, "", {"write_cache": "write through"}),
]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def fio(job, mount):
    found = json.loads(run("fio", f"--directory={mount}", "--output-format=json", JOBS / job))
    job = found["jobs"][0]
    percentile = job["sync"]["lat_ns"]["percentile"]
    bandwidth = job["write"]["bw"] * 1024 / 1e6
    return percentile["50.000000"] / 1e3, percentile["99.000000"] / 1e3, bandwidth


def measure(kind, device, mount):
    _, make, options, queue = kind
    settings = pathlib.Path("/sys/block") / pathlib.Path(device).name / "queue"
    for name, value in {**QUEUE, **queue}.items():
        (settings / name).write_text(value)
    try:
        run(*make, device)
        run("mount", "-o", options or "defaults", device, mount)
        try:
            written, allocated = fio("written.fio", mount), fio("allocated.fio", mount)
            return *written[:2], allocated[0], fio("batches.fio", mount)[2]
        finally:
            run("umount", mount)
    finally:
        # The loop device keeps them for whoever has it next.
        for name, value in QUEUE.items():
            (settings / name).write_text(value)


def show(values):
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def main():
    folder, rounds = pathlib.Path(sys.argv[1]), int((sys.argv[2:] or ["5"])[0])
    image, mount = folder / "mailrace-measure.image", folder / "mailrace-measure.mount"
    mount.mkdir()
    found = {kind[0]: [] for kind in KINDS}
    device = None
    try:
        # Written whole, or the journal of the file system below would be measured as well.
        run("dd", "if=/dev/zero", f"of={image}", "bs=1M", "count=2048", "oflag=direct")
        device = run("losetup", "--find", "--show", "--direct-io=on", image).strip()
        for number in range(rounds):
            for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
                try:
                    found[kind[0]].append(measure(kind, device, mount))
                except (OSError, subprocess.CalledProcessError) as error:
                    why = getattr(error, "stderr", None) or error
                    print(f"{kind[0]}: {why}", file=sys.stderr)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    finally:
        if device:
            run("losetup", "-d", device)
        image.unlink(missing_ok=True)
        mount.rmdir()
    print("| File system | written: p50, µs | p99, µs | allocated: p50, µs | batches, MB/s |")
    print("| --- | --- | --- | --- | --- |")
    for name, rows in found.items():
        if rows:
            print(f"| {name} | {' | '.join(show(column) for column in zip(*rows))} |")


main()
