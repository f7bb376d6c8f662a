#!/usr/bin/env python3
"""strace.py NN: chapter NN under strace, with just the calls that matter, each behind who made it.

A call that took a while is shown when it has returned. Reading and closing is shown for the
descriptors that the other calls opened, not for those of the dynamic linker. What is run for a chapter without
a server is TRACED in its show.py.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import chapters
import paths
import program
import registry
import serving
import terminal

CALLS = ["accept4", "clone", "clone3", "fork", "vfork", "execve", "socketpair", "pipe2", "signalfd4", "listen", "socket",
         "sendmsg", "recvmsg", "recvfrom", "sendto", "read", "write", "close", "dup2", "exit_group", "memfd_create", "connect"]
WAITING = ["accept4", "recvmsg", "recvfrom", "read"]
MARGIN = 9  # for who calls


def joined(log):
    """The lines of a trace as (process, call), those that were interrupted put together.

    In the order in which calls that wait for something returned, and all others began: so that what
    was sent stands before its receipt.
    """
    begun, calls = {}, []
    for place, line in enumerate(log.splitlines()):
        found = re.match(r"(\d+) +(.*)", line)
        if not found:
            continue
        pid, text = int(found[1]), found[2]
        if text.endswith(" <unfinished ...>"):
            begun[pid] = place, text.removesuffix(" <unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", text)
        if resumed and pid in begun:
            began, first = begun.pop(pid)
            text = first + resumed[2]
            if resumed[1] not in WAITING:
                place = began
        calls.append((place, pid, text))
    return [(pid, text) for _, pid, text in sorted(calls)]


def short(text):
    """A call without what says nothing here."""
    text = re.sub(r"msg_name=NULL, msg_namelen=0, |msg_namelen=0, |, msg_iovlen=1|, msg_controllen=\d+|, msg_flags=[\w|]+|cmsg_len=\d+, ", "", text)
    text = re.sub(r", child_tidptr=\w+|child_stack=NULL, |CLONE_CHILD_\w+\|", "", text)
    text = re.sub(r"/\* \d+ vars \*/|0x[0-9a-f]{8,} ", "", text).replace("], )", "])")
    text = re.sub(r"\) +=", ") =", text)
    # What a descriptor for signals gives is a struct signalfd_siginfo, and begins with the signal's number.
    return re.sub(r'^read\((\d+), "\\(\d+)\\0\\0\\0.*, 128\) = 128$', signal_read, text)


def signal_read(found):
    return f"read({found[1]}, {{{signal.Signals(int(found[2], 8)).name}}}, 128) = 128"


def fitted(who, text):
    """The line of a call. Where it is too long, of a message only the descriptor in it is shown;
    what still is goes on in the next line.
    """
    if MARGIN + len(text) > terminal.width():
        text = re.sub(r"\{msg_iov=.*cmsg_type=(SCM_RIGHTS, cmsg_data=\[[\d, ]*\]).*\}(?=, )",
                      r"{... \1}", text)
    return terminal.folded(f"{who:<{MARGIN}}{text}", " " * (MARGIN + 4))


class Reader:
    """Turns a trace into lines, and knows who is who and which descriptors are of interest."""

    def __init__(self, roles):
        self.first, self.others = roles
        self.names, self.open = {}, {}

    def name(self, pid):
        if pid not in self.names:
            count = len(self.names)
            self.names[pid] = self.others.format(count) if count else self.first
        return self.names[pid]

    def line(self, pid, text):
        """The line to show for a call, or None."""
        call = text.partition("(")[0]
        result = re.search(r"\) += (-?\d+)", text)
        result = int(result[1]) if result else None
        known = self.open.setdefault(pid, set())
        if call not in CALLS:
            return None
        if call in ("clone", "clone3", "fork", "vfork") and result and result > 0:
            self.open[result] = self.open.get(result, set()) | known
            text = re.sub(r"= \d+$", f"= {result}, which is {self.name(result)}", text)
        elif call == "execve":
            known &= {0}
            if pid not in self.names and len(self.names) == 0:  # how the trace begins
                self.name(pid)
                return None
        elif call in ("accept4", "socket", "signalfd4", "dup2", "memfd_create") and result is not None and result >= 0:
            known.add(result)
        elif call in ("socketpair", "pipe2"):
            known.update(map(int, re.findall(r"\[(\d+), (\d+)\]", text)[-1]))
        elif call == "recvmsg":
            known.update(int(fd) for fds in re.findall(r"cmsg_data=\[([\d, ]+)\]", text) for fd in fds.split(","))
        elif call in ("read", "close", "recvfrom"):
            fd = int(re.match(r"\w+\((\d+)", text)[1])
            if fd not in known:
                return None
            if call == "close":
                known.discard(fd)
        elif call == "write" and not re.match(r"write\((\d+)", text)[1] in {str(fd) for fd in known}:
            return None
        return fitted(self.name(pid), short(text))


def traced(command, log):
    # -D: the program is our child, and strace its grandchild, so that a signal reaches the program.
    return ["strace", "-D", "-f", "-q", "-s", "20", "-e", "trace=" + ",".join(CALLS),
            "-e", "signal=none", "-o", log, *map(str, command)]


def finished(log):
    """The whole trace: strace goes on writing for a moment when the program has ended."""
    end = time.monotonic() + 20
    while True:
        text = pathlib.Path(log).read_text()
        first = text.partition(" ")[0]  # who waits for all the others
        if re.search(rf"^{first} +\+\+\+ exited", text, re.M):
            return text
        if time.monotonic() > end:
            raise program.Failure("strace has not ended within 20 seconds")
        time.sleep(0.01)


def main():
    number, = sys.argv[1:] or sys.exit("usage: strace.py NN")
    servers = chapters.servers(number)
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "trace")
        if servers:
            with serving.running(traced(registry.command(servers[0]), log), 2) as (_, port):
                subprocess.run([paths.LOAD, "-T", "-L", "-c", "1", "-n", "2", "-p", str(port)],
                               stdout=subprocess.DEVNULL, check=True)
                time.sleep(0.2)  # for the server to see the end of the last connection
        else:
            command = chapters.said(number, "TRACED", "calls to show")
            subprocess.run(traced(command, log), stdout=subprocess.DEVNULL, check=True)
        text = finished(log)
    reader = Reader(chapters.roles(number))
    for pid, call in joined(text):
        line = reader.line(pid, call)
        if line:
            print(line)


if __name__ == "__main__":
    program.main(main)
