"""An input of any length must come back in capitals, and while it still goes on."""
from lesson import *

LOOK = "upper.c, ask: what does each of the two wait for, once the channel is full both ways?"
LOOK_STREAM = "upper.c: the input may have no end. Who waits for more of it, or for its end, before answering, or " \
              "before printing the answers that are there?"
LOOK_CHILD = "upper.c, main: the parent sends the text through a channel, and the child answers in capitals"
LOOK_BUSY = "upper.c, ask: while the channel takes nothing, what else is there to do? And what tells when it takes " \
            "more? poll(2)"


LOOK_END = "upper.c, ask: the child answers until its end-of-file. Who sends it that, and when, " \
           "while its last answers are still to come? shutdown(2)"
LOOK_SPINS = "upper.c: where does it wait for what may come, and is it told to wait for what is " \
             "always there? A channel with room is ready for POLLOUT. poll(2)"
LOOK_TOLD = "upper.c: how long may poll wait? Each process can wait for all that may come, " \
            "without a time-out"


def leave_little_room(child, parent):
    """What the child has sent, and nobody has read, is little from now on, where the kernel lets us see to it."""
    others = descriptors(parent).values()
    for number, what in descriptors(child).items():
        if what.startswith("socket:") and what not in others and (copy := copy_of(child, number)) is not None:
            with socket.socket(fileno=copy) as end:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is


def expect_capitals(program, rest, data):
    """Gives the program the rest of `data`, and expects that it ends, with just this in capitals."""
    status = program.finish(rest)
    back = bytes(program.out)
    look = LOOK_END if len(back) >= len(data) else LOOK
    happened = f"{len(back)} bytes came, and its exit status is {status}"
    if status is None and asleep(*program.processes()):
        happened = f"it stands still; {len(back)} bytes have come"
    elif status is None:
        happened, look = f"it is busy for ever; {len(back)} bytes have come", LOOK_BUSY
    elif len(back) == len(data):
        happened = f"as many bytes came, but others; its exit status is {status}"
    expect(status == 0 and back == data.upper(), expected=f"all {len(data)} bytes in capitals, and exit status 0",
           happened=happened, look=look)


begin()
step("give upper a word and end-of-file")
with Piped("upper") as program:
    program.feed(WORD[:1])
    child_with_channel(program, "makes the capitals", LOOK_CHILD)
    expect_capitals(program, WORD[1:], WORD)

step("give upper 8 million bytes, and read its output meanwhile")
with Piped("upper") as program:
    text = b"".join(b"%s %06d\n" % (WORD, i) for i in range(8000000 // 13))
    expect_capitals(program, text, text)

text = text[:2000000]
step(f"give upper {len(text)} bytes, leave its child little room for answers (SO_SNDBUF), and then read the output")
with Piped("upper", source=text) as program:
    child = child_with_channel(program, "makes the capitals", LOOK_CHILD)
    # Until its output is taken: much is left to do.
    wait_until(lambda: asleep(*program.processes()), by=program.processes())
    leave_little_room(child, program.pid)
    expect_capitals(program, b"", text)

step("stop the child (SIGSTOP), give upper a line, and no end-of-file yet")
with Piped("upper") as program:
    child = child_with_channel(program, "makes the capitals", LOOK_CHILD)
    stop_process(child)
    program.feed(WORD + b"\n")
    program.collect(lambda: program.out)
    expect(not program.out, expected="nothing to be printed, since the child stands still that makes the capitals",
           happened=f"{quoted(program.out)} came: the parent makes them itself", look=LOOK_CHILD)
    # Who sleeps a little again and again is seldom seen to sleep on a busy machine, but wakes up.
    expect(wakes(program.pid) < 3, expected="the parent to sleep until the child answers", happened=
           "it wakes up again and again, only to find that there is no answer", look=LOOK_TOLD)
    expect(wait_until(lambda: asleep(program.pid), 1), expected="the parent to sleep until the "
           "child answers", happened="it is busy for ever: it spins", look=LOOK_SPINS)

    step("give upper a line, stop the parent (SIGSTOP), and let the child answer")
    stop_process(program.pid)
    send_signal(child, signal.SIGCONT)
    wait_until(lambda: asleep(child))
    program.collect(lambda: program.out)
    expect(not program.out, expected="nothing to be printed, since the parent stands still that "
           "prints the answer", happened=f"{quoted(program.out)} came: the child prints itself, "
           "instead of answering through the channel", look=LOOK_CHILD)

    step("stop both (SIGSTOP), with a line on its way; let first the child and then the parent go on (SIGCONT); no "
         "end-of-file yet")
    send_signal(program.pid, signal.SIGCONT)
    program.collect(lambda: len(program.out) > len(WORD))
    wanted = WORD.upper() + b"\n"
    expect(program.out == wanted, expected=quoted(wanted),
           happened=f"{quoted(program.out) if program.out else 'nothing'} came", look=LOOK_STREAM)
    expect(wakes(program.pid, child) < 3, expected="both processes to sleep until there is more "
           "input", happened="one wakes up again and again, only to find that there is none",
           look=LOOK_TOLD)
    expect(wait_until(lambda: asleep(*program.processes()), by=program.processes()),
           expected="both processes to sleep until there is more input", happened="they are busy for ever: they spin",
           look=LOOK_SPINS)

step("give upper as much as it takes, and take no output")
with Piped("upper") as program:
    program.feed(text)
    expect(wait_until(lambda: asleep(*program.processes()), by=program.processes()),
           expected="both processes to sleep until output is taken",
           happened="they are busy for ever: they spin", look=LOOK_BUSY)
passed()
