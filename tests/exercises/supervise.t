#!/usr/bin/env python3
"""The supervisor: each limit, and what a command cannot do; in namespaces and without them, as root and as a user."""
import itertools
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402
from lesson import children_of, state, wait_until  # noqa: E402
from small import gives_namespaces, users_of_nobody  # noqa: E402

SUPERVISE = tap.BUILD / "common/exercises/supervise"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
users = itertools.count(users_of_nobody())


class Ran:
    """A run of supervise to its end, in a folder of its own."""

    def __init__(self, mode, options, *command, **more):
        with Folder(mode) as folder:
            process = start(mode, folder, options, *command, **more)
            self.out, self.err = (text.decode(errors="replace") for text in process.communicate(timeout=tap.PATIENCE))
            self.status = process.returncode
            self.left = {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir() if path.is_file()}

    def expect(self, status, err=""):
        expect(self.status == status, f"wanted status {status}, got {self.status}; it said {self.err}{self.out[:300]}")
        expect_in(err, self.err)
        return self


class Folder:
    def __init__(self, mode):
        self.mode = mode

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="supervise-")
        if "user" in self.mode and os.geteuid() == 0:
            user = next(users)
            os.chown(self.path, user, user)
        os.chmod(self.path, 0o755)
        return self.path

    def __exit__(self, *unused):
        shutil.rmtree(self.path)


def start(mode, folder, options, *command, **more):
    words = [str(SUPERVISE), "-w", folder, *(["-n"] if "without" in mode else []), *options, "--", *command]
    user = os.stat(folder).st_uid
    if user != os.geteuid():
        more = {"user": user, "group": user, "extra_groups": [], **more}
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def sh(mode, script, *options, **more):
    return Ran(mode, options, "sh", "-c", script, **more)


def python(mode, script, *options, **more):
    return Ran(mode, options, PYTHON, "-c", script, **more)


def isolation(mode):
    """What a mode comes to on this machine: "namespaces: ..." or "no namespaces"."""
    ran = sh(mode, "true", "-v", "-u").expect(0)
    return ran.err.strip().splitlines()[-1]


# ---- the ends of a command -----------------------------------------------------------------------

def passes_on_the_exit_status(mode):
    sh(mode, "exit 0").expect(0)
    sh(mode, "exit 3").expect(3)
    sh(mode, "kill -SEGV $$").expect(128 + signal.SIGSEGV)


def says_what_cannot_be_run(mode):
    Ran(mode, [], "/no/such/program").expect(127, "supervise: /no/such/program: No such file or directory")
    Ran(mode, [], "/usr/include/stdio.h").expect(126, "supervise: /usr/include/stdio.h: Permission denied")


def passes_on_all_output_and_gives_no_input(mode):
    ran = sh(mode, "echo one; echo two >&2; cat; echo three").expect(0)
    expect(ran.out == "one\ntwo\nthree\n", ran.out)


def stops_at_sigterm(mode):
    with Folder(mode) as folder:
        process = start(mode, folder, [], "sh", "-c", "trap '' TERM; echo begun; sleep 1000 & wait; sleep 1000")
        expect(process.stdout.readline() == b"begun\n", "it did not begin")
        process.terminate()
        _, err = process.communicate(timeout=tap.PATIENCE)
        expect(process.returncode == 128 + signal.SIGTERM, f"status {process.returncode}")
        expect_in("stopped: it was interrupted", err.decode())


def ends_the_command_when_it_is_killed_itself(mode):
    with Folder(mode) as folder:
        process = start(mode, folder, [], "sh", "-c", "echo begun; sleep 1000 & wait")
        expect(process.stdout.readline() == b"begun\n", "it did not begin")
        process.kill()
        process.wait()
        process.communicate()  # at end-of-file: nobody is left who could write


def says_how_it_is_used(mode):
    ran = subprocess.run([SUPERVISE, "-h"], capture_output=True, text=True, check=False)
    expect(ran.returncode == 0 and "usage: supervise" in ran.stdout, "-h")
    for words, err in (([], "-w is missing"), (["-w", "/tmp"], "no command"), (["-t", "0"], "-t 0: not a number"),
                       (["-t", "soon"], "-t soon: not a number"), (["-z"], "usage")):
        ran = subprocess.run([SUPERVISE, *words], capture_output=True, text=True, check=False)
        expect(ran.returncode == 2, f"{words}: {ran.returncode}")
        expect_in(err, ran.stderr)
    ran = subprocess.run([SUPERVISE, "-w", "/no/such/folder", "true"], capture_output=True, text=True, check=False)
    expect(ran.returncode == 125, f"{ran.returncode}")
    expect_in("-w /no/such/folder: No such file or directory", ran.stderr)


# ---- limits --------------------------------------------------------------------------------------

def limits_processes(mode):
    python(mode, "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", "-p", "8") \
        .expect(124, "stopped: it had 8 processes, the limit")


def limits_threads(mode):
    python(mode, "import threading, time\ntry:\n"
                 "  for _ in range(100): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
                 "except RuntimeError: pass\ntime.sleep(1000)", "-p", "32") \
        .expect(124, "stopped: it had 32 processes, the limit")


def limits_cpu_time_of_all_together(mode):
    sh(mode, "for i in 1 2 3 4; do (while :; do :; done) & done; wait", "-c", "1") \
        .expect(124, "stopped: it used 1 seconds of CPU time, the limit")


def counts_cpu_time_that_the_monitor_did_not_see(unused):
    """It is stopped as long as the command runs: on a busy machine, too, it may come too late to look."""
    with Folder("without namespaces") as folder:
        process = start("without namespaces", folder, ["-c", "1"], "sh", "-c",
                        "(echo begun; until [ -e go ]; do sleep 0.01; done; while :; do :; done) & wait")
        expect(process.stdout.readline() == b"begun\n", "it did not begin")
        monitor, = children_of(process.pid)
        command, = children_of(monitor)
        os.kill(monitor, signal.SIGSTOP)
        pathlib.Path(folder, "go").touch()
        ended = wait_until(lambda: state(command) == "Z", tap.PATIENCE)  # the kernel ends its child after 2 seconds
        os.kill(monitor, signal.SIGCONT)
        _, err = process.communicate(timeout=tap.PATIENCE)
        expect(ended, "it did not end")
        expect(process.returncode == 124, f"wanted status 124, got {process.returncode}")
        expect_in("stopped: it used 1 seconds of CPU time, the limit", err.decode())


def limits_time(mode):
    sh(mode, "sleep 1000", "-t", "1").expect(124, "stopped: it ran for 1 seconds, the limit")


def says_what_it_waited_for_when_the_monitor_is_late(unused):
    """It writes what nobody reads, as long as it lives: late, but neither killed nor stopped by the command."""
    mode = "without namespaces"
    with Folder(mode) as first, Folder(mode) as second:
        late = start(mode, first, ["-t", "1"], "yes")
        interrupted = start(mode, second, [], "yes")
        expect(interrupted.stdout.read(1) == b"y", "it did not begin")
        interrupted.terminate()
        for process, status, says in ((late, 124, "it ran for 1 seconds, the limit"),
                                      (interrupted, 128 + signal.SIGTERM, "it was interrupted")):
            process.wait(tap.PATIENCE)
            _, err = process.communicate(timeout=tap.PATIENCE)
            expect(process.returncode == status, f"wanted status {status}, got {process.returncode}")
            expect_in(f"supervise: stopped: {says}", err.decode())


def limits_memory(mode):
    python(mode, "import time\nx = bytearray(120 << 20)\nx[::4096] = b'x' * len(x[::4096])\ntime.sleep(1000)",
           "-m", "100").expect(124, "stopped: it used 100 MiB of memory, the limit")


def limits_memory_of_all_together(mode):
    python(mode, "import os, time\nfor _ in range(4):\n  if os.fork() == 0: break\n"
                 "x = bytearray(40 << 20)\nx[::4096] = b'x' * len(x[::4096])\ntime.sleep(1000)",
           "-m", "100").expect(124, "stopped: it used 100 MiB of memory, the limit")


def limits_output(mode):
    ran = Ran(mode, ["-o", "8"], "yes").expect(124, "stopped: it wrote 8 KiB of output, the limit")
    expect(8192 <= len(ran.out) <= 8192 + 16384, f"{len(ran.out)} bytes came out")


def limits_the_size_of_a_file(mode):
    Ran(mode, ["-f", "1"], "dd", "if=/dev/zero", "of=file", "bs=65536", "count=100", "status=none") \
        .expect(128 + signal.SIGXFSZ)


def limits_the_folder(mode):
    sh(mode, "for i in 1 2 3 4 5 6 7 8 9; do dd if=/dev/zero of=file$i bs=1M count=1 status=none; done; sleep 1000",
       "-s", "4", "-f", "2").expect(124, "stopped: it filled its folder with 4 MiB, the limit")


def limits_the_number_of_files(mode):
    python(mode, "import time\ntry:\n  for i in range(5000): open(str(i), 'w').close()\nexcept OSError: pass\n"
                 "time.sleep(1000)").expect(124, "stopped: it made 2000 files, the limit")


def limits_descriptors(mode):
    expect(sh(mode, "ulimit -n; ulimit -Hn", "-d", "77").expect(0).out == "77\n77\n", "no limit")


def leaves_no_core(mode):
    expect(sh(mode, "ulimit -c").expect(0).out == "0\n", "no limit")


# ---- what a command cannot do --------------------------------------------------------------------

def ends_a_daemon(mode):
    # That nothing is left, the last case proves.
    python(mode, """
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.write(writer, b"x")
        os.closerange(0, 1024)
        while True: time.sleep(1000)
    os._exit(0)
os.read(reader, 1)""").expect(0)


def has_no_privilege(mode):
    ran = sh(mode, "id -u; id -g; id -G; grep -E 'CapEff|CapPrm|NoNewPrivs' /proc/self/status").expect(0)
    lines = ran.out.split("\n")
    expect("0" not in lines[:2] and " 0" not in " " + lines[2].replace(" 0", " zero"), f"ids {lines[:3]}")
    expect(re.search(r"CapPrm:\s+0+\nCapEff:\s+0+\nNoNewPrivs:\s+1", ran.out), ran.out)


def kills_nobody_else(mode):
    # Among those that kill(-1) must not hit is this test.
    python(mode, "import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nexcept PermissionError: pass")


def inherits_the_descriptor_that_it_is_to_have_and_no_other(mode):
    reader, writer = os.pipe()
    other = os.open("/etc/passwd", os.O_RDONLY)
    try:
        script = f"import os; os.write({writer}, b'verdict')"
        python(mode, script, "-r", str(writer), pass_fds=[writer]).expect(0)
        expect(os.read(reader, 100) == b"verdict", "it did not come")
        expect_in("Bad file descriptor", python(mode, script).expect(1).out)
        ran = Ran(mode, [], PYTHON, "-c", "import os; print(len(os.listdir('/proc/self/fd')) - 1)").expect(0)
        expect(ran.out == "3\n", f"{ran.out} descriptors")
    finally:
        for descriptor in reader, writer, other:
            os.close(descriptor)


def keeps_only_what_is_to_be_kept(mode):
    ran = sh(mode, "echo x >kept; echo y >lost; ln -s kept link; mkdir folder", "-k", "kept", "-k", "never").expect(0)
    expect(ran.left.get("kept") == b"x\n", f"{ran.left}")
    if "without" not in mode:
        expect(list(ran.left) == ["kept"], f"{ran.left}")


def keeps_no_link(mode):
    ran = sh(mode, "ln -s /etc/passwd kept", "-k", "kept")
    if "without" not in mode:
        ran.expect(125, "cannot keep kept")


def writes_nowhere_but_in_its_folder(mode):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        ran = sh(mode, f"echo x >inside && echo inside; echo x >{folder}/outside && echo outside")
        if bounds_files(mode):
            expect(not os.listdir(folder), "it wrote")
        expect_in("inside", ran.out)


def sees_the_systems_programs_and_what_it_is_shown(mode):
    """Without namespaces by Landlock, where the kernel has that."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name in "shown", "other":
            path = pathlib.Path(folder, name)
            path.mkdir()
            (path / "file").write_text(f"the {name} one")
        script = f"cat {folder}/*/file {shlex.quote(__file__)} /etc/passwd; ls {folder}; cat {folder}/other/file; ls /dev/shm"
        ran = sh(mode, script, "-y", f"{folder}/shown")
        expect_in("the shown one",
                  sh(mode, f"cat {folder}/shown/file", "-y", f"{folder}/shown").expect(0).out)
        if bounds_files(mode):
            for words in "the other one", "root:", "Landlock":
                expect(words not in ran.out, f"{words}: {ran.out}")
            expect(sh(mode, f"ls {folder}/other").status != 0, "it lists another folder")
        expect_in("No such file", sh(mode, "true", "-y", f"{folder}/none").expect(125).err)


def bounds_files(mode):
    return "namespaces: process, mount" in isolation(mode) or "Landlock" in isolation(mode)


def leaves_nothing_in_memory(mode):
    key = random.randrange(1, 1 << 31)
    ran = python(mode, f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print([libc.shmget({key}, 4096, 0o1666), libc.msgget({key}, 0o1666), libc.semget({key}, 1, 0o1666)])
try: os.open("/dev/shm/left-by-a-test-{key}", os.O_CREAT | os.O_RDWR)
except OSError: pass
""").expect(0)
    if "without" in mode:
        expect_in("[-1, -1, -1]", ran.out)
    for kind in "shm", "msg", "sem":
        table = pathlib.Path("/proc/sysvipc", kind)
        lines = table.read_text().splitlines() if table.exists() else []
        expect(str(key) not in [line.split()[0] for line in lines], f"it left a {kind}")
    if bounds_files(mode):
        expect(not os.path.exists(f"/dev/shm/left-by-a-test-{key}"), "it left a file")


def is_not_run_without_namespaces_unless_that_is_asked_for(mode):
    """In a user namespace of which the user may have no process namespace below: namespaces(7)."""
    if "user" not in mode and os.geteuid() == 0 or "without" in mode:
        return None
    words = ["unshare", "-Ur", "sh", "-c",
             "echo 0 >/proc/sys/user/max_pid_namespaces && exec \"$@\"", "sh",
             "unshare", "-U", "--map-user=1000", "--map-group=1000"]
    with Folder(mode) as folder:
        user = os.stat(folder).st_uid
        more = {"user": user, "group": user, "extra_groups": []} if user != os.geteuid() else {}

        def run(*command):
            return subprocess.run([*words, *command], text=True, check=False,
                                  stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        if run("true").returncode:
            return "this system has no such limit"
        for options, status, says in ([], 125, "not run without them; -u would"), (["-u"], 0,
                                                                                   "ran"):
            ran = run(SUPERVISE, "-w", folder, *options, "--", "echo", "ran")
            expect(ran.returncode == status, f"{options}: {ran.returncode} {ran.stdout}")
            expect_in(says, ran.stdout)
    return None


def cannot_see_the_monitor(mode):
    if "without" not in mode:
        ran = sh(mode, "export LC_ALL=C; cat /proc/1/environ; ls /proc/1/fd; kill -9 1; echo /proc/[0-9]*")
        expect(ran.out.count("denied") >= 2, ran.out)
        expect(len(re.findall(r"/proc/\d+", ran.out.splitlines()[-1])) <= 3, f"others: {ran.out}")


def has_a_network_of_its_own(mode):
    if "without" in mode:
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ran = python(mode, f"""
import socket
try: socket.create_connection(("127.0.0.1", {port}), 5); print("reached")
except OSError: print("refused")
with socket.create_server(("127.0.0.1", 0)) as listener:
    with socket.create_connection(listener.getsockname()): print("talks to itself")
""").expect(0)
        expect(ran.out == "refused\ntalks to itself\n", ran.out)


ONCE = [says_how_it_is_used, counts_cpu_time_that_the_monitor_did_not_see,
        says_what_it_waited_for_when_the_monitor_is_late]
COSTLY = [limits_cpu_time_of_all_together]  # a second of CPU time each: only with namespaces and without
EACH = [function for name, function in list(globals().items())
        if callable(function) and getattr(function, "__module__", "") == "__main__" and "mode" in
        getattr(getattr(function, "__code__", None), "co_varnames", ())[:1] and function not in ONCE
        and function not in (start, sh, python, isolation, bounds_files)]


def main():
    tap.adopt_orphans()
    modes = ["with namespaces", "without namespaces"]
    if os.geteuid() == 0:
        modes = [f"{who} {mode}" for who in ("root", "user") for mode in modes]
    cases = [(function.__name__.replace("_", " "), lambda function=function: function("")) for function in ONCE]
    for mode in modes:
        why = ""
        try:
            if "without" not in mode and not gives_namespaces(next(users) if "user" in mode
                                                              and os.geteuid() == 0 else None):
                why = "the kernel gives no namespaces here"
            isolation(mode)
        except PermissionError:  # as in /root
            why = "a user cannot read this folder"
        cases += [(f"{mode}: {function.__name__.replace('_', ' ')}",
                   lambda function=function, mode=mode, why=why: why or function(mode))
                  for function in EACH if not (function in COSTLY and mode.startswith("user"))]
    tap.run(cases, together=6, proofs=[("nothing that ran still lives", tap.no_child_left)])


if __name__ == "__main__":
    main()
