#!/usr/bin/env python3
"""fds.py NN: the table of descriptors of every process of chapter NN, before and after a hand-over."""
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "report"))
import paths
import program
import registry
import serving
import tables


def wait_until(ready, what):
    end = time.monotonic() + 20
    while not ready():
        if time.monotonic() > end:
            raise program.Failure(f"{what} did not come within 20 seconds")
        time.sleep(0.01)


@contextlib.contextmanager
def running(command):
    """Runs a program that is to be looked at, and ends it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def server(number):
    """A server with two workers, before a client has come, while one is served, and after it."""
    with serving.running(registry.command(number), 2) as (process, port):

        def processes():
            one = "child" if number == "01" else "worker"
            return {"master": process.pid} | {f"{one} {i + 1}": pid for i, pid in enumerate(tables.children(process.pid))}

        def served():
            return any("connection" in what for name, _, what in tables.named(processes()) if name != "master")

        tables.show(processes(), "before: no client")
        with socket.create_connection(("127.0.0.1", port)):
            wait_until(lambda: served() and not any(
                "connection" in what for name, _, what in tables.named(processes()) if name == "master"), "the hand-over")
            tables.show(processes(), "a client is connected, and has been handed over")
        wait_until(lambda: not served(), "the end of the connection")
        tables.show(processes(), "after: the client has gone")


def fds_02():
    """pingpong at play, for as long as it takes to look."""
    with running([paths.BUILD / registry.chapter("02") / "pingpong", "-n", "100000000"]) as process:

        def settled():  # the first two shows have children of their own, and end soon
            child = tables.children(process.pid)
            return child and [len([w for n, w in tables.descriptors(pid).items() if n > 2 and "socket" in w])
                              for pid in (process.pid, child[0])] == [1, 1] and tables.children(process.pid) == child

        wait_until(settled, "the third show")
        tables.show({"parent": process.pid, "child": tables.children(process.pid)[0]}, "parent and child, as they talk")


def fds_03():
    """handoff with a named pipe for its file, since a read from that waits until we write."""
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "file")
        os.mkfifo(fifo)
        with running([paths.BUILD / registry.chapter("03") / "handoff", fifo]) as giver:
            writer = os.open(fifo, os.O_WRONLY)  # waits until the giver has opened it
            taker = tables.children(giver.pid)[0]
            both = {"giver": giver.pid, "taker": taker}

            def settled(count):  # of the ends of their channel, each keeps one
                return [sum("socket" in what for what in tables.descriptors(pid).values()) for pid in both.values()] == [1, 1] \
                    and sum(fifo in what for what in tables.descriptors(taker).values()) == count

            try:
                wait_until(lambda: settled(0), "the taker")
                tables.show(both, "before: the giver has opened a file")
                os.write(writer, b"sixteen bytes of")
                wait_until(lambda: settled(1), "the hand-over")
                tables.show(both, "after: the taker has it, too")
            finally:
                giver.kill()  # and with it the taker, before the file ends: neither has anything to say about that
                giver.wait()
                os.close(writer)


def main():
    number = sys.argv[1] if len(sys.argv) == 2 else ""
    shows = {name: lambda: server(number) for name in registry.SERVERS} | {"02": fds_02, "03": fds_03}
    if number not in shows:
        sys.exit("usage: fds.py " + "|".join(sorted(shows)))
    shows[number]()


if __name__ == "__main__":
    program.main(main)
