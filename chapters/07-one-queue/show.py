"""What chapter 7 shows: one queue for all workers, what it costs, and what it loses."""
import contextlib
import os
import pathlib
import signal
import socket
import time

import paths
import plots
import program
import registry
import results
import serving
from comparison import compare, many

HERE = paths.built(__file__)

TITLE = "One queue for all workers"
QUESTION = ("Can a server know who is idle without asking, and what can a hand-over not do "
            "without?")
ROLES = ("supervisor", "worker {}", "acceptor")
COMPARED = True
BESIDE = ["07-pidfd"]
FLOORS = {"07-table": ("7 one table (no server)", str(HERE / "table"))}
PLOTS = plots.latency("cpu")


def measure(name):
    """The cost of very many workers; then connections that travel in three ways, beside those that
    are handed over by a master, and accepted by workers."""
    for clients in 1, 8:
        many(name, ["04", "06", "07", "07-epoll"], (8, 64, 512), clients)
    compare(name, ["04", "06", "07", "07-epoll", "07-pidfd"], [1, 8, 32], 3, 1)


# ---- broken ----


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(20)
    connection.sendall(b"hello")
    return connection


def has_echo(connection):
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(100) == b"hello"
    return False


def acceptor(process):
    """The child that calls itself so."""
    for pid in program.children(process.pid):
        with contextlib.suppress(OSError):  # it has gone meanwhile
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "acceptor\n":
                return pid
    return None


def in_the_backlog(port):
    """How many connections a listener has that nobody has accepted."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return next(int(fields[4].partition(":")[2], 16) for fields in map(str.split, lines)
                if fields[1].endswith(f":{port:04X}") and fields[3] == "0A")


@contextlib.contextmanager
def all_held(name, waiting):
    """A server with four workers, each with a silent client; and others that wait, behind them."""
    log = results.scratch() / "log"
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(log.open("w"))
        server = serving.running(registry.command(name), 4, stderr=errors)
        process, port = stack.enter_context(server)
        held = [stack.enter_context(connect(port)) for _ in range(4)]
        for connection in held:
            has_echo(connection)
        others = [stack.enter_context(connect(port)) for _ in range(waiting)]
        for other in others:
            other.shutdown(socket.SHUT_WR)  # it says no more, and so holds no worker
        program.wait_until(lambda: in_the_backlog(port) < waiting - 10, "a queue that is filled")
        yield process, port, held, others, log


def stop_it():
    """SIGTERM while clients wait: some of them have been accepted."""
    with all_held("07", 40) as (process, port, _, _, log):
        previous = None
        while (waiting := in_the_backlog(port)) != previous:  # until nothing changes any more
            previous = waiting
            time.sleep(0.1)
        print("  4 silent clients hold 4 workers, 40 others wait: "
              f"{waiting} of them in the backlog")
        process.terminate()
        process.wait()
        print(f"  SIGTERM; {log.read_text().strip()}")


def kill_the_acceptor():
    """The acceptor is killed while a queue waits: is that lost?"""
    for name in "07", "07-pidfd":
        with all_held(name, 14) as (process, port, held, others, _):
            program.wait_until(lambda port=port: in_the_backlog(port) == 0, "a queue with all of them")
            victim = acceptor(process)
            os.kill(victim, signal.SIGKILL)
            program.wait_until(lambda: acceptor(process) not in (None, victim), "another acceptor")
            for connection in held:
                connection.close()
            served = sum(map(has_echo, others))
            print(f"  {registry.label(name)}: 14 wait in the queue, the acceptor is killed; "
                  f"{served} of them have their echo")


SHUTS_IT = """#!/usr/bin/env python3
import os, socket
queue = socket.socket(fileno=os.dup(0))
queue.send(b"\\0")
while (message := socket.recv_fds(queue, 1, 1))[0]:
    with socket.socket(fileno=message[1][0]) as connection:
        connection.sendall(connection.recv(100))
    queue.shutdown(socket.SHUT_RDWR)        # as if it were a socket of its own
"""


def shut_it_down():
    """A worker program that shuts its descriptor 0 down, and with it everybody's."""
    worker, log = results.scratch() / "worker", results.scratch() / "log"
    worker.write_text(SHUTS_IT)
    worker.chmod(0o755)
    command = [str(HERE / "server"), "-w", str(worker)]
    with log.open("w") as errors, serving.running(command, 4, stderr=errors) as (_, port):
        served = 0
        for _ in range(6):
            with connect(port) as client:
                served += has_echo(client)
        print("  each worker does so after its first client; "
              f"{served} of 6 clients have their echo")
        said = [line for line in log.read_text().splitlines() if "the queue" in line]
        print(f"  {len(said)} times the log says: {said[0] if said else ''}")


def silence():
    """What chapter 4 had, too: nobody is idle, and nobody will be."""
    with all_held("07", 30) as (_, port, _, others, _):
        others[0].settimeout(0.5)
        try:
            answer = "has its echo" if has_echo(others[0]) else "is cut off"
        except socket.timeout:
            answer = "has no echo after half a second"
        print(f"  4 silent clients, 4 workers: the next client {answer}")


def break_it():
    """What is in the queue when somebody dies; a worker that harms it; what is still to come."""
    for title, show in (("the server is stopped", stop_it),
                        ("the acceptor is killed", kill_the_acceptor),
                        ("a worker shuts the queue down", shut_it_down),
                        ("silent clients", silence)):
        print(f"{title}:", flush=True)
        show()
