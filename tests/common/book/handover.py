#!/usr/bin/env python3
"""Test of common/book/handover.py: real runs, replayed call by call, beside what /proc says."""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path[:0] = [str(tap.ROOT / "common/book")]
os.environ["ASAN_OPTIONS"] = "verify_asan_link_order=0"  # behind trace.so will do as well
import handover  # noqa: E402
import program  # noqa: E402
import registry  # noqa: E402
import replay  # noqa: E402
import scene  # noqa: E402

PROGRAM = tap.ROOT / "common/book/handover.py"
RUNS = pathlib.Path(__file__).resolve().parent / "runs"
HANDOFF = str(tap.BUILD / "chapters/03-descriptor-passing/handoff")


def hand_over():
    """The servers that do."""
    return [name for name, server in registry.servers().items()
            if "hand-over" in server.can or "queue" in server.can and "numbers" not in server.can]


def expect_as_proc_says(run):
    """At each look each process has the same numbers open; and what one word stands for here has
    one name there, which no other has."""
    tap.expect(run["looks"], "nobody has looked")
    for at, look in enumerate(run["looks"]):
        state, named = replay.after(run, look["time"]), collections.defaultdict(set)
        tap.equal(sorted(state.tables), sorted(look["tables"]))
        for name, table in look["tables"].items():
            tap.equal((at, name, sorted(state.tables[name])), (at, name, sorted(map(int, table))))
            for number, target in table.items():
                thing = state.tables[name][int(number)]
                if not thing.startswith("other"):
                    named[thing].add(target)
        tap.equal([thing for thing, targets in named.items() if len(targets) != 1], [])
        tap.equal(len(set().union(*named.values())), len(named))


def test_every_server_holds_what_proc_says_before_and_after_each_client():
    tap.expect({"04", "05", "07"} <= set(hand_over()), f"only {hand_over()}")
    for name in hand_over():
        run = handover.record(name)
        tap.equal(len(run["looks"]), 2 * handover.CONNECTIONS)
        expect_as_proc_says(run)
        for drawn in scene.fragment(run), scene.picture(run):
            tap.expect("<svg" in drawn, f"no picture of {name}")
        waits = replay.after(run, run["looks"][handover.CONNECTIONS - 1]["time"])
        served = sorted(thing for worker in waits.servers
                        for thing in waits.tables[worker].values() if thing.startswith("c"))
        # Who hands over leaves the others in the backlog, the queue takes them in.
        in_queue = "queue" in registry.servers()[name].can
        wanted = ([], ["c4", "c5"]) if in_queue else (["c4", "c5"], [])
        found = name, served, waits.backlog, waits.flying()
        tap.equal(found, (name, ["c1", "c2", "c3"], *wanted))


def test_a_connection_is_accepted_handed_over_served_and_closed_once():
    for name in "04", "07":
        run, calls = handover.record(name), collections.defaultdict(list)
        before = replay.State(run)
        for step, state in replay.steps(run):
            call = step.call.partition("(")[0]
            moved = {step.flight[2]} if step.flight else set()
            served = state.spoken - before.spoken
            ended = before.things() - state.things()
            for thing in moved | served | ended:
                if thing.startswith("c"):
                    calls[thing].append(call)
            tap.equal(state.things() & set(state.backlog), set())  # it waits, or somebody has it
            before = state
        whole = ["connect", "accept4", "sendmsg", "recvmsg", "send", "close"]
        wanted = {f"c{number}": whole for number in range(1, handover.CONNECTIONS + 1)}
        tap.equal((name, dict(calls)), (name, wanted))
        tap.equal((before.backlog, any(before.queues.values())), ([], False))


def test_the_program_of_chapter_3_holds_what_proc_says_while_it_waits_for_its_file():
    look_at = {}
    with tempfile.TemporaryDirectory() as folder:
        fifo = os.path.join(folder, "file")
        os.mkfifo(fifo)

        def meanwhile(giver):
            writer = os.open(fifo, os.O_WRONLY)  # waits until the giver has opened it
            try:
                taker, = program.children(giver)
                look_at.update(giver=giver, taker=taker)

                def waits(*files):  # with its end of the channel, and these
                    of_taker = handover.held(taker).values()
                    return handover.asleep(look_at) and len(of_taker) == 1 + len(files) \
                        and set(files) <= set(of_taker)

                program.wait_until(waits, "the taker")
                before = handover.look(look_at)
                os.write(writer, b"sixteen bytes of")
                program.wait_until(lambda: waits(fifo), "the hand-over")
                return [before, handover.look(look_at)]
            finally:
                os.write(writer, b"a file, for both")
                os.close(writer)

        run = json.loads(json.dumps(handover.of_program("03", [HANDOFF, fifo], meanwhile)))
    expect_as_proc_says(run)
    tap.equal(replay.after(run, run["looks"][1]["time"]).holders("file"), ["giver", "taker"])


def test_the_file_and_the_connection_of_chapter_3_travel():
    steps = replay.steps(handover.record("03"))
    taken = [step.flight[2] for step, _ in steps if step.who == "taker" and step.flight
             and step.call.startswith("recvmsg")]
    tap.equal(taken, ["file", "c1"])
    tap.equal(steps[-1][1].tables, {})
    offsets = [(step.who, state.offset) for step, state in steps
               if step.call.startswith(("read(", "lseek(")) and "offset" in step.say]
    tap.equal(offsets, [("giver", 0), ("giver", 16), ("taker", 32), ("giver", 32)])


def test_a_page_is_among_the_results_where_no_other_place_is_said():
    with tempfile.TemporaryDirectory() as mine:
        done = subprocess.run([PROGRAM, "--from", RUNS / "04.json", "04"], env=os.environ | {"MINE": mine},
                              capture_output=True, text=True, check=False)
        tap.equal((done.returncode, done.stderr), (0, ""))
        made = pathlib.Path(mine, "results/hand-over-04.html")
        tap.equal(done.stdout.splitlines()[0], f"step by step, in a browser: {made}")
        tap.expect(made.read_text().startswith("<!DOCTYPE html>"), "no whole page")


def failure(*arguments):
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    tap.equal(result.stdout, "")
    return result.returncode, result.stderr.splitlines()


def test_what_cannot_be_shown_is_said_in_a_line():
    with tempfile.TemporaryDirectory() as folder:
        out, run = os.path.join(folder, "out.html"), os.path.join(folder, "run")
        for arguments, what in ((("01",), "01 hands no descriptors over"),
                                (("07-pidfd",), "07-pidfd hands no descriptors over"),
                                (("02",), "02 hands no descriptors over"),
                                (("99",), 'there is no chapter "99"'),
                                (("--from", run, "04"), "[Errno 2] No such file"),
                                (("--from", PROGRAM, "04"), f"{PROGRAM} is no run that was kept"),
                                (("--from", RUNS / "07.json", "04"), "is a run of 07, not of 04")):
            status, lines = failure(*arguments, out)
            tap.equal((status, os.path.exists(out)), (1, False))
            tap.expect(lines[0].startswith("handover.py: "), lines)
            tap.expect_in(what, " ".join(lines))
        short = json.loads((RUNS / "04.json").read_text())
        short["events"] = [event for event in short["events"] if event[8] != "sendmsg"]
        pathlib.Path(run).write_text(json.dumps(short))
        status, lines = failure("--from", run, "04", out)
        tap.expect_in("the trace is not whole", " ".join(lines))
        tap.equal((status, os.listdir(folder)), (1, ["run"]))
    status, lines = failure()
    tap.equal((status, lines[0]), (2, f"usage: {handover.USAGE}"))


tap.run(vars())
