#!/usr/bin/env python3
"""Runs a command under tuning/container/seccomp.json without a container, to check that the profile
allows it. Linux on x86-64, any user:

    tuning/container/under-seccomp.py mailrace demo
    tuning/container/under-seccomp.py --without io_uring_setup mailrace demo

With --without NAME that system call is forbidden as well, as the default profiles of Docker and
containerd forbid io_uring.
"""

import ctypes
import errno
import json
import os
import pathlib
import re
import struct
import sys

HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
X86_64 = 0xC000003E
LOAD, EQUAL, SET, AND, RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


def operation(code, value, true=0, false=0):
    return struct.pack("HBBI", code, true, false, value)


def program(profile, without):
    text = pathlib.Path(HEADER).read_text()
    numbers = {name: int(number) for name, number in re.findall(r"__NR_(\w+)\s+(\d+)", text)}
    default = ERRNO | profile["defaultErrnoRet"]
    lines = [
        operation(LOAD, ARCHITECTURE),
        operation(EQUAL, X86_64, 1, 0),
        operation(RETURN, ERRNO | errno.ENOSYS),
        operation(LOAD, NUMBER),
    ]
    for rule in profile["syscalls"]:
        allow = rule["action"] == "SCMP_ACT_ALLOW"
        action = ALLOW if allow else ERRNO | rule["errnoRet"]
        for name in rule["names"]:
            if name not in numbers or name in without:
                continue
            body = [operation(RETURN, action)]
            for arg in rule.get("args", []):
                # The only comparison in use: the flags of clone, of which none may be set.
                assert (arg["index"], arg["op"]) == (0, "SCMP_CMP_MASKED_EQ"), arg
                body = [
                    operation(LOAD, FIRST_ARGUMENT),
                    operation(SET, arg["value"], 0, 1),
                    operation(RETURN, default),
                ] + body
            lines += [operation(EQUAL, numbers[name], 0, len(body))] + body
    return lines + [operation(RETURN, default)]


def main():
    arguments, without = sys.argv[1:], set()
    while arguments[:1] == ["--without"]:
        without.add(arguments[1])
        arguments = arguments[2:]
    if not arguments:
        sys.exit(__doc__)
    place = pathlib.Path(__file__).with_name("seccomp.json")
    lines = program(json.loads(place.read_text()), without)
    octets = ctypes.create_string_buffer(b"".join(lines))
    filter = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(octets))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, mode_filter = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, mode_filter, filter, 0, 0):
        sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
    os.execvp(arguments[0], arguments)


main()
