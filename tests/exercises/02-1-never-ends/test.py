"""End-of-file must come: when all is sent, when the child has died, and when the parent has died."""
from lesson import *

LOOK = "count.c, behind fork: each process has both ends of the channel. Who could still write to the child? " \
       "socketpair(2), fork(2)"
LOOK_WHICH = "count.c, behind fork: which end does each process use, and which does it close?"
LOOK_ENDED = "count.c, main: the child has said nothing, neither a result nor an error. What has ended it, and what " \
             "is it to wait for?"
LOOK_PARENT = "count.c, behind fork: each process has both ends of the channel. Who could still read what the parent " \
              "sends? EPIPE in send(2)"


LOOK_SAYS = "count.c, send_input: what does send return when nobody can read any more, and what " \
            "is said then, on stderr? err(3). And which signal comes with it? MSG_NOSIGNAL in " \
            "send(2)"


def open_ends(pid):
    count = sum(target.startswith("socket:") for target in descriptors(pid).values())
    return {0: "no end", 1: "1 end"}.get(count, f"{count} ends")


def impatient(pid):
    """Whether there is a time-out on what a process waits for, as far as the kernel tells."""
    numbers = [number for number, what in descriptors(pid).items() if what.startswith("socket:")]
    for copy in filter(None, (copy_of(pid, number) for number in numbers)):
        with socket.socket(fileno=copy) as end:
            if any(end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)):
                return True
    return has_time_out(pid)


def living_child(program):
    """The child of the program, once there is one, and a channel to it."""
    return child_with_channel(program, "counts", "count.c, where it forks: the parent sends, and the child counts; "
                              "which end does each process use?")


begin()
LINES = [word(random.randint(1, 9)) + b"\n" for _ in range(random.randint(3, 9))]
RESULT = f"{len(LINES)} lines, {sum(map(len, LINES))} bytes"
step(f"give count {len(LINES)} lines, and end-of-file")
with Piped("count") as program:
    program.feed(LINES[0])
    living_child(program)
    status = program.finish(b"".join(LINES[1:]))
    if status is None:
        children = program.living_children()
        fail(expected=f'it to print "{RESULT}", and to end',
             happened=f"it waits for ever; of the channel, the parent has {open_ends(program.pid)} open"
                      + (f", and the child {open_ends(children[0])}" if children else ""), look=LOOK)
    said, error = program.stdout().strip(), program.stderr().strip()
    expect(program.stdout() == f"{RESULT}\n", expected=f'it to print "{RESULT}"',
           happened=(f'it prints "{said}"' if said else "it prints nothing") +
           (f", and its exit status is {status}" if status >= 0 else
            f", and signal {-status}, {signal.Signals(-status).name}, ended it") +
           (f"; on stderr it says:\n{error}" if error else ""), look=LOOK_WHICH if said or error else LOOK_ENDED)

step("give count a line, kill the child (SIGKILL), and go on with 4 MB")
with Piped("count") as program:
    program.feed(b"one\n")
    os.kill(living_child(program), signal.SIGKILL)
    wait_until(lambda: not program.living_children())
    status = program.finish(b"and so on\n" * 400000)
    expect(status not in (None, 0), expected="the parent to notice, and to end with an exit status other than 0",
           happened=f"its exit status is {status}" if status is not None else
           f"it waits for ever; of the channel, it has {open_ends(program.pid)} open", look=LOOK_PARENT)
    expect(not program.out, expected="no result, since the child is dead that counts",
           happened=lambda: f'it prints "{program.stdout().strip()}": the parent has counted',
           look="count.c: the parent sends all that it reads to the child, and counts nothing itself")
    expect(status > 0 and program.stderr().strip(), expected="a message on stderr, and an exit "
           "status other than 0", happened=f"its exit status is {status}, and it says nothing"
           if status > 0 else f"signal {-status}, {signal.Signals(-status).name}, ended it, and it "
           "says nothing", look=LOOK_SAYS)

step("give count a line, and kill the parent (SIGKILL)")
with Piped("count") as program:
    program.feed(b"one\n")
    child = living_child(program)
    program.kill()
    program.wait()
    wait_until(lambda: state(child) in (None, "Z", "X") or open_ends(child) != "1 end" and asleep(child))
    expect(state(child) in (None, "Z", "X"), expected="the child to end, too",
           happened=lambda: f"it waits for ever; of the channel, it has {open_ends(child)} open", look=LOOK)

step("give count a line, and look at the channel while both processes wait for more")
with Piped("count") as program:
    program.feed(b"one\n")
    child = living_child(program)
    for name, pid in ("parent", program.pid), ("child", child):
        expect(wait_until(lambda: open_ends(pid) == "1 end"), expected=f"the {name} to have its "
               "own end open, and no other", happened=lambda: f"it has {open_ends(pid)} open, and "
               "lives by something else than end-of-file", look=LOOK_WHICH)
    expect(wait_until(lambda: asleep(program.pid, child), by=[program.pid, child]),
           expected="both to sleep until there is more", happened="they are busy for ever: they spin",
           look="count.c: read waits until something comes. Has it been told not to?")
    if any(map(impatient, (program.pid, child))):
        wait_until(lambda: len(program.processes()) < 2)
    expect(len(program.processes()) == 2, expected="both to wait for the next line as long as it "
           "takes", happened="when none came for a while, they ended: who types slowly is counted "
           "only in part", look="count.c: a time-out, as by SO_RCVTIMEO in socket(7), says nothing "
           "of what may come. What tells for certain that nothing more will?")
passed()
