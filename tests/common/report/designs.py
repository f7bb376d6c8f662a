#!/usr/bin/env python3
"""Test of common/report/designs.py: how peers are started and ended. In place of the real ones, which may not be
installed, stands a server of our own; the real ones are tested where they are."""
import contextlib
import ctypes
import errno
import io
import os
import pathlib
import shutil
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import paths  # noqa: E402
import program  # noqa: E402
import results  # noqa: E402
import designs  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="designs-test-"))
shutil.copy(paths.BUILD / "servers.tsv", FOLDER)
paths.BUILD, paths.RESULTS = FOLDER, FOLDER / "results"
paths.LOAD = tap.ROOT / os.environ.get("BUILD", "build") / "common/load/load"
ctypes.CDLL(None).prctl(program.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

# Takes socat's arguments, and serves as it does; leaves a child behind.
ECHO = f"""#!{sys.executable}
import os, re, socket, subprocess, sys
subprocess.Popen(["sleep", "1000"], start_new_session=True)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(re.match(r"TCP-LISTEN:(\\d+)", sys.argv[1])[1])))
listener.listen()
while True:
    connection = listener.accept()[0]
    if os.fork() == 0:
        while data := connection.recv(65536):
            connection.sendall(data)
        os._exit(0)
    connection.close()
"""


@contextlib.contextmanager
def programs(**scripts):
    """Only these programs are installed."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=FOLDER))
    for name, script in scripts.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    before, designs.EVERYBODY = designs.EVERYBODY, str(folder)
    designs.missing.cache_clear()
    try:
        yield
    finally:
        designs.EVERYBODY = before
        designs.missing.cache_clear()


def nothing_is_left():
    tap.raises(ChildProcessError, os.waitpid, -1, os.WNOHANG)
    tap.equal(list(results.scratch().iterdir()), [])


def test_a_peer_is_started_on_its_port_and_ended_with_all_its_children():
    with programs(socat=ECHO):
        with designs.running("socat") as (process, port):
            row = designs.load("socat", process, port, "-n", 20, "-c", 2)
            tap.equal((row["connections"], row["ok"]), (20, 20))
            tap.equal(os.getsid(process.pid), process.pid)  # it may signal its process group
        nothing_is_left()


def test_a_peer_that_does_not_start_is_one_line_with_its_reason():
    with programs(socat="#!/bin/sh\necho warning >&2\necho E bind: no such luck >&2\nexit 1\n"):
        said = tap.raises(program.Failure, lambda: designs.running("socat").__enter__())
    assert said.endswith("/socat did not start: E bind: no such luck"), said
    nothing_is_left()


def test_a_peer_that_fails_while_it_is_used_leaves_nothing():
    def use():
        with designs.running("socat"):
            raise ValueError

    with programs(socat=ECHO):
        tap.raises(ValueError, use)
    nothing_is_left()


def bind(port, reuse):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        other.bind(("127.0.0.1", port))
        other.listen()


def test_a_reserved_port_is_for_those_who_ask_for_it_as_servers_do():
    with designs.reserved_port() as port:
        bind(port, 1)
        try:
            bind(port, 0)
            raise AssertionError("anybody gets it")
        except OSError as error:
            tap.equal(error.errno, errno.EADDRINUSE)
        with socket.socket() as client:
            tap.equal(client.connect_ex(("127.0.0.1", port)), errno.ECONNREFUSED)


def test_templates_are_filled_in():
    folder = pathlib.Path(tempfile.mkdtemp(dir=FOLDER))
    with programs(apache2="", xinetd="", socat=""):
        for name in designs.PEERS:
            designs.peer_command(name, 12345, 8, folder)
    for file, lines in (("httpd.conf", ["Listen 127.0.0.1:12345", "ServerLimit 8", "StartServers 8", f"PidFile {folder}/httpd.pid"]),
                        ("xinetd.conf", ["    port        = 12345", "    bind        = 127.0.0.1"])):
        text = (folder / file).read_text().splitlines()
        for line in lines:
            assert line in text, (file, line)
        tap.equal([line for line in text if "$" in line and not line.startswith("#")], [])


def test_a_peer_that_is_not_there_is_left_out_and_that_is_said():
    out = io.StringIO()
    with programs(xinetd=""), contextlib.redirect_stdout(out):
        names = designs.present(["01", "06", "apache", "socat"])
    tap.equal(names, ["01", "06"])
    tap.equal(out.getvalue(), "left out: Apache prefork: apache2 is not installed\nleft out: socat: socat is not installed\n")


def test_those_peers_that_are_installed_echo_and_leave_nothing():
    for name in designs.PEERS:
        if designs.missing(name):
            print(f"# {name}: {designs.missing(name)}")
            continue
        with designs.running(name, 3) as (process, port):
            row = designs.load(name, process, port, "-n", 50, "-c", 5)
            tap.equal((name, row["connections"], row["ok"]), (name, 50, 50))
        nothing_is_left()


try:
    tap.run(vars())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
