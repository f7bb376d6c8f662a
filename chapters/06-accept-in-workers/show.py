"""What chapter 6 shows: workers that accept in five ways, and the disease of each."""
import collections
import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess

import measurement
import paths
import plots
import program
import registry
import results
import serving
import stats
import terminal
import textplot
import turns
from comparison import compare, many
from plots import Plot

HERE = paths.built(__file__)
ROOM = pathlib.Path(__file__).parent
MODES = ["06", "06-lock", "06-select", "06-epoll", "06-reuseport"]

TITLE = "Workers that accept"
QUESTION = ("What does it save when nobody hands connections over, who gets them, and how many are "
            "woken for nothing?")
COMPARED = True
BESIDE = ["06-reuseport"]
PLOTS = [
    *plots.latency("cpu"),
    Plot("distribution",
         "A row of eight bars for each way to wait: how many of 80 connections, which came one after "
         "the other, each of eight workers has served.",
         "Bars of one height: whoever has waited longest is next. One tall bar: the same one again "
         "and again, whose memory is in the caches. Ragged ones: chance."),
    Plot("wakeups",
         "A line for each way to wait: how often processes were woken for a connection, against the "
         "number of workers; both axes are logarithmic.",
         "At two, a worker is woken once to accept and once to read. A line that rises is a herd: all "
         "are woken, and all but one in vain."),
]


def workers_of(process):
    """Its workers, in the order of their places."""
    return program.children(process.pid)


# ---- measured ----


def distribution(mode):
    """How many of 80 connections, one after the other, each of eight workers accepts.

    Between two of them there is time for the worker to wait again.
    """
    log = results.scratch() / "log"
    with log.open("w") as errors, \
            serving.running([*registry.command(mode), "-v"], 8, stderr=errors) as (process, port):
        workers = workers_of(process)
        serving.load(process, port, "-c", 1, "-n", 80, "-w", 3)
        counts = collections.Counter(re.findall(r"worker (\d+) accepts", log.read_text()))
    return [counts[str(pid)] for pid in workers]


def waits(pids):
    """How often these processes have waited so far: voluntary_ctxt_switches in proc(5)."""
    status = (pathlib.Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1]) for text in status)


def wakeups(command, workers):
    """How often workers are woken for a connection, when one client comes after the other."""
    with serving.running(command, workers) as (process, port):
        pids = workers_of(process)
        before = waits(pids)
        served = serving.load(process, port, "-c", 1, "-n", 2000)["ok"]
        return (waits(pids) - before) / served


def beside_silence(mode):
    """Seven clients, while an eighth holds one of eight workers: what they wait."""
    with serving.running(registry.command(mode), 8) as (process, port), \
            socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"x")
        silent.recv(1)  # now it has its worker
        return serving.load(process, port, "-c", 7, "-d", 2, "-n", 10**7, "-t", 1)


def measure(name):
    """Who gets the connections, who is woken for them, who waits behind others; then the cost."""
    show_distribution(name)
    show_wakeups(name)
    show_silence(name)
    # Of very many workers: whose turn it is has nothing in the caches any more.
    many(name, ["04", "06", "06-epoll"], (8, 64, 512), 8)
    compare(name, ["04", *MODES], [1, 8, 32], 3, 1)


def show_distribution(name):
    found = turns.in_turn(1, [(f"80 connections, {registry.label(mode)}",
                               lambda mode=mode: {mode: distribution(mode)}) for mode in MODES])
    counts = {mode: lists[0] for mode, lists in found.items()}
    measurement.draw(f"{name}-distribution", ROOM / "distribution.gp", "",
                     ["way", *(f"worker {n}" for n in range(1, 9))],
                     ([mode, *counts[mode]] for mode in MODES),
                     servers=" ".join(MODES), titles="|".join(map(registry.label, MODES)))
    results.show_table(f"{name}-distribution", "80 connections, one after the other: served by each of eight workers",
                       ["", *(f"worker {n}" for n in range(1, 9))],
                       ([registry.label(mode), *map(str, counts[mode])] for mode in MODES))


def show_wakeups(name):
    kinds = {"06": "accept", "06-lock": "accept behind a robust mutex", "fcntl": "accept behind an fcntl lock",
             "06-select": "select", "06-epoll": "epoll_wait, exclusive"}
    sizes = (1, 8, 32, 64)

    def command(kind):
        return [HERE / "locks", "-m", kind] if kind == "fcntl" else registry.command(kind)

    found = turns.in_turn(3, [(f"wake-ups, {kinds[kind]}, {size} workers",
                               lambda k=kind, s=size: {(k, s): wakeups(command(k), s)})
                              for kind in kinds for size in sizes])
    measurement.draw(f"{name}-wakeups", ROOM / "wakeups.gp", "",
                     ["workers", *(f"{kind} {part}" for kind in kinds for part in ("median", "low", "high"))],
                     ([size, *(f"{of(found[kind, size]):.2f}" for kind in kinds for of in (stats.median, min, max))]
                      for size in sizes), titles="|".join(kinds.values()), servers=" ".join(kinds))
    print("\n" + textplot.curves(
        "Wake-ups for a connection, by the number of workers (log scales)",
        {kinds[kind]: [(size, stats.median(found[kind, size])) for size in sizes] for kind in kinds},
        [(size, str(size)) for size in sizes], "workers", xlog=True, ylog=True))
    results.show_table(f"{name}-wakeups", "Wake-ups for a connection, when one client comes after the other: "
                       "median (range)", ["", *(f"{size} worker{'s' * (size > 1)}" for size in sizes)],
                       ([kinds[kind], *(stats.spread(found[kind, size], "{:.1f}") for size in sizes)] for kind in kinds))


def show_silence(name):
    rows = turns.in_turn(1, [(f"beside a silent client, {registry.label(mode)}",
                              lambda mode=mode: {mode: beside_silence(mode)}) for mode in MODES])
    table = [[registry.label(mode), f"{row['rate']:,.0f}", f"{row['timed_out']:.0f}", f"{row['p50_us']:,.0f}",
              f"{row['p99_us']:,.0f}"] for mode, (row,) in rows.items()]
    results.show_table(f"{name}-silence", "Seven clients beside a silent one, eight workers",
                       ["", "connections a second", "given up after 1 s", "p50, µs", "p99, µs"], table)


# ---- broken ----


def accepts(pid):
    """Whether a process waits in accept: what the kernel calls it stands in /proc/PID/wchan."""
    with contextlib.suppress(OSError):
        return "accept" in pathlib.Path(f"/proc/{pid}/wchan").read_text()
    return False


def connect(port, text=b""):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(20)
    connection.sendall(text)
    return connection


def answered(connections, seconds):
    """Those of the connections that have an answer, or an end, in so many seconds; by what came."""
    poll = select.poll()
    by_number = {connection.fileno(): connection for connection in connections}
    for number in by_number:
        poll.register(number, select.POLLIN)
    found = collections.defaultdict(list)
    while by_number and (ready := poll.poll(seconds * 1000)):
        for number, _ in ready:
            poll.unregister(number)
            connection = by_number.pop(number)
            try:
                found["echo" if connection.recv(100) else "end"].append(connection)
            except ConnectionResetError:
                found["reset"].append(connection)
    return found


def kill_the_holder():
    """A lock whose holder is killed: a plain one, and a robust one."""
    for what, command in (("a plain mutex", [HERE / "locks", "-m", "mutex"]),
                          ("a robust one", [HERE / "locks", "-m", "robust"])):
        with serving.running(command, 4) as (process, port):
            program.wait_until(lambda p=process: any(map(accepts, workers_of(p))), "a worker in accept")
            holder = next(filter(accepts, workers_of(process)))
            os.kill(holder, signal.SIGKILL)
            program.wait_until(lambda pid=holder: (program.look_at(pid) or "Z")[0] == "Z", "its death")
            with connect(port, b"hello") as client:
                here = answered([client], 1)
                print(f"  {what}: the next client has "
                      + ("its echo" if here["echo"] else "no echo after a second; 3 workers live"))


def count_the_herd():
    """What one of the workers does for 200 connections of one client."""
    if not shutil.which("strace"):
        print("  left out: strace is not installed")
        return
    for what, mode in (("select", "06-select"), ("accept", "06")):
        log = results.scratch() / f"herd-{what}"
        trace = ["strace", "-D", "-f", "-c", "-U", "name,calls,errors", "-e",
                 "trace=accept4,select,pselect6", "-o", str(log)]
        with serving.running([*trace, *registry.command(mode)], 8) as (process, port):
            serving.load(process, port, "-c", 1, "-n", 200)
        program.wait_until(lambda log=log: "total" in log.read_text(), "what strace has counted")
        print(f"  200 connections, 8 workers in {what}; strace -c:")
        counts = {line.split()[0]: line.rstrip() for line in log.read_text().splitlines() if line.strip()}
        for name in ("syscall", "accept4", "select", "pselect6"):  # strace has the slowest first
            if name in counts:
                print(f"    {counts[name]}")


def wait_behind_the_silent():
    """A silent client, and 40 others that come while 3 of 4 workers are idle."""
    for mode in "06", "06-reuseport":
        with serving.running(registry.command(mode), 4) as (_, port), contextlib.ExitStack() as stack:
            silent = stack.enter_context(connect(port, b"x"))
            silent.recv(1)
            others = [stack.enter_context(connect(port, b"hello")) for _ in range(40)]
            for other in others:
                other.shutdown(socket.SHUT_WR)
            served = len(answered(others, 0.5)["echo"])
            print(f"  {registry.label(mode)}: {served} of 40 have their echo after half a second")


def lose_a_queue():
    """200 clients wait for four workers that are held; one of the four is killed."""
    for mode in "06", "06-reuseport":
        with serving.running(registry.command(mode), 4) as (process, port), contextlib.ExitStack() as stack:
            clients = []
            while len(clients) < 200 + 4:
                clients.append(stack.enter_context(connect(port, b"hello")))
            held = answered(clients, 0.5)["echo"]  # each of them holds its worker
            waiting = [client for client in clients if client not in held]
            os.kill(workers_of(process)[0], signal.SIGKILL)
            lost = answered(waiting, 0.5)
            print(f"  {registry.label(mode)}: {len(waiting)} waited; a worker is killed, and "
                  f"{len(lost['reset']) + len(lost['end'])} of them are reset")


def break_it():
    """Four diseases, each beside a way that does not have it."""
    for title, show in (("the holder of the lock is killed", kill_the_holder),
                        ("the herd", count_the_herd),
                        ("a silent client, while workers are idle", wait_behind_the_silent),
                        ("a worker dies while clients wait", lose_a_queue)):
        print(f"{title}:", flush=True)
        show()
