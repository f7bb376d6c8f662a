"""Runs that are compared are done in turn, A B A B ..., round by round."""
import sys
import time

import program


class Progress:
    """A bar with the time left, on a terminal; else nothing."""

    def __init__(self, steps):
        self.steps, self.done, self.begin = steps, 0, time.monotonic()
        self.shown = sys.stderr.isatty()

    def step(self, what):
        """Says what comes next. The first call begins step 1."""
        if program.stopped:  # the exception was lost, in a destructor for example
            raise KeyboardInterrupt
        if self.shown:
            part = self.done / self.steps
            passed = time.monotonic() - self.begin
            left = f"{passed / part - passed:4.0f} s left" if self.done else ""
            bar = "#" * int(30 * part)
            print(f"\r\033[K[{bar:.<30}] {left}  {what}", end="", file=sys.stderr, flush=True)
        self.done += 1

    def end(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def in_turn(rounds, runs):
    """Does the runs in turn, for so many rounds, so that what is compared was measured side by side.

    A run is what it is called, and a function that gives a dictionary. Gives all values by key, as
    lists in the order of the rounds.
    """
    values = {}
    progress = Progress(rounds * len(runs))
    for number in range(1, rounds + 1):
        for what, function in runs:
            progress.step(f"round {number} of {rounds}: {what}")
            for key, value in function().items():
                values.setdefault(key, []).append(value)
    progress.end()
    return values
