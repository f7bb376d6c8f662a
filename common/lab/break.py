#!/usr/bin/env python3
"""break.py NN: provokes the failure that chapter NN speaks of, shows it, and cleans up."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import paths
import program
import registry
import serving
import tables

LAB = paths.BUILD / "common/lab"


def say(text):
    print(text, flush=True)


def program(name):
    """Runs a program that is the whole demonstration."""
    subprocess.run([LAB / name], check=True)


def break_01():
    """The same connection, while the memory of the server that forks for it grows."""
    available = int(re.search(r"^MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M)[1]) // 1024
    say("one client, one connection after the other; the server has so much memory in use:")
    first = None
    for mib in [0, 16, 64, 256, 1024]:
        if 2 * mib > available:
            say(f"  {mib:>5} MiB: left out, since only {available} MiB are free")
            continue
        library = paths.BUILD / "common/report/ballast.so"
        environment = os.environ | ({"LD_PRELOAD": str(library), "BALLAST_MIB": str(mib)} if mib else {})
        with serving.running(registry.command("01"), env=environment) as (process, port):
            row = serving.load(process, port, "-c", 1, "-n", 40)
        first = first or row["p50_us"]
        say(f"  {mib:>5} MiB: {row['p50_us'] / 1000:8.2f} ms until the echo is back, {row['p50_us'] / first:6.1f} times as long")


def break_04():
    """A pool with every worker held by a client that says nothing."""
    with serving.running(registry.command("04"), 2) as (process, port):

        def connect(text):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.settimeout(0.5)
            connection.sendall(text)
            return connection

        def answer(connection):
            try:
                return f"has its echo: {connection.recv(100).decode()!r}"
            except socket.timeout:
                return "has no echo after half a second"

        def waiting():
            queue = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], stdout=subprocess.PIPE, text=True, check=True)
            return queue.stdout.split()[1]

        say("a server with 2 workers, and 2 clients that say nothing")
        silent = [connect(b""), connect(b"")]
        while sum("connection" in what for _, _, what in tables.named(
                {str(pid): pid for pid in tables.children(process.pid)})) < 2:
            time.sleep(0.01)
        processes = {"master": process.pid} | {f"worker {i + 1}": pid for i, pid in enumerate(tables.children(process.pid))}
        tables.show(processes, "both workers are held:")
        say("3 more clients connect, and each sends a line")
        others = [connect(b"hello from %d" % i) for i in (3, 4, 5)]
        for number, connection in zip((3, 4, 5), others):
            say(f"  client {number} is connected, and {answer(connection)}")
        say(f"  in the backlog of the listener (Recv-Q in ss): {waiting()} connections\n")
        say("now one of the silent ones goes")
        silent[0].close()
        for number, connection in zip((3, 4, 5), others):
            connection.settimeout(20)
            say(f"  client {number} {answer(connection)}")
            connection.close()
        silent[1].close()


def break_05():
    """Workers that were exec'd by a master that forgot close-on-exec."""
    worker = paths.BUILD / registry.chapter("05") / "worker"
    master = subprocess.Popen([LAB / "leaky", worker, "3"], stdout=subprocess.PIPE, text=True)
    workers = []
    try:
        port = master.stdout.readline().strip()
        workers = tables.children(master.pid)
        processes = {"master": master.pid} | {f"worker {i + 1}": pid for i, pid in enumerate(workers)}
        tables.show(processes, "a master that forgets close-on-exec, and 3 workers of another program:")
        say("the master is killed with SIGKILL")
        master.kill()
        master.wait()
        time.sleep(0.5)  # more than enough for an end-of-file to arrive
        alive = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
        say(f"  half a second later {len(alive)} of 3 workers live: no channel sees end-of-file, since its other end is open")
        say("  in the workers that were born later, and in the worker itself")
        server = paths.BUILD / registry.chapter("05") / "server"
        second = subprocess.run([server, "-p", port], stderr=subprocess.PIPE, text=True, check=False)
        say(f"  a new server on the same port: {second.stderr.strip()}")
    finally:
        master.kill()
        master.wait()
        master.stdout.close()
        for pid in workers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def main():
    number = sys.argv[1] if len(sys.argv) == 2 else ""
    shows = {"01": break_01, "02": lambda: program("boundaries"), "03": lambda: program("naive"), "04": break_04, "05": break_05}
    if number not in shows:
        sys.exit("usage: break.py " + "|".join(shows))
    shows[number]()


if __name__ == "__main__":
    program.main(main)
