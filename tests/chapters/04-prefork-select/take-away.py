#!/usr/bin/env python3
"""Test of what an engineer takes away: the pool's files in a folder of their own, built as plainly as can be, serve."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

BUILT = tap.ROOT / os.environ.get("BUILD", "build") / "chapters/04-prefork-select/skeleton"
MODULES = ["fdpass", "log", "process", "workers", "pool"]
# The pool of chapter 7 takes its place, on the same header: in the skeleton three words differ.
QUEUE = ["fdpass", "log", "process", "procstat", "workers", "queue"]
WORDS = {'"pool.h"': '"queue.h"', "pool_run(&config)": "queue_run(&config, NULL)", "pool_work": "queue_work"}
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


class Folder(tempfile.TemporaryDirectory):
    """Has the files of the modules that pool.h or queue.h names, and the skeleton."""

    def __init__(self, modules):
        super().__init__()
        self.modules = modules

    def __enter__(self):
        folder = pathlib.Path(super().__enter__())
        files = [path for module in self.modules for path in tap.ROOT.glob(f"c*/**/{module}.[ch]")]
        tap.equal(sorted(path.name for path in files), sorted(f"{module}.{end}" for module in self.modules for end in "ch"))
        skeleton = tap.ROOT / "chapters/04-prefork-select/skeleton.c"
        for path in [*files, skeleton]:
            shutil.copy(path, folder)
        if self.modules is QUEUE:
            shutil.copy(tap.ROOT / "chapters/04-prefork-select/pool.h", folder)
            text = skeleton.read_text()
            for word, other in WORDS.items():
                tap.equal(text.count(word), 1)
                text = text.replace(word, other)
            (folder / "skeleton.c").write_text(text)
        return folder


def build(folder, *command):
    """Runs a command of a shell, which must print nothing: no warning."""
    result = subprocess.run(["sh", "-c", " ".join(command)], cwd=folder, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, check=False)
    tap.equal((result.returncode, result.stdout), (0, ""))


def serves(program):
    """Starts the server, talks to it as many clients at once, and ends it."""
    with subprocess.Popen([program, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            ready = server.stdout.readline()
            port = re.fullmatch(r"listening on port (\d+)\n", ready)
            assert port, f"it said {ready!r} {server.stderr.read() if not ready else ''}"
            clients = [socket.create_connection(("127.0.0.1", int(port[1])), tap.PATIENCE) for _ in range(20)]
            for client in clients:
                with client, client.makefile() as replies:
                    reply = replies.read()
                    said = re.fullmatch(r"process (\d+) serves you\n", reply)
                    assert said and int(said[1]) != server.pid, f"the reply was {reply!r}"
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=tap.PATIENCE)
            tap.equal((server.returncode, out, err), (0, "", ""))
        finally:
            server.kill()


def test_the_headers_and_the_readme_name_what_to_take():
    header = (tap.ROOT / "chapters/04-prefork-select/pool.h").read_text().replace("\n * ", " ")
    assert f"take {', '.join(MODULES[:-1])} and {MODULES[-1]}, .c and .h" in header
    header = (tap.ROOT / "chapters/07-one-queue/queue.h").read_text().replace("\n * ", " ")
    assert f"take {', '.join(QUEUE[:-1])} and {QUEUE[-1]}, .c and .h, and pool.h" in header
    readme = " ".join((tap.ROOT / "README.md").read_text().split())
    names = [f"`{module}`" for module in MODULES]
    assert f"take {', '.join(names[:-1])} and {names[-1]}, `.c` and `.h`" in readme


def test_it_serves_as_the_course_builds_it():
    serves(BUILT)


def test_plain_cc_builds_it():
    for modules in MODULES, QUEUE:
        with Folder(modules) as folder:
            build(folder, "cc *.c -o server")
            serves(folder / "server")


def test_it_has_no_warnings():
    for modules in MODULES, QUEUE:
        with Folder(modules) as folder:
            for options in ["-O2"], ["-O2", "-std=gnu11"], ["-O2", "-D_GNU_SOURCE"]:
                build(folder, "cc", *WARNINGS, *options, "*.c -o server")


def test_a_main_program_in_cpp_can_be_linked_with_it():
    if not shutil.which("c++"):
        print("# skipped: there is no c++")
        return
    for modules in MODULES, QUEUE:
        with Folder(modules) as folder:
            (folder / "skeleton.c").rename(folder / "skeleton.cc")
            build(folder, "cc", *WARNINGS, "-c *.c")
            build(folder, "c++", *WARNINGS, "skeleton.cc *.o -o server")
            serves(folder / "server")


def test_each_header_stands_alone():
    for modules in MODULES, QUEUE:
        with Folder(modules) as folder:
            for module in modules:
                (folder / "alone.c").write_text(f'#include "{module}.h"\n#include "{module}.h"\n')
                build(folder, "cc", *WARNINGS, "-fsyntax-only alone.c")
                if shutil.which("c++"):
                    build(folder, "c++", *WARNINGS, "-x c++ -fsyntax-only alone.c")


def test_musl_builds_it_without_libraries():
    if not shutil.which("musl-gcc"):
        print("# skipped: there is no musl-gcc")
        return
    for modules in MODULES, QUEUE:
        with Folder(modules) as folder:
            build(folder, "musl-gcc -static", *WARNINGS, "*.c -o server")
            serves(folder / "server")


if __name__ == "__main__":
    tap.run(vars())
