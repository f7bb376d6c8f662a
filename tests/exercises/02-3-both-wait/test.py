"""An input of any length must come back in capitals, and while it still goes on."""
from lesson import *

LOOK = "upper.c, ask: what does each of the two wait for, once the channel is full both ways?"
LOOK_STREAM = "upper.c: the input may have no end. Who waits for its end before answering?"
LOOK_BUSY = "upper.c, ask: while the channel takes nothing, what else is there to do? And what tells when it takes " \
            "more? poll(2)"


def expect_capitals(program, data):
    """Gives the program all of `data`, and expects that it ends, with just this in capitals."""
    status = program.finish(data)
    back = bytes(program.out)
    look = LOOK
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
step("give upper 'hello' and end-of-file")
with Piped("upper") as program:
    expect_capitals(program, b"hello")

step("give upper 8 million bytes, and read its output meanwhile")
with Piped("upper") as program:
    expect_capitals(program, b"".join(b"line %06d\n" % i for i in range(8000000 // 12)))

step("give upper 'hello', and no end-of-file yet")
with Piped("upper") as program:
    program.feed(b"hello\n")
    program.collect(lambda: len(program.out) >= 6)
    expect(program.out == b"HELLO\n", expected=quoted(b"HELLO\n"),
           happened=f"{quoted(program.out) if program.out else 'nothing'} came", look=LOOK_STREAM)
    expect(wait_until(lambda: asleep(*program.processes())),
           expected="both processes to sleep until there is more input", happened="they are busy for ever: they spin",
           look="upper.c: is it told to wait for what is always there? A channel with room is ready for POLLOUT")
passed()
