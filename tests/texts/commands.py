#!/usr/bin/env python3
"""Runs the commands that a text shows, and compares what they print with what it shows.

commands.py FILE.md ...

A command stands in a block fenced as ```console, behind "$ ", from the top of the repository. What
is shown below it must come, in this order; every number may be another one, and a line may go on in
the next, where the terminal is too narrow for it; a line "..." stands for any lines, "..." in a
line for any characters. What is not shown is not compared: a text may show no output at all. A
command must end with status 0, or with the one that "[status 1]" shows as the last line.

Each text has terminals of its own, with a shell in each. ```console is the first;
```console NAME opens one by that name. There a command may go on: once what is shown has come, the
next block follows. A line "^C" presses Ctrl-C there. All of it runs in a network namespace, where
that may be made, so that the ports of the texts are free. Short sleeps are longer (patient.bash). Prints TAP.

Some commands take a minute and stand in several texts. Where TEST_PRINTED names a folder, such a
command runs once: what it printed is kept there, and the other texts are compared with that. What
the front page shows measures two rounds in full, and the others as little as can be (TEST_HASTE).
"""
import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import tap  # noqa: E402

WIDTH = 80  # of the terminals
PATIENCE = tap.time_from("TEST_PATIENCE", 600)
BLOCK = re.compile(r"^```console(?: (\w+))?\n(.*?)^```$", re.M | re.S)
LONG = re.compile(r"make (test|chapter-\d+)")  # a second time would do and print the same
PRINTED = os.environ.get("TEST_PRINTED")
PROMPT = "\x1eprompt"  # with the status behind it: no program prints this


class Differs(Exception):
    """What came is not what the text shows."""


class Terminal:
    """A shell on a pseudo-terminal."""

    all = []  # the open ones: while one is waited for, the others are read, too, or their programs would block

    def __init__(self, haste):
        self.seen = ""
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            os.chdir(ROOT)
            for number in signal.SIGPIPE, signal.SIGINT:  # Python ignores the first, a shell's background job
                signal.signal(number, signal.SIG_DFL)  # the second; so would bash, and all that it starts
            environment = os.environ | {"PS1": PROMPT + " $?\n", "PS2": "", "TERM": "dumb",
                                        "LC_ALL": "C.UTF-8", "COLUMNS": str(WIDTH)}
            environment |= {"TEST_HASTE": "1" if haste else "rounds"}
            environment.pop("PROMPT_COMMAND", None)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
        os.set_inheritable(self.fd, False)  # the next terminal's shell would hold this one open
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
        attributes = termios.tcgetattr(self.fd)
        attributes[1] &= ~termios.OPOST  # lines end with a newline alone
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)
        self.status = None
        Terminal.all.append(self)
        self.wait(lambda text: self.at_prompt())
        self.type(". tests/texts/patient.bash\n")
        self.wait(lambda text: self.at_prompt())

    def at_prompt(self):
        """Whether the shell waits for the next command; behind the prompt may stand what a job writes."""
        found = re.search(PROMPT + r" (\d+)\r?\n", self.seen)  # \r: the first may come before OPOST is off
        self.status = int(found[1]) if found else None
        return found is not None

    def output(self):
        """What has come since the last command was typed, without the prompt."""
        text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.seen.split(PROMPT)[0]).replace("\r\n", "\n")
        return re.sub(r"[^\n]*\r", "", text)  # a progress bar is written over

    def wait(self, ready):
        end = time.monotonic() + PATIENCE
        while not ready(self):
            left = end - time.monotonic()
            if left <= 0:
                raise Differs(f"after {PATIENCE:.0f} seconds")
            by_fd = {terminal.fd: terminal for terminal in Terminal.all}
            for fd in select.select(list(by_fd), [], [], left)[0]:
                try:
                    by_fd[fd].seen += os.read(fd, 65536).decode(errors="replace")
                except OSError:
                    raise Differs("the shell has ended") from None

    def type(self, text):
        self.seen, self.status = "", None
        os.write(self.fd, text.encode())

    def close(self):
        """Hangs up: the kernel sends SIGHUP to the shell and what runs there, and the shell to its jobs."""
        Terminal.all.remove(self)
        os.close(self.fd)
        end = time.monotonic() + 10
        while os.waitpid(self.shell, os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                os.kill(self.shell, signal.SIGKILL)
            time.sleep(0.01)


def pattern(shown):
    """The regular expression for what a text shows."""
    parts = []
    for line in shown:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            line = re.escape(line.rstrip()).replace(re.escape("..."), ".*?")
            line = re.sub(r"(?:\\ )+(?=\d)", r" +", line)  # numbers stand in columns
            line = re.sub(r"(?<=[^ ])(?:\\ | \+)", r"(?: +|\\n +)", line)  # lines may be wrapped
            parts.append(re.sub(r"\d+", r"\\d+", line) + r"[ \t]*\n")
    return re.compile("(?m)^" + "".join(parts))


def steps(block):
    """The commands of a block, each with the lines that are shown below it."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ ") or line == "^C":
            found.append((line.removeprefix("$ "), []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (found[-1][0] + "\n" + line.removeprefix("> "), [])
        elif found:
            found[-1][1].append(line)
    return found


def run(terminal, command, shown, goes_on):
    """Types a command and waits for what the text shows, and for the prompt if it does not go on."""
    expected_status = 0
    if shown and (told := re.fullmatch(r"\[status (\d+)\]", shown[-1])):
        expected_status, shown = int(told[1]), shown[:-1]
    wanted = pattern(shown)
    if command == "^C":
        terminal.type("\x03")
        terminal.wait(lambda t: t.at_prompt() and wanted.search(t.output()))
        return
    terminal.type(command + "\n")
    terminal.wait(lambda t: t.at_prompt() or (goes_on and shown and wanted.search(t.output())))
    if terminal.status is None:
        return
    if not wanted.search(terminal.output()):
        raise Differs("it prints")
    if terminal.status != expected_status:
        raise Differs(f"status {terminal.status}, not {expected_status}")


def run_once(terminal, command, shown):
    """The same for a command that may have run for another text. Returns whether it has."""
    kept = pathlib.Path(PRINTED, command)
    with open(f"{kept}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # it may be running for another text just now
        if not kept.exists():
            run(terminal, command, shown, goes_on=False)
            kept.write_text(terminal.output())
            return False
    terminal.seen = kept.read_text()
    if not pattern(shown).search(terminal.seen):
        raise Differs("it prints")
    return True


def run_text(path, number):
    terminals, failed = {}, 0
    try:
        for block in BLOCK.finditer(path.read_text()):
            name = block[1] or ""
            if name not in terminals:
                terminals[name] = Terminal(haste=path != ROOT / "README.md")
            for command, shown in steps(block[2]):
                number += 1
                test = f"{number} - {path.relative_to(ROOT)}: {command.splitlines()[0]}"
                try:
                    if PRINTED and LONG.fullmatch(command):
                        test += ", as it printed before" if run_once(terminals[name], command, shown) else ""
                    else:
                        run(terminals[name], command, shown, goes_on=name != "")
                    print("ok", test, flush=True)
                except Differs as reason:
                    failed += 1
                    print("not ok", test, flush=True)
                    came = terminals[name].output()
                    for line in [f"differs: {test}: {reason}: {came[:150]!r}", "shown:", *shown, "came:", *came.splitlines()]:
                        print("#", line, file=sys.stderr, flush=True)
                    if terminals[name].status is None:  # it hangs: the rest would hang behind it
                        return number, failed
    finally:
        for terminal in terminals.values():
            terminal.close()
    return number, failed


def main():
    tap.own_network()
    with contextlib.suppress(OSError):  # ps shows which processes are nice; in the texts none is
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    number = failed = 0
    texts = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    for path in texts:
        number, more = run_text(path, number)
        failed += more
    print(f"1..{number}" if number > 0 else "1..0 # SKIP shows no command")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
