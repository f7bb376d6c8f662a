"""What chapter 4 shows: a pool of processes, and silent clients who hold all of it."""
import socket
import subprocess

import plots
import program
import registry
import serving
import tables
from comparison import compare

TITLE = "Prefork with select"
QUESTION = "What does a pool of processes gain, whose master hands each of them its connections?"
COMPARED = True
PLOTS = plots.latency("percentiles")


def measure(name):
    """The pool, in one file and in modules, beside a process per connection."""
    compare(name, ["01", "04-onefile", "04"], [1, 8, 32], 3, 1)


def break_it():
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
            command = ["ss", "-ltnH", f"sport = :{port}"]
            queue = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            return queue.stdout.split()[1]

        def held():
            workers = {str(pid): pid for pid in program.children(process.pid)}
            return sum("connection" in what for _, _, what in tables.named(workers))

        print("a server with 2 workers, and 2 clients that say nothing")
        silent = [connect(b""), connect(b"")]
        program.wait_until(lambda: held() == 2, "a connection for each worker")
        workers = {f"worker {i}": pid for i, pid in enumerate(program.children(process.pid), 1)}
        tables.show({"master": process.pid} | workers, "both workers are held:")
        print("3 more clients connect, and each sends a line")
        others = {number: connect(b"hello from %d" % number) for number in (3, 4, 5)}
        for number, connection in others.items():
            print(f"  client {number} is connected, and {answer(connection)}")
        print(f"  in the backlog of the listener (Recv-Q in ss): {waiting()} connections\n")
        print("now one of the silent ones goes")
        silent[0].close()
        for number, connection in others.items():
            connection.settimeout(20)
            print(f"  client {number} {answer(connection)}")
            connection.close()
        silent[1].close()
