"""Workers die: one that is idle, one that serves, all of them at once. Each must be noticed, reaped and replaced."""
from lesson import *

LOOK = "server.c, worker_report: what does read return when the worker has ended? And what has to be done then? read(2)"
LOOK_END = "server.c, worker_report: once its channel has come to its end, can a worker be " \
           "handed anything, dead or alive? The master needs another one, and may not wait for " \
           "this one to die"
LOOK_TAKES = "server.c, hand_over: a channel takes nothing. What becomes of the connection, and " \
             "of the place of that worker, which may even live?"
HAND = "server.c, hand_over: what becomes of a connection when the worker that was to have it is dead?"


def busy(server):
    return "" if rests(server.pid, 2) else "; the master never waits: it takes all of a CPU"


def those_left(server):
    living, zombies = len(server.living_children()), len(server.children()) - len(server.living_children())
    return (f"{living} living worker{'' if living == 1 else 's'}, {zombies} "
            f"zombie{'' if zombies == 1 else 's'}{busy(server)}")


def shut_channel(worker, how):
    """Shuts a worker's end of its channel down; false where the kernel does not let us."""
    number = next(number for number, what in descriptors(worker).items()
                  if what.startswith("socket:"))
    copy = copy_of(worker, number)
    if copy is None:
        return False
    with socket.socket(fileno=copy) as end:
        end.shutdown(how)
    return True


def expect_all_well(server, workers, open_before, look=LOOK):
    """There are so many workers, the master waits, and has no descriptor more than it had."""
    ended = ("Z", None)
    expect(wait_until(lambda: len(server.living_children()) == workers
                      or state(server.pid) in ended, by=[server.pid]) and state(server.pid) not in ended,
           happened=lambda: those_left(server), look=look, expected=f"{workers} workers, since one "
           "that dies is replaced")
    expect(wait_until(lambda: len(server.children()) == workers, by=[server.pid]),
           happened=lambda: those_left(server), expected=f"{workers} workers, and no zombie",
           look="server.c: who takes the status of a worker that has ended? waitpid(2)")
    expect(rests(server.pid), expected="the master to wait", happened="the master never waits: it takes all of a CPU",
           look=LOOK)
    now = descriptors(server.pid)
    expect(len(now) == len(open_before), expected=f"the master to have {len(open_before)} descriptors open, as before",
           happened=lambda: f"it has {len(now)} descriptors open", look="server.c: what is to be done with the channel "
                                                                       "of a worker that has ended?")


begin()
step("start the server with 2 workers, and kill one of them with SIGKILL")
with Server("server", "2") as server:
    settle(server)
    expect_echo(server.connect(), WORD, look="server.c, hand_over")
    settle(server)
    before = descriptors(server.pid)
    kill(server.children()[0])
    expect_all_well(server, 2, before)

    step("connect twice, and send through both connections")
    first, second = server.connect(), server.connect()
    for connection in first, second:
        expect_echo(connection, WORD, look=LOOK)

    step("kill the worker that serves the first connection")
    victims = [pid for pid in holders(server, first) if pid != server.pid]
    expect(len(victims) == 1, expected="one worker to serve it", happened=f"{len(victims)} "
           "children have it open", look="server.c, worker_begin and hand_over: who has a copy of "
           "a connection?")
    kill(victims[0])
    expect_all_well(server, 2, before)
    expect_echo(second, WORD, expected="the second connection to be served as if nothing had happened", look=LOOK)
    second.close()

    step("kill both workers and connect, while the master is stopped (SIGSTOP) and goes on later (SIGCONT)")
    settle(server)
    os.kill(server.pid, signal.SIGSTOP)
    wait_until(lambda: state(server.pid) == "T")
    kill(*server.living_children())
    third = server.connect()
    wait_until(lambda: server_end(server, third) is not None)
    os.kill(server.pid, signal.SIGCONT)
    expect_echo(third, WORD, look=HAND, expected="the client to be served by a new worker")
    expect_all_well(server, 2, before)
    third.close()

    step("keep a worker's channel open, as a process would that it has started, and kill the worker")
    settle(server)
    victim = server.living_children()[0]
    channel = next(number for number, what in descriptors(victim).items() if what.startswith("socket:"))
    copy = copy_of(victim, channel)
    kill(victim)
    expect_all_well(server, 2, before, look="server.c: while somebody has its channel open, no end-of-file comes from "
                                            "a dead worker. What tells that it is dead, and which one it was? "
                                            "waitpid(2)")
    if copy is not None:
        os.close(copy)

    step("end one end of a worker's channel (shutdown), while it is stopped, as a worker could "
         "that lives on; connect twice")
    settle(server)
    victim = server.living_children()[0]
    stop_process(victim)
    if shut_channel(victim, socket.SHUT_RDWR):
        expect(wait_until(lambda: len(set(server.living_children()) - {victim}) == 2), expected=
               "another worker in its place", happened=lambda: "none, though its channel has come "
               f"to its end{busy(server)}", look=LOOK_END)
        for connection in server.connect(), server.connect():
            expect_echo(connection, WORD, look=LOOK_END)
            connection.close()
    with contextlib.suppress(ProcessLookupError):
        kill(victim)

    step("let the channels of both workers take nothing more, which select does not see, as when "
         "they die just behind it; connect")
    wait_until(lambda: len(server.living_children()) == len(server.children()) == 2)
    settle(server)
    workers = server.living_children()
    for pid in workers:
        stop_process(pid)
    if all([shut_channel(pid, socket.SHUT_RD) for pid in workers]):
        last = server.connect()
        expect_echo(last, WORD, look=LOOK_TAKES, expected="the client to be served by a new worker")
        last.close()
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            kill(pid)
    expect_all_well(server, 2, before, look=LOOK_TAKES)

    step("leave the server alone for a second")
    expect(wakes(server.pid) < 3, expected="the master to wait", happened="it wakes up again and "
           "again, to see whether somebody has died", look="server.c, wait_readable and serve: "
           "what tells that a worker has ended, without asking again and again? select has a "
           "time-out only while something is put off")

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, serve")
passed()
