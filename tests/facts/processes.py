"""Processes: what fork copies, what exec and a change of user take away."""
import ctypes
import errno
import fcntl
import mmap
import os
import re
import signal
import subprocess
import sys
import tempfile

from experiment import CannotTry, Refuted, asleep, child, expect, fact, need_root, outcome, output, say, wait_for

MIB = 64
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2


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


@fact("fork copies the page-table entries of anonymous memory, 8 bytes for each page of 4 KiB in use.")
def fork_copies_entries_of_anonymous_memory():
    memory = mmap.mmap(-1, MIB << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, MIB << 20, 4096):
        memory[at] = 1
    kib = say(f"KiB of page tables in the child for {MIB} MiB", copied(memory))
    if not MIB * 2 * 0.9 <= kib <= MIB * 2 * 1.3:
        raise Refuted(f"{kib} KiB, and not about {MIB * 2}")


@fact("fork skips what a file mapping shows that nobody has written to, such as a library's code: the child maps it when it looks.")
def fork_skips_mappings_of_files():
    with tempfile.TemporaryFile() as file:
        file.truncate(MIB << 20)
        memory = mmap.mmap(file.fileno(), MIB << 20, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        for at in range(0, MIB << 20, 4096):
            memory[at]  # pylint: disable=pointless-statement
        kib = say(f"KiB of page tables in the child for {MIB} MiB of a file", copied(memory))
    if kib > MIB * 2 * 0.1:
        raise Refuted(f"{kib} KiB")


@fact("A change of user clears the parent-death signal; so after setpriv --reuid the worker must ask for it again.")
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


@fact("A signal that is handled ends a read that waits, with EINTR; where its handler has SA_RESTART, the read goes on.")
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


@fact("FD_SET of a descriptor beyond FD_SETSIZE is not refused; built with _FORTIFY_SOURCE, glibc ends the program.")
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
