"""Runs that are compared are done in turn, A B A B ..., round by round."""
import os
import sys
import time

import program
import terminal

EVERY = 30  # seconds between two lines where there is no terminal
# For tests of what is printed, and not of what is measured: "1", of everything as little as can be; "rounds", all in
# full, but in two rounds, the least that have a range.
HASTE = os.environ.get("TEST_HASTE") == "1"
TWO_ROUNDS = os.environ.get("TEST_HASTE") == "rounds"


def few(rounds):
    """So many, or one in haste."""
    return 1 if HASTE else min(rounds, 2) if TWO_ROUNDS else rounds


class Progress:
    """How far it is: on a terminal a bar with the time left, else a line now and then."""

    def __init__(self, steps):
        self.steps, self.done, self.begin = steps, 0, time.monotonic()
        self.live = sys.stderr.isatty()
        self.said = self.begin

    def step(self, what):
        """Says what comes next. The first call begins step 1."""
        program.go_on()
        now = time.monotonic()
        part = self.done / self.steps
        left = f"{(now - self.begin) * (1 / part - 1):4.0f} s left" if self.done else ""
        if self.live:
            # The last column stays free: many terminals begin a new line when it is taken.
            room = terminal.width() - 1
            length = max(min(30, room - len(f"[] {left}  {what}")), 10)
            bar = "#" * int(length * part)
            line = f"[{bar:.<{length}}] {left}  {what}"[:room]
            # What others say meanwhile begins at the left, and not behind the bar.
            print(f"\r\033[K{line}\r", end="", file=sys.stderr, flush=True)
        elif now - self.said >= EVERY:
            print(f"step {self.done + 1} of {self.steps}, about {left.strip()}: {what}",
                  file=sys.stderr, flush=True)
            self.said = now
        self.done += 1

    def end(self):
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def in_turn(rounds, runs, seconds=None):
    """Does the runs in turn, for so many rounds, so that what is compared was measured side by
    side.

    A run is what it is called, and a function that gives a dictionary. Gives all values by key, as
    lists in the order of the rounds. With SECONDS there are fewer rounds, but one at least, where
    the next one would not end in this time if it takes as long as those before.
    """
    rounds = few(rounds)
    values = {}
    progress = Progress(rounds * len(runs))
    begin = time.monotonic()
    for number in range(1, rounds + 1):
        if seconds and number > 1 and (time.monotonic() - begin) * number > seconds * (number - 1):
            break
        for what, function in runs:
            progress.step(f"round {number} of {rounds}: {what}")
            for key, value in function().items():
                values.setdefault(key, []).append(value)
    progress.end()
    return values
