#!/usr/bin/env python3
"""Measures what a connection costs besides time: context switches, page faults, system calls, and memory.

All designs that can be had, with the same load as in peers.py.
"""
import collections
import contextlib
import os
import pathlib
import re
import resource
import select
import shutil
import socket
import subprocess
import time

import paths
import program
import results
import stats
import terminal
import turns
import designs

CLIENTS = (1, 8)
ROUNDS = turns.few(5)
# On a busy machine there are fewer rounds, and in the end designs are left out.
COUNTS_END, END = 240, 480  # seconds from the beginning
RUN = 10  # seconds at most for a run of load
FEW, MANY = 500, 3500  # connections of the two runs whose difference is looked at
TRACED_FEW, TRACED_MANY = 20, 520
WORKERS = (8, 16, 32) if turns.HASTE else (8, 64, 512)
COUNTS = {"cpu_us": "CPU, µs", "voluntary": "voluntary switches", "involuntary": "involuntary switches",
          "minor": "minor faults", "major": "major faults"}


# ---- what getrusage counts ----


def used_by_children():
    """What all processes that were started here, and have ended since, have used up to now.

    The kernel adds what a process has used to its parent's account when the parent has waited for it, and so
    what its own children had used: see RUSAGE_CHILDREN in getrusage(2). Each server waits for its workers, and
    what a server leaves behind becomes our child and is waited for here. So nobody is missing.
    """
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"cpu_us": (usage.ru_utime + usage.ru_stime) * 1e6, "voluntary": usage.ru_nvcsw,
            "involuntary": usage.ru_nivcsw, "minor": usage.ru_minflt, "major": usage.ru_majflt}


def used_by_server(name, clients, connections):
    """What a server has used from its start to its end, and for how many connections."""
    before = used_by_children()
    with designs.running(name) as (process, port):
        before_load = used_by_children()
        row = designs.load(name, process, port, "-c", clients, "-n", connections, "-d", RUN)
        after_load = used_by_children()  # the server is not among them yet
    program.wait_until(nobody_is_left, "the end of what the server has left behind")
    after = used_by_children()
    used = {key: after[key] - before[key] - (after_load[key] - before_load[key]) for key in after}
    return used, row["connections"]


def per_connection(name, clients):
    """Two runs, and their difference for each further connection: so neither start nor end counts."""
    (few, some), (many, more) = (used_by_server(name, clients, count) for count in (FEW, MANY))
    if more <= some:
        raise program.Failure(f"{designs.label(name)} served {more:.0f} connections in {RUN} seconds: too few to tell")
    return {key: (many[key] - few[key]) / (more - some) for key in many}


def measure_counts(names):
    def run(name, clients):
        return {(name, clients): per_connection(name, clients)}

    return turns.in_turn(ROUNDS, [(f"{designs.label(name)}, {clients} clients", lambda n=name, c=clients: run(n, c))
                                  for clients in CLIENTS for name in names], COUNTS_END)


def show_counts(names, counts):
    def text(key, values):
        form = "{:.0f}" if key == "cpu_us" else "{:.1f}"
        # The difference of two runs can be a little below 0; cost.tsv has it as it is.
        return stats.spread([max(value, 0.0) for value in values], form)

    rounds = len(next(iter(counts.values())))
    none = [key for key in COUNTS if all(abs(row[key]) < 0.05 for rows in counts.values() for row in rows)]
    shown = [key for key in COUNTS if key not in none]
    notes = ["Of all processes of a server, by getrusage: the difference of two runs, for each further connection.",
             "Voluntary: a process had to wait. Involuntary: another one was to run. Minor fault: a page had to be mapped "
             "or copied. Major: it had to be read from disk.", *(f"There were no {COUNTS[key]}." for key in none)]
    for clients in CLIENTS:
        results.show_table(
            f"cost-{clients}", f"One connection of {clients} client{'s' * (clients > 1)}, 8 workers: median (range) of "
            f"{rounds} round{'s' * (rounds > 1)}", ["", *(COUNTS[key] for key in shown)],
            [[designs.label(name), *(text(key, [row[key] for row in counts[name, clients]]) for key in shown)] for name in names],
            notes if clients == CLIENTS[-1] else ())
    results.write_table(paths.RESULTS / "cost.tsv", ["round", "design", "clients", *COUNTS],
                        ([number + 1, name, clients, *(f"{counts[name, clients][number][key]:.4f}" for key in COUNTS)]
                         for number in range(rounds) for clients in CLIENTS for name in names))


# ---- system calls ----


def no_strace():
    """Why no system calls can be counted here; "" when they can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    result = subprocess.run(["strace", "-o", "/dev/null", "true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True, check=False)
    return "" if result.returncode == 0 else f"strace may not trace here: {result.stderr.strip().splitlines()[-1]}"


def parse_trace(lines):
    """Counts the calls in lines of strace -f. Gives a counter of (process, call), in the order of their first.

    The process of the first line is the server, "master"; the others are "workers". A call that is interrupted
    by the output of another process has a second line, which says "resumed": it is counted once.
    """
    counter = collections.Counter()
    master = None
    for line in lines:
        call = re.match(r"(\d+) +(\w+)\(", line)
        if call:
            master = master or call[1]
            counter["master" if call[1] == master else "workers", call[2]] += 1
    return counter


def trace(name, connections):
    """Runs a design under strace, with one client; gives what strace has written, and for how many connections."""
    log = results.scratch() / "strace"
    # -D: the server is the child of this program, and strace looks on from elsewhere.
    with designs.running(name, prefix=["strace", "-D", "-f", "-qq", "-s", "0", "-o", str(log)]) as (process, port):
        row = designs.load(name, process, port, "-c", 1, "-n", connections, "-d", RUN)
    program.wait_until(nobody_is_left, "the end of strace")  # it has written all then
    return log.read_text(errors="replace").splitlines(), row["connections"]


def nobody_is_left():
    """Whether all children of this process have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def calls_per_connection(few, many, more):
    """From two traces, the second with so many more connections, the number of each call for each of these.

    Gives a dictionary from (process, call), in the order in which the calls come up: from an accept in the
    middle of the trace on, and if workers begin there, as children do, then from their beginning.
    """
    accepts = [number for number, line in enumerate(many) if re.match(r"\d+ +accept4?\(", line)]
    middle = accepts[len(accepts) // 2] if accepts else 0
    before = {line.split()[0] for line in many[:middle]} - {many[0].split()[0]}
    new = [line for line in many[middle:] if line.split()[0] not in before]
    ordered = [*parse_trace([many[0], *new]), *parse_trace([many[0], *many[middle:]]), *parse_trace(many)]
    few, many = parse_trace(few), parse_trace(many)
    return {key: (many[key] - few[key]) / more for key in dict.fromkeys(ordered) if many[key] != few[key]}


def number_text(number):
    return f"{number:.1f}".removesuffix(".0")


def one_by_one(what, names, measure, end):
    """Measures one design after the other. Gives what came out by name; who has not begun at END is left out."""
    found = {}
    progress = turns.Progress(len(names))
    for name in names:
        if time.monotonic() < end:
            progress.step(f"{what}: {designs.label(name)}")
            found[name] = measure(name)
    progress.end()
    if len(found) < len(names):
        late = ", ".join(designs.label(name) for name in names if name not in found)
        print("\n" + terminal.wrapped(f"left out: {what} of {late}: {END // 60} minutes are over, "
                                      "since the machine is busy", "", "  "))
    return found


def calls_of(name):
    (few, some), (many, more) = (trace(name, connections) for connections in (TRACED_FEW, TRACED_MANY))
    if more <= some:
        raise program.Failure(f"{designs.label(name)} served {more:.0f} connections under strace in {RUN} seconds")
    return calls_per_connection(few, many, more - some)


def show_calls(names, end):
    calls = one_by_one("system calls", names, calls_of, end)
    table = []
    for name in calls:
        for process in ("master", "workers"):
            mine = {call: number for (whose, call), number in calls[name].items() if whose == process and abs(number) >= 0.05}
            if mine:
                which = ", ".join(call if number_text(number) == "1" else f"{number_text(number)} {call}"
                                  for call, number in mine.items())
                label = "children" if process == "workers" and designs.forks(name) else process
                table.append([designs.label(name), label, number_text(sum(mine.values())), which])
    results.show_table("cost-calls", "System calls for one connection, when one client comes after the other",
                       ["", "process", "calls", "which, in the order of their first"], table,
                       ["Counted by strace, in a run of its own: it slows all down, so how many events one select finds, "
                        "for example, may differ from an untraced run."])
    results.write_table(paths.RESULTS / "cost-calls.tsv", ["design", "process", "call", "per_connection"],
                        ([name, process, call, f"{number:.3f}"] for name in calls
                         for (process, call), number in calls[name].items()))


# ---- memory ----


def proportional_kib(pids):
    """The PSS of these processes: a page that N processes share counts as an N-th in each. See proc(5), smaps_rollup."""
    kib = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has ended, and has no memory any more
            kib += int(re.search(r"^Pss: +(\d+) kB", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
    return kib


def memory_kib(name, workers):
    """The memory of a server whose workers are all busy: each has echoed a line, and waits for the next."""
    with designs.running(name, workers) as (process, port):
        clients = []
        try:
            for _ in range(workers):
                clients.append(socket.create_connection(("127.0.0.1", port), 20))
                clients[-1].sendall(b"line\n")
            waiting = set(clients)
            poll = select.poll()
            by_number = {client.fileno(): client for client in clients}
            for number in by_number:
                poll.register(number, select.POLLIN)
            # Where the kernel deals clients to workers, some of them wait behind others, for ever.
            deals = designs.can(name, "deals")
            while waiting and (ready := poll.poll(1000 if deals else 20000)):
                for number, _ in ready:
                    if not by_number[number].recv(64):
                        raise program.Failure(f"{designs.label(name)} has closed one of {workers} connections")
                    waiting.discard(by_number[number])
            if waiting and not deals:
                raise program.Failure(f"{designs.label(name)} does not serve {workers} clients at once")
            return proportional_kib(program.descendants())
        finally:
            for client in clients:
                client.close()


def show_memory(names, end):
    measured = one_by_one("memory", names, lambda name: [memory_kib(name, workers) for workers in WORKERS], end)
    table = [[designs.label(name), *(f"{each / 1024:.1f}" for each in kib),
              f"{(kib[-1] - kib[0]) / (WORKERS[-1] - WORKERS[0]):.0f}"] for name, kib in measured.items()]
    results.show_table("cost-memory", "Memory of all processes of a server, MiB, while so many workers are busy",
                       ["", *(f"{workers} workers" for workers in WORKERS), "KiB for each further"], table,
                       ["PSS: what processes share is counted once. What the kernel needs for a process and its sockets is not "
                        "in it. With SO_REUSEPORT about a third of the workers gets no client, by the hash."])
    results.write_table(paths.RESULTS / "cost-memory.tsv", ["design", "workers", "pss_kib"],
                        ([name, workers, each] for name, kib in measured.items() for workers, each in zip(WORKERS, kib)))


def main():
    results.begin()
    end = time.monotonic() + END
    names = designs.present(designs.everything())
    counts = measure_counts(names)
    show_counts(names, counts)
    reason = no_strace()
    if reason:
        print("\n" + terminal.wrapped(f"left out: system calls: {reason}", "", "  "))
    else:
        show_calls(names, end)
    show_memory(names, end)
    print(f"\nas files:  {terminal.shown(paths.RESULTS)}/cost*.tsv")


if __name__ == "__main__":
    program.main(main)
