"""Processes: what fork copies, what exec and a change of user take away."""
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile

from experiment import (CannotTry, asleep, child, expect, expect_between, fact, need_root, outcome,
                        output, say, state, wait_for)

MIB = 64
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000


def page_tables():
    """KiB of page tables of this process: proc(5), VmPTE."""
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(r"^VmPTE:\s+(\d+) kB", status.read(), re.M)[1])


def copied(memory):
    """How many KiB of page tables a forked child has, before it touches anything, more than without this memory."""
    read, write = os.pipe()

    def tell():
        os.write(write, b"%d" % page_tables())

    with child(tell):
        with_it = int(os.read(read, 100))
    memory.close()
    with child(tell):
        return with_it - int(os.read(read, 100))


@fact("fork copies the page-table entries of anonymous memory, 8 bytes for each page of 4 KiB "
      "in use.")
def fork_copies_entries_of_anonymous_memory():
    memory = mmap.mmap(-1, MIB << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, MIB << 20, 4096):
        memory[at] = 1
    expect_between(f"KiB of page tables in the child for {MIB} MiB", copied(memory),
                   MIB * 2 * 0.9, MIB * 2 * 1.3)


@fact("fork skips what a file mapping shows that nobody has written to, such as a library's "
      "code: the child maps it when it looks.")
def fork_skips_mappings_of_files():
    with tempfile.TemporaryFile() as file:
        file.truncate(MIB << 20)
        memory = mmap.mmap(file.fileno(), MIB << 20, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        for at in range(0, MIB << 20, 4096):
            memory[at]  # pylint: disable=pointless-statement
        expect_between(f"KiB of page tables in the child for {MIB} MiB of a file", copied(memory),
                       0, MIB * 2 * 0.1)


@fact("A change of user clears the parent-death signal; so after setpriv --reuid the worker "
      "must ask for it again.")
def change_of_user_clears_the_death_signal():
    need_root("become another user")
    libc = ctypes.CDLL(None)

    def left(*change):
        script = ("import ctypes; signal = ctypes.c_int(); "
                  f"ctypes.CDLL(None).prctl({PR_GET_PDEATHSIG}, ctypes.byref(signal)); print(signal.value)")
        libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
        try:
            return output(*change, sys.executable, "-c", script)
        finally:
            libc.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)

    # Of a child of ours by way of exec alone it is not asked: fork clears it. So the program asks for itself, and execs.
    again = f"import ctypes, os, sys; ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, 9, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    asks = sys.executable, "-c", again
    expect("the signal after exec", left(*asks, "env"), "9")
    expect("after setpriv --reuid, and exec", left(*asks, "setpriv", "--reuid=65534", "--clear-groups"), "0")


def interrupted(restart, call):
    """Calls something that waits, while another process sends us a signal that is handled."""
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.siginterrupt(signal.SIGUSR1, not restart)
    parent = os.getpid()
    read, write = os.pipe()

    def disturb():
        wait_for(lambda: asleep(parent), "that it waits")
        os.kill(parent, signal.SIGUSR1)
        wait_for(lambda: not pending(parent), "that it is handled")
        wait_for(lambda: not restart or asleep(parent), "that it waits again")
        os.write(write, b"x")

    with child(disturb):
        return call(read, write)


def pending(pid):
    """True while a signal lies there: proc(5), /proc/PID/status, ShdPnd."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"^ShdPnd:\s+(\w+)", status.read(), re.M)[1], 16)


def libc_call(name, *arguments):
    """The C library's function itself: Python's would begin again after EINTR."""
    result = getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else result


@fact("A signal that is handled ends a read that waits, with EINTR; where its handler has "
      "SA_RESTART, the read goes on.")
def a_signal_interrupts_a_read():
    def read_one(read, _write):
        return libc_call("read", read, ctypes.create_string_buffer(1), 1)

    expect("read, without SA_RESTART", interrupted(False, read_one), "EINTR")
    expect("read, with SA_RESTART", interrupted(True, read_one), 1)


@fact("A write that has transferred a part when a signal comes says how much, and not EINTR.")
def a_signal_cuts_a_write():
    def write_much(_read, write):
        size = fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        return libc_call("write", write, b"x" * 3 * size, 3 * size)

    expect("write of three times the room", interrupted(False, write_much), 4096)


@fact("FD_SET of a descriptor beyond FD_SETSIZE is not refused; built with _FORTIFY_SOURCE, "
      "glibc ends the program.")
def fd_set_beyond_the_set():
    source = "#include <sys/select.h>\nint main(int n, char **v) { static fd_set set[9]; (void)v; FD_SET(1023 + n, set); return 0; }"
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "beyond")

        def status(*options):
            made = subprocess.run(["cc", "-w", "-O2", *options, "-x", "c", "-", "-o", program], input=source, text=True,
                                  capture_output=True, check=False)
            if made.returncode != 0:
                raise CannotTry(made.stderr)
            return subprocess.run([program], stderr=subprocess.DEVNULL, check=False).returncode

        if "glibc" not in outcome(os.confstr, "CS_GNU_LIBC_VERSION"):
            raise CannotTry("the C library is not glibc")
        expect("exit status", status("-U_FORTIFY_SOURCE"), 0)
        expect("with _FORTIFY_SOURCE", status("-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"), -signal.SIGABRT)


# ---- ends: chapters 1 and 4 ----------------------------------------------------------------------

@fact("Standard signals are not counted: of three children that end while SIGCHLD is pending, "
      "it is delivered once.")
def signals_are_not_counted():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        with contextlib.ExitStack() as stack:
            pids = [stack.enter_context(child(lambda: None)) for _ in range(3)]
            for pid in pids:
                wait_for(lambda pid=pid: state(pid) == "Z", "a zombie")
            got = [signal.sigtimedwait([signal.SIGCHLD], 0) is not None for _ in range(2)]
            expect("SIGCHLD, and SIGCHLD again", got, [True, False])
            ended = sum(os.waitpid(-1, os.WNOHANG)[0] in pids for _ in pids)
            expect("children that have ended", ended, 3)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


@fact("A child that has ended stays a zombie until its parent has waited for it; WNOHANG gives "
      "0 while none has ended.")
def a_zombie_waits():
    read, write = os.pipe()
    with child(lambda: os._exit(os.read(read, 1)[0])) as pid:
        expect("waitpid with WNOHANG while it lives", os.waitpid(pid, os.WNOHANG), (0, 0))
        os.write(write, b"\7")
        wait_for(lambda: state(pid) == "Z", "a zombie")
        expect("kill of the zombie", outcome(os.kill, pid, 9), None)
        expect("its exit status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 7)
        expect("kill after it", outcome(os.kill, pid, 0), "ESRCH")


@fact("A zombie counts against the limit on its user's processes, until it has been waited for.")
def zombies_are_counted():
    need_root("become another user")
    told, tell = os.pipe()

    def alone():
        def born():
            if (answer := outcome(os.fork)) == 0:
                os._exit(0)
            return answer if isinstance(answer, str) else "a child"

        resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
        user = 60000 + os.getpid() % 4000  # who should have no other process
        answers = [outcome(os.setresuid, user, user, user), born()]
        if answers == [None, "a child"]:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie still
            answers.append(born())
            os.wait()
            answers.append(born())
        os.write(tell, " ".join(map(str, answers)).encode())

    with child(alone):
        changed, *answers = os.read(told, 100).decode().split(" ", 1)
    if changed != "None" or answers == ["EAGAIN"]:
        raise CannotTry(f"there is no user without a process: {changed} {answers}")
    expect("fork, fork beside the zombie, and when it has been reaped", answers,
           ["a child EAGAIN a child"])


@fact("Where SIGCHLD is ignored there are no zombies, and waitpid says ECHILD when all children "
      "have gone.")
def ignored_children_leave_no_zombies():
    told, tell = os.pipe()

    def alone():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        pid = os.fork()
        if pid == 0:
            os._exit(7)
        os.write(tell, str(outcome(os.waitpid, pid, 0)).encode())

    with child(alone):
        expect("waitpid", os.read(told, 100), b"ECHILD")


@fact("With PR_SET_PDEATHSIG a process ends with its parent, by kill -9 too; a child that it "
      "forks itself has not got it.")
def death_signal():
    libc = ctypes.CDLL(None)
    told, tell = os.pipe()

    def master():
        pid = os.fork()
        if pid == 0:
            libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
            grandchild = os.fork()
            if grandchild == 0:
                mine = ctypes.c_int()
                libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(mine))
                os.write(tell, b"%d %d" % (os.getppid(), mine.value))
                os._exit(0)
            signal.pause()
        signal.pause()

    with child(master):
        worker, inherited = os.read(told, 100).split()
        expect("the grandchild's death signal", int(inherited), 0)
    wait_for(lambda: outcome(os.kill, int(worker), 0) == "ESRCH" or state(int(worker)) == "Z", "the worker's end")
    say("after kill -9 of its parent the process", "has ended")


@fact("exit writes what stdio has buffered: after fork both processes would, so the child says "
      "_exit.")
def exit_writes_again():
    source = """#include <stdio.h>
    #include <stdlib.h>
    #include <sys/wait.h>
    #include <unistd.h>
    int main(int n, char **v)
    {
        printf("once ");
        if (fork() == 0) { if (n > 1) _exit(0); exit(0); }
        wait(NULL);
        (void)v;
        return 0;
    }"""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "twice")
        made = subprocess.run(["cc", "-w", "-x", "c", "-", "-o", program], input=source, text=True, capture_output=True, check=False)
        if made.returncode != 0:
            raise CannotTry(made.stderr)
        expect("printed, when the child says exit", output(program), "once once")
        expect("when it says _exit", output(program, "_exit"), "once")


@fact("After unshare of the PID namespace one child can be forked; when it, the namespace's "
      "init, has ended, none.")
def a_namespace_without_init():
    told, tell = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)

    def alone():
        if libc.unshare(CLONE_NEWPID) == -1 and libc.unshare(CLONE_NEWUSER | CLONE_NEWPID) == -1:
            os.write(tell, b"not allowed")
            return
        pid = os.fork()
        if pid == 0:
            os._exit(os.getpid())
        first = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(tell, f"{first} {outcome(os.fork)}".encode())

    with child(alone):
        answer = os.read(told, 100).decode()
    if answer == "not allowed":
        raise CannotTry("this process may make no PID namespace")
    expect("the first child's number, and the second fork", answer, "1 ENOMEM")


# ---- exec: chapter 5 -----------------------------------------------------------------------------

def after_exec(expression, before=lambda: None):
    """What a Python program says of itself that a child of ours, prepared so, has exec'd."""
    read, write = os.pipe()

    def become():
        before()
        os.dup2(write, 1)
        os.execv(sys.executable, [sys.executable, "-c", f"import os, signal; print({expression})"])

    with child(become):
        os.close(write)
        with os.fdopen(read) as answer:
            return answer.read().strip()


@fact("exec keeps signals that are ignored or blocked; handlers are gone, and the default is back.")
def signals_through_exec():
    def prepare():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])

    expect("ignored, handled, blocked before; after exec",
           after_exec("signal.getsignal(signal.SIGUSR1).name, signal.getsignal(signal.SIGUSR2).name, "
                      "[one.name for one in signal.pthread_sigmask(0, [])]", prepare),
           "SIG_IGN SIG_DFL ['SIGHUP']")


@fact("exec keeps working directory, umask, nice value and scheduling policy.")
def settings_through_exec():
    nice = min(os.nice(0) + 3, 19)  # whoever runs this may be nice already

    def prepare():
        os.chdir("/usr")
        os.umask(0o27)
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    expect("directory, umask, nice value, SCHED_BATCH",
           after_exec("os.getcwd(), oct(os.umask(0)), os.nice(0), os.sched_getscheduler(0) == os.SCHED_BATCH", prepare),
           f"/usr 0o27 {nice} True")


@fact("A descriptor that is close-on-exec is gone after exec; dup2's copy of it has not got the "
      "flag, and stays.")
def close_on_exec_is_the_descriptors_own():
    read, _write = os.pipe()

    def prepare():
        os.dup2(read, 0)

    there = "[os.path.exists(f'/proc/self/fd/{fd}') for fd in "
    expect("the pipe, and its copy at 0", after_exec(f"{there}({read}, 0)]", prepare), "[False, True]")


@fact("A directory may be executed, as access has it; only execve says that it is none: EACCES.")
def a_directory_is_no_program():
    expect("access with X_OK", os.access("/usr", os.X_OK), True)
    expect("execv", outcome(os.execv, "/usr", ["usr"]), "EACCES")


@fact("Python's socket.recv_fds takes flags and does not pass them on, up to 3.13 at least.")
def recv_fds_forgets_its_flags():
    if sys.version_info >= (3, 14):
        raise CannotTry("nothing is claimed of this Python")
    left, right = socket.socketpair()
    socket.send_fds(left, [b"x"], [0])
    _, [fd], _, _ = socket.recv_fds(right, 1, 1, socket.MSG_CMSG_CLOEXEC)
    expect("with MSG_CMSG_CLOEXEC, inherited", os.get_inheritable(fd), True)


@fact("What Python opens is close-on-exec, but not what recv_fds has received.")
def python_and_exec():
    left, right = socket.socketpair()
    socket.send_fds(left, [b"x"], [0])
    _, [fd], _, _ = socket.recv_fds(right, 1, 1)
    expect("a socket, os.dup, and what recv_fds received are inherited",
           [right.get_inheritable(), os.get_inheritable(os.dup(0)), os.get_inheritable(fd)], [False, False, True])
