"""Commands that end in several ways; the numbers are others in each run."""
from lesson import *

LOOK = "how.c, main: who becomes the command, and who is left to say how it ended?"

begin()

status = random.randint(3, 99)
step(f"run a command that ends with status {status}")
how = Program("how", "sh", "-c", f"exit {status}")
expect(how.out == f"exit status {status}\n".encode(), expected=f'"exit status {status}"', look=LOOK,
       happened=f"it said {quoted(how.out)}")
expect(how.status == 0, expected="how to end with status 0", happened=f"it ended with {how.status}", look=LOOK)

number = random.choice([signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
step(f"run a command that signal {number} ends")
how = Program("how", "sh", "-c", f"kill -{number:d} $$")
expect(how.out == f"signal {number}\n".encode(), expected=f'"signal {number}"', happened=f"it said {quoted(how.out)}",
       look="how.c: which macros of waitpid(2) tell an exit from a signal?")

step("run a command that is not there, and one that ends with 127 by itself")
how = Program("how", f"/no/such/{word().decode()}")
expect((how.status, how.out) == (127, b""), expected="status 127, and nothing on stdout",
       happened=f"status {how.status}, and {quoted(how.out)}", look="how.c, the child, behind execvp")
how = Program("how", "sh", "-c", "exit 127")
expect((how.status, how.out) == (0, b"exit status 127\n"), expected='"exit status 127", and status 0',
       happened=f"status {how.status}, and {quoted(how.out)}",
       look="how.c: a status of 127 says that somebody ended with 127. Who can say that the command was not run?")
passed()
