#!/usr/bin/env python3
"""Test of common/book/replay.py, on small traces that are written here: what each call does."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/book"))
import replay  # noqa: E402

MASTER, WORKER = 100, 101
LISTENER, ENDS = "socket:[1]", ("socket:[2]", "socket:[3]")


def run(*events):
    """A master and a worker, before a client has come.

    An event is (begin, end, socket, pid, call, descriptor, other, result).
    """
    return {
        "processes": {"master": MASTER, "worker 1": WORKER}, "pairs": [list(ENDS)],
        "tables": {"master": {"3": ["signals", "anon"], "4": ["listener 127.0.0.1:1", LISTENER],
                              "5": ["channel to worker 1", ENDS[0]]},
                   "worker 1": {"7": ["channel to master", ENDS[1]]}},
        "events": [[begin, end, socket, pid, descriptor, other, result, 0, call]
                   for begin, end, socket, pid, call, descriptor, other, result in events]}


CONNECT = (10, 40, 0, 0, "connect", 1, -1, 0)
ACCEPT = (20, 30, 77, MASTER, "accept4", 4, 6, 6)
SEND = (50, 90, 77, MASTER, "sendmsg", 5, 6, 1)
TAKE = (45, 60, 77, WORKER, "recvmsg", 7, 3, 1)
DROP = (95, 96, 0, MASTER, "close", 6, -1, 0)
END = (97, 98, 0, WORKER, "close", 3, -1, 0)
REPORT = (99, 103, 0, WORKER, "send", 7, -1, 1)
READ = (80, 101, 0, MASTER, "read", 5, -1, 1)


def last(*events):
    return replay.steps(run(*events))[-1]


def test_a_call_that_gives_comes_before_the_one_that_takes_though_it_returns_later():
    steps = replay.steps(run(READ, REPORT, END, DROP, TAKE, SEND, ACCEPT, CONNECT))
    tap.equal([step.who for step, _ in steps], ["client 1", "master", "master", "worker 1",
                                                "master", "worker 1", "worker 1", "master"])
    tap.equal(steps[-1][1].tables, {"master": {3: "other anon", 4: "listener", 5: "q1a"},
                                    "worker 1": {7: "q1b"}})


def test_accept_takes_from_the_backlog_and_gives_a_number():
    _, state = last(CONNECT)
    tap.equal((state.backlog, state.opened), (["c1"], 1))
    step, state = last(CONNECT, ACCEPT)
    tap.equal((state.backlog, state.tables["master"][6]), ([], "c1"))
    tap.equal((step.call, step.flight), ("accept4(4) = 6", ("backlog[0]", "master.6", "c1")))


def test_a_message_keeps_open_what_travels_in_it():
    step, state = last(CONNECT, ACCEPT, SEND)
    tap.equal([(m.size, m.thing) for m in state.queues["q1b"]], [(1, "c1")])
    tap.equal(step.flight, ("master.6", "q1b[0]", "c1"))
    step, state = last(CONNECT, ACCEPT, SEND, (91, 92, *DROP[2:]))
    tap.equal(state.holders("c1"), [])
    tap.expect("c1" in state.things(), "the message should keep it")
    tap.expect_in("the message alone keeps it open", step.say)


def test_who_takes_a_descriptor_has_it_under_its_own_number():
    step, state = last(CONNECT, ACCEPT, SEND, TAKE)
    tap.equal((state.tables["worker 1"], state.queues["q1b"]), ({7: "q1b", 3: "c1"}, []))
    tap.equal(state.holders("c1"), ["master", "worker 1"])
    tap.expect_in("two processes have it: the master still does", step.say)


def test_the_last_close_ends_a_connection():
    step, state = last(CONNECT, ACCEPT, SEND, TAKE, DROP)
    tap.expect_in("Worker 1 has a descriptor of its own", step.say)
    step, state = last(CONNECT, ACCEPT, SEND, TAKE, DROP, END)
    tap.expect_in("the last descriptor for connection 1", step.say)
    tap.expect("c1" not in state.things(), "it is still there")


def test_a_report_goes_the_other_way():
    _, state = last(CONNECT, ACCEPT, SEND, TAKE, DROP, END)
    tap.equal(state.owes, {"worker 1"})
    _, state = last(CONNECT, ACCEPT, SEND, TAKE, DROP, END, REPORT)
    tap.equal([(m.size, m.thing) for m in state.queues["q1a"]], [(1, None)])
    step, state = last(CONNECT, ACCEPT, SEND, TAKE, DROP, END, REPORT, READ)
    tap.equal((state.queues["q1a"], state.owes, step.say), ([], set(), "Worker 1 is idle again."))


def test_what_a_trace_lacks_is_said():
    another = (45, 60, 78, *TAKE[3:])
    for events, what in (((ACCEPT,), "nobody has made"),
                         ((CONNECT, SEND), "nobody has opened"),
                         ((DROP,), "nobody has opened"),
                         ((CONNECT, ACCEPT, TAKE), "nobody has sent"),
                         ((CONNECT, ACCEPT, SEND, another), "nobody has sent")):
        tap.expect_in(what, tap.raises(replay.Incomplete, replay.steps, run(*events)))


def test_a_call_that_fails_changes_nothing_and_is_no_step():
    tap.equal(len(replay.steps(run(CONNECT, (15, 16, 0, MASTER, "accept4", 4, -1, -1)))), 1)
    tap.equal(len(replay.steps(run(CONNECT, (15, 16, 0, MASTER, "select", -1, -1, 1)))), 1)


def giver(*events):
    """A program from its beginning, and its child."""
    return {"processes": {"giver": MASTER, "taker": WORKER}, "tables": {"giver": {}}, "pairs": [],
            "events": list(events)}


def test_a_child_has_a_copy_and_the_end_of_a_process_closes_all():
    steps = replay.steps(giver([1, 2, 9, MASTER, 3, 4, 0, 0, "socketpair"],
                               [3, 9, 0, MASTER, -1, -1, WORKER, 0, "fork"],
                               [3, 4, 0, WORKER, -1, -1, 0, 0, "fork"],
                               [5, 6, 0, WORKER, 3, -1, 0, 0, "close"],
                               [12, 12, 0, WORKER, -1, -1, 0, 0, "exit"]))
    both = {3: "q1a", 4: "q1b"}
    tap.equal([state.tables for _, state in steps],
              [{"giver": both}, {"giver": both, "taker": both},
               {"giver": both, "taker": {4: "q1b"}}, {"giver": both}])
    tap.equal(steps[2][0].say, "The giver still has this end of the channel.")


def test_a_file_has_one_offset_for_all():
    steps = replay.steps(giver([1, 2, 0, MASTER, -1, 3, 3, 0, "memfd"],
                               [3, 4, 0, MASTER, 3, -1, 33, 0, "write"],
                               [5, 6, 0, MASTER, 3, -1, 0, 0, "lseek"],
                               [7, 8, 0, MASTER, 3, -1, 16, 0, "read"]))
    tap.equal([state.offset for _, state in steps], [0, 33, 0, 16])


def test_the_telling_moment_is_that_with_most_under_way():
    whole = run(CONNECT, ACCEPT, SEND, (91, 92, *DROP[2:]), (93, 94, *TAKE[2:]), END, REPORT, READ)
    step, state = replay.steps(whole)[replay.telling(whole)]
    tap.equal((step.call, state.holders("c1")), ("close(6) = 0", []))


tap.run(vars())
