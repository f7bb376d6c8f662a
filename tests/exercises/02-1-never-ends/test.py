"""End-of-file must come: when all is sent, when the child has died, and when the parent has died."""
from lesson import *

LOOK = "count.c, behind fork: each process has both ends of the channel. Who could still write to the child? " \
       "socketpair(2), fork(2)"
LOOK_WHICH = "count.c, behind fork: which end does each process use, and which does it close?"
LOOK_PARENT = "count.c, behind fork: each process has both ends of the channel. Who could still read what the parent " \
              "sends? EPIPE in send(2)"


def open_ends(pid):
    count = sum(target.startswith("socket:") for target in descriptors(pid).values())
    return {0: "no end", 1: "1 end"}.get(count, f"{count} ends")


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
    if program.finish(b"".join(LINES[1:])) is None:
        children = program.living_children()
        fail(expected=f'it to print "{RESULT}", and to end',
             happened=f"it waits for ever; of the channel, the parent has {open_ends(program.pid)} open"
                      + (f", and the child {open_ends(children[0])}" if children else ""), look=LOOK)
    expect(program.stdout() == f"{RESULT}\n", expected=f'it to print "{RESULT}"',
           happened=f'it prints "{program.stdout().strip()}"; on stderr it says:\n{program.stderr()}', look=LOOK_WHICH)

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

step("give count a line, and kill the parent (SIGKILL)")
with Piped("count") as program:
    program.feed(b"one\n")
    child = living_child(program)
    program.kill()
    program.wait()
    wait_until(lambda: state(child) in (None, "Z", "X") or open_ends(child) != "1 end" and asleep(child))
    expect(state(child) in (None, "Z", "X"), expected="the child to end, too",
           happened=lambda: f"it waits for ever; of the channel, it has {open_ends(child)} open", look=LOOK)
passed()
