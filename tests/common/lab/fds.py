#!/usr/bin/env python3
"""Test of common/lab/fds.py: in every server one process that serves has the connection, alone."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path[:0] = [str(tap.ROOT / "common/report"), str(tap.ROOT / "common/lab")]
import chapters  # noqa: E402
import fds  # noqa: E402
import program  # noqa: E402
import registry  # noqa: E402
import tables  # noqa: E402


def sleeping(name):
    """A process that calls itself so; runs until its end of a pipe is closed."""
    script = "printf %s $1 >/proc/$$/comm; echo; read -r _"
    process = subprocess.Popen(["sh", "-c", script, "sh", name],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def test_who_calls_itself_by_a_name_of_the_chapter_has_that_and_no_number():
    names = "sh", "ear", "any", "eye"
    processes = [sleeping(name) for name in names]
    pids = [process.pid for process in processes]
    roles = chapters.Roles("chief", "hand {}", ("ear", "eye"))
    tap.equal([program.called(pid) for pid in pids], list(names))
    tap.equal(fds.named(1, pids, roles), {"chief": 1, "hand 1": pids[0], "ear": pids[1],
                                          "hand 2": pids[2], "eye": pids[3]})
    for process in processes:
        process.communicate("\n")
    tap.equal([program.called(pid) for pid in pids], [None] * 4)


def test_every_server_is_shown_with_a_connection_in_one_process_that_serves():
    for name in registry.servers():
        result = subprocess.run([tap.ROOT / "common/lab/fds.py", name],
                                capture_output=True, text=True, check=False)
        tap.equal((result.returncode, result.stderr), (0, ""))
        tap.expect(max(map(len, result.stdout.splitlines())) <= tap.COLUMNS, result.stdout)
        roles = chapters.roles(name.partition("-")[0])
        before, during, after = result.stdout.strip().split("\n\n")
        tap.equal(during.splitlines()[0], "a client is connected, and a process has it")
        tap.equal((holders(before), holders(after)), ([], []))
        holder, = holders(during)
        tap.expect(holder in map(roles.other.format, (1, 2)), result.stdout)
        for table in before, during, after:
            tap.equal([who for who in roles.own if not re.search(rf"^  {who} ", table, re.M)], [])


def holders(table):
    """Who has a connection."""
    found, who = [], ""
    for line in table.splitlines()[1:]:
        who = line[2:12].strip() or who
        found += [who] if "connection of client" in line else []
    return found


def shown(own, pid):
    """What these descriptors of ours are, beside a process that is called "it"."""
    rows = tables.named({"me": os.getpid(), "it": pid})
    return [what for who, number, what in rows if who == "me" and number in own]


def test_a_pidfd_is_shown_with_the_process_that_it_stands_for():
    process = sleeping("any")
    try:
        own = os.pidfd_open(process.pid), os.pidfd_open(process.pid)
        tap.equal(shown(own, process.pid), ["pidfd of it"] * 2)
        process.communicate("\n")
        tap.equal(shown(own, process.pid), ["pidfd of nobody"] * 2)
    finally:
        for number in own:
            os.close(number)


tap.run(vars())
