#!/usr/bin/env python3
"""strace.py NAME: a server under strace, with just the calls that matter, each behind who made it.

NAME is a chapter, or one of its servers: 04, 07-pidfd. What is run for a chapter without a server
is TRACED in its show.py. A call that took a while is shown when it has returned. Reading and
closing is shown for the descriptors that the other calls opened, not for those of the dynamic
linker; a look for messages that was not to wait, only if there was one.
"""
import itertools
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
         "sendmsg", "recvmsg", "recvfrom", "sendto", "read", "write", "close", "dup2", "exit_group",
         "memfd_create", "connect", "prctl", "epoll_wait", "epoll_pwait", "pidfd_open",
         "pidfd_getfd"]
WAITING = ["accept4", "recvmsg", "recvfrom", "read", "epoll_wait", "epoll_pwait"]
MARGIN = 9  # for who calls, at least


# How all servers say that they are ready; and what those are called that have ended before.
READY, HELPER = r'write\(\d+, "listening on ', "helper {}"


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
    text = re.sub(r"\{msg_namelen=0\}", "{...}", re.sub(r"\) +=", ") =", text))
    # What a descriptor for signals gives is a struct signalfd_siginfo, and begins with the signal's number.
    return re.sub(r'^read\((\d+), "\\(\d+)\\0\\0\\0.*, 128\) = 128$', signal_read, text)


def signal_read(found):
    return f"read({found[1]}, {{{signal.Signals(int(found[2], 8)).name}}}, 128) = 128"


# What is left out of a line that is too long, first to last.
SHORTER = [
    (r"(= \S+ E[A-Z]+) \(.*\)$", r"\1"),
    # Of a message, all but the descriptor in it, or who has sent it.
    (r"\{msg_iov=.*cmsg_type=(SCM_RIGHTS, cmsg_data=\[[\d, ]*\]).*\}(?=, )", r"{... \1}"),
    (r"\{msg_iov=.*cmsg_type=(SCM_CREDENTIALS, )cmsg_data=\{(pid=\d+).*\}(?=, )", r"{... \1\2}"),
    (r"\}, [A-Z_|]+\) =", "}, ...) ="),
    (r", IPPROTO_IP\)", ", 0)"),
    (r", NULL, 0\) =", ", ...) ="),
]


def fitted(who, text, margin=MARGIN):
    """The line of a call. What is too long even when it is shortened goes on in the next line."""
    for what, instead in SHORTER:
        if margin + len(text) > terminal.width():
            text = re.sub(what, instead, text)
    return terminal.folded(f"{who:<{margin}}{text}", " " * (margin + 4))


class Reader:
    """Turns a trace into lines, and knows who is who and which descriptors are of interest."""

    def __init__(self, roles, calls):
        self.roles = roles
        self.numbers = {form: itertools.count(1) for form in (roles.other, HELPER)}
        self.names, self.open, self.pidfds = {}, {}, {}
        # How processes call themselves, later than who has made them speaks of them; and who ends
        # before the server is ready.
        named = [(pid, re.match(r'prctl\(PR_SET_NAME, "(.*)"\)', call)) for pid, call in calls]
        self.own = {pid: found[1] for pid, found in named if found and found[1] in roles.own}
        ready = next((n for n, (_, call) in enumerate(calls) if re.match(READY, call)), 0)
        self.helpers = {pid for pid, call in calls[:ready] if call.startswith("+++ ")}
        self.margin = max(MARGIN, *(len(name) + 1 for name in (roles.first, *roles.own)))

    def name(self, pid):
        if pid not in self.names:
            form = HELPER if pid in self.helpers else self.roles.other
            self.names[pid] = (self.roles.first if not self.names else self.own.get(pid) or
                               form.format(next(self.numbers[form])))
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
            if sender := re.search(r"cmsg_data=\{pid=(\d+)", text):
                text += f", of {self.name(int(sender[1]))}"
            elif "MSG_DONTWAIT" in text and "EAGAIN" in text:
                return None
        elif call == "prctl":
            if not (pid in self.own and text.startswith("prctl(PR_SET_NAME")):
                return None
        elif call in ("epoll_wait", "epoll_pwait"):
            if not re.search(r", -1(, NULL, \d+)?\) = ", text):
                return None
        elif call == "pidfd_open":
            self.pidfds[pid, result] = int(re.search(r"\d+", text)[0])
            return None
        elif call == "pidfd_getfd":
            if result is not None and result >= 0:
                known.add(result)
                of = self.pidfds.get((pid, int(re.search(r"\d+", text)[0])))
                text += f", out of {self.name(of)}" if of else ""
        elif call in ("read", "close", "recvfrom"):
            fd = int(re.match(r"\w+\((\d+)", text)[1])
            if fd not in known:
                return None
            if call == "close":
                known.discard(fd)
        elif call == "write" and not re.match(r"write\((\d+)", text)[1] in {str(fd) for fd in known}:
            return None
        return fitted(self.name(pid), short(text), self.margin)


def traced(command, log):
    # -D: the program is our child, and strace its grandchild, so that a signal reaches the program.
    # ?: not every machine has every call. Of signals only how SIGKILL ended a process.
    calls = ",".join(f"?{call}" for call in CALLS)
    return ["strace", "-D", "-f", "-q", "-s", "20", "-e", f"trace={calls}",
            "-e", "signal=kill", "-o", log, *map(str, command)]


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
    name, = sys.argv[1:] or sys.exit("usage: strace.py NAME")
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "trace")
        if name in registry.servers():
            with serving.running(traced(registry.command(name), log), 2) as (_, port):
                subprocess.run([paths.LOAD, "-T", "-L", "-c", "1", "-n", "2", "-p", str(port)],
                               stdout=subprocess.DEVNULL, check=True)
                time.sleep(0.2)  # for the server to see the end of the last connection
        else:
            command = chapters.said(name, "TRACED", "calls to show")
            subprocess.run(traced(command, log), stdout=subprocess.DEVNULL, check=True)
        text = finished(log)
    calls = joined(text)
    reader = Reader(chapters.roles(name.partition("-")[0]), calls)
    for pid, call in calls:
        line = reader.line(pid, call)
        if line:
            print(line)


if __name__ == "__main__":
    program.main(main)
