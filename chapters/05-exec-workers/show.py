"""What chapter 5 shows: workers of other programs, and what a careless master leaves to them."""
import os
import signal
import subprocess
import time

import paths
import plots
import program
import tables
import terminal
from comparison import compare

HERE = paths.built(__file__)

TITLE = "Exec workers"
QUESTION = ("Does a worker that is a program of its own cost more than a copy of the master? And "
            "what if it is written in Python?")
COMPARED = True
PLOTS = plots.latency("cpu")


def measure(name):
    """Workers that are copies, programs in C, and programs in Python."""
    compare(name, ["04", "05", "05-python"], [1, 32], 3, 1)


def break_it():
    """Workers that were exec'd by a master that forgot close-on-exec.

    Those in Python, since they ask for no signal at their parent's death, as the one in C does.
    """
    worker = paths.ROOT / "chapters/05-exec-workers/worker.py"
    master = subprocess.Popen([HERE / "leaky", worker, "3"],
                              stdout=subprocess.PIPE, text=True)
    workers = []
    try:
        port = master.stdout.readline().strip()
        workers = program.children(master.pid)
        names = {f"worker {i}": pid for i, pid in enumerate(workers, 1)}
        tables.show({"master": master.pid} | names,
                    "a master that forgets close-on-exec, and 3 workers of another program:")
        print("the master is killed with SIGKILL")
        program.end(master)
        time.sleep(0.5)  # more than enough for an end-of-file to arrive
        alive = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
        print(terminal.wrapped(
            f"half a second later {len(alive)} of 3 workers live: no channel sees end-of-file, "
            "since its other end is open in the workers that were born later, and in the worker "
            "itself", "  "))
        print("  a new server on the same port:")
        # It ends at once; if it can listen, which would be news, timeout(1) ends it.
        second = subprocess.run(["timeout", "5", HERE / "server", "-p", port], stderr=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, text=True, check=False)
        print(terminal.wrapped(second.stderr.strip() or "it listens", "    "))
    finally:
        program.end(master)
        master.stdout.close()
        for pid in workers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
