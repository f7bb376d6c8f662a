"""What every program here begins and ends with, whatever stops it: the processes that it starts end with it."""
import contextlib
import ctypes
import os
import pathlib
import select
import shlex
import signal
import subprocess
import sys
import time

import terminal


class Failure(Exception):
    """Something that ends the measurement; its text is one line for the user."""


def end(process):
    """Kills a program that we have started, and reaps it.

    By the system's calls and not by Popen.wait: that takes a lock, and where a signal's exception has
    come just as poll had taken it, nobody gives it back.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            process.returncode = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])


@contextlib.contextmanager
def started(command, ends=(0,), **options):
    """Starts a program; ends it with SIGTERM, and looks whether it ended with one of these statuses."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        if process.returncode not in ends:
            how = "did not end" if process.returncode is None else f"ended with status {process.returncode}"
            raise Failure(f"{shlex.join(command)} {how}")
    finally:
        end(process)


def wait_until(ready, what):
    """Waits until a function says that it is so, for 20 seconds at most."""
    end = time.monotonic() + 20
    while not ready():
        if time.monotonic() > end:
            raise Failure(f"{what} did not come within 20 seconds")
        time.sleep(0.01)


# ---- processes ----


def look_at(pid):
    """What the kernel says of a process, the fields of /proc/PID/stat behind its name, from its state on: proc(5).

    None when it has gone.
    """
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def called(pid):
    """What a process is called: after its program, or as it calls itself. None when it has gone."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    return None


def parents():
    """The parent of each process there is, by number."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        if fields := look_at(name):
            found[int(name)] = int(fields[1])
    return found


def children(pid):
    """The children of a process, in the order in which they were born."""
    return sorted(child for child, parent in parents().items() if parent == pid)


def descendants(root=None):
    """The processes that this one, or another, has started and that are left, parents first."""
    of = {}
    for pid, parent in parents().items():
        of.setdefault(parent, []).append(pid)
    found = list(of.get(root or os.getpid(), []))
    for pid in found:
        found += of.get(pid, [])
    return found


def end_descendants():
    """Ends all that this program has started and that is still there. SIGTERM first, for servers to end workers.

    It does not matter where a signal interrupted this program: what it has started is found among the
    descendants, though no variable may have its id.
    """
    deadline = time.monotonic() + 2
    asked = set()
    while left := descendants():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                elif pid not in asked:
                    os.kill(pid, signal.SIGTERM)
                    asked.add(pid)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.005)


# ---- beginning and end ----


def stop(number, _frame):
    global stopped
    stopped = number
    raise KeyboardInterrupt


stopped = 0  # by which signal


def go_on():
    """For loops that last: whether the exception of a signal was lost, in a destructor for example."""
    if stopped:
        raise KeyboardInterrupt


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_CHILD_SUBREAPER = 36


def unread():
    """Whether nobody reads what we print any more, as in "make trace-04 | head"; then it goes nowhere."""
    poll = select.poll()
    poll.register(1, 0)
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return gone


def main(function):
    """Runs a measurement: a failure is one line and status 1; a signal ends it and what it started."""
    # Who loses its parent becomes a child of this process, where end_descendants finds it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in STOPS:
        signal.signal(number, stop)
    # A signal that comes just before a system call does not interrupt it, and Python calls `stop` only when the
    # call has returned: after a wait for a server, say. So all calls are interrupted now and then, and go on.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    sys.stdout.reconfigure(line_buffering=True)  # what is known is said, into a file or a pipe as well
    name = pathlib.Path(sys.argv[0]).name
    status = 1
    try:
        function()
        status = 0
    except (Failure, OSError, subprocess.CalledProcessError) as failure:
        if unread():
            status = 128 + signal.SIGPIPE  # as of a program that this signal ended; it is quiet, too
        else:
            terminal.complain(f"{name}: {failure}")
    except KeyboardInterrupt:
        print(f"\n{name}: stopped", file=sys.stderr)
        status = 128 + (stopped or signal.SIGINT)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # the interpreter, at its end, would be ended by it
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)
        end_descendants()
    sys.exit(status)
