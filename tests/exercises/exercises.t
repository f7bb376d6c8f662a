#!/usr/bin/env python3
"""Every exercise: the starter fails as it says, the solution passes, also under sanitizers, wrong answers are told,
and others that pass do.

REPEAT is how often each is tried (1).
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/exercises"))
import course  # noqa: E402
import patches  # noqa: E402
import trial  # noqa: E402


def fails(exercise, folder, patch):
    """What is in a folder fails, with the words in the head of a patch, and where to look."""
    outcome = trial.try_out(exercise, folder, patience=20)  # all checks at once keep a machine busy
    expect(outcome.kind == "not yet", f"wanted: not yet\ngot: {outcome.kind}\n{outcome.words}")
    expect_in(patches.fact(patch, "Says"), outcome.words)
    expect_in("Look at", outcome.words)
    fits(outcome.words)


def fits(words):
    wide = [line for line in words.splitlines() if len(line) > 80]
    expect(not wide, f"wider than 80 columns: {wide}")


def passes(exercise, folder, flags=()):
    """What is in a folder passes, and the compiler has nothing to say of it. Gives the words."""
    # Nothing of it is waited for in vain; but a leak checker takes its time on a busy machine.
    outcome = trial.try_out(exercise, folder, flags=flags, patience=60)
    expect(outcome.passed, outcome.words)
    expect(not outcome.warnings, outcome.warnings)
    fits(outcome.words)
    return outcome.words


def solution_passes(exercise, flags=()):
    words = passes(exercise, exercise.solution, flags)
    expect("Better" not in words, f"there is a remark on it: {words}")


def is_told(exercise, patch):
    """The answer that a patch makes fails, or passes, with the words in its head."""
    try:
        with patches.staged(exercise, patch) as folder:
            if patch.parent.name == "wrong":
                fails(exercise, folder, patch)
            else:
                expect_in(patches.fact(patch, "Says"), passes(exercise, folder))
    except course.Mistake as mistake:
        raise tap.Failed(str(mistake)) from None


def cases_of(exercise):
    yield "the starter fails as it says", lambda: fails(exercise, exercise.starter, exercise.tests / "starter.patch")
    yield "the solution passes", lambda: solution_passes(exercise)
    if any("." not in program for program in exercise.programs + exercise.drivers):
        yield "the solution passes under sanitizers", lambda: solution_passes(exercise, trial.SANITIZERS)
    for patch in patches.answers(exercise):
        name = f"wrong answer {patch.stem}" if patch.parent.name == "wrong" else f"{patch.stem} passes"
        yield name, lambda patch=patch: is_told(exercise, patch)


def main():
    tap.adopt_orphans()
    tap.own_network()
    exercises = course.read_list()
    cases = [(f"{exercise.number} {name}", case) for exercise in exercises for name, case in cases_of(exercise)]
    cases *= int(os.environ.get("REPEAT") or 1)
    # Most of the time they wait: for what does not come, in those that fail.
    tap.run(cases, together=8, seconds=60 + 20 * len(cases),
            stop=trial.stop_all, proofs=[("nothing that ran still lives", tap.no_child_left)])


if __name__ == "__main__":
    main()
