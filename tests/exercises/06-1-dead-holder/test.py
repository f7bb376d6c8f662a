"""Workers take turns by a lock. Its holder is killed, and again; one that does not hold it, too."""
from lesson import *

LOOK = ("server.c, turn_make and turn_take: who unlocks what a dead process has locked? "
        "pthread_mutexattr_setrobust(3)")
AGAIN = ("server.c, turn_take: who is told that the owner has died has the lock. What must be done "
         "before it is unlocked? pthread_mutex_consistent(3)")
TURNS = ("server.c: who may unlock, and when? A worker that dies while it serves holds nothing, "
         "and somebody else does; pthread_mutex_lock has an answer, too, when a mutex is not "
         "recoverable")
WAIT = "server.c, turn_take: what tells a worker, without its asking again and again?"


def expect_workers(server):
    expect(wait_until(lambda: len(server.living_children()) == len(server.children()) == 2),
           expected="2 workers, since one that dies is replaced", look="server.c, supervise",
           happened=lambda: f"there are {len(server.living_children())}")
    expect_rest(server, look=WAIT)


def takes_turns(server):
    """Of two idle workers, whether there is one without whom nobody accepts: it holds the lock."""
    for pid in server.living_children():
        stop_process(pid)
        client = come(server, WORD)
        all_rest(server.living_children())
        alone = not select.select([client], [], [], 0)[0]
        if not alone:
            expect_reply(client, WORD)
            client.close()
            all_rest(server.living_children())
        os.kill(pid, signal.SIGCONT)
        if alone:
            expect_served(server, client, WORD, look=LOOK)
            client.close()
        settle(server)
        if alone:
            return True
    return False


begin()
step("start the server with 2 workers")
with Server("server", "2") as server:
    expect_workers(server)
    turns = takes_turns(server)

    step("keep one worker at work")
    first = come(server, WORD)
    expect_served(server, first, WORD, look="server.c, work")
    for occasion in "", " once more":
        step(f"kill the other worker{occasion}: it is its turn to accept")
        busy = [pid for pid in holders(server, first) if pid != server.pid]
        expect(len(busy) == 1, expected="one worker to serve the client that stays",
               happened=f"{len(busy)} have it open", look="server.c, work")
        kill(*(pid for pid in server.living_children() if pid not in busy))
        for look, who in (LOOK, "the next client"), (AGAIN, "the client after that"):
            data = word()
            client = come(server, data)
            expect_served(server, client, data, look=look,
                          expected=f"{who} to be served by the worker that takes its place")
            client.close()
        expect_workers(server)
    expect_echo(first, word(), look="server.c, work",
                expected="the first client to be served as if nothing had happened")

    step("kill the worker that serves, and holds no lock")
    kill(*busy)
    expect_workers(server)

    step("let both workers wait, and then stop each of them for a while (SIGSTOP)")
    expect(wakes(*server.living_children()) < 3, expected="a worker to sleep until its turn",
           happened="it wakes up again and again, only to find that it is not yet", look=WAIT)
    expect(takes_turns(server) == turns, expected="that the workers still take turns", look=TURNS,
           happened="they take no turns any more: the lock does not keep anybody out")
    if not turns:
        remark("all workers wait in accept at once: no lock keeps anybody out, and here none is needed")

    step("end the server with SIGTERM")
    expect_stop(server, look="server.c, supervise")
passed()
