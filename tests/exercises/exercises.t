#!/usr/bin/env python3
"""Every exercise: the starter fails as it says, the solution passes, also under sanitizers, wrong answers are told.

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
import trial  # noqa: E402

SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def fails(exercise, folder, says):
    outcome = trial.try_out(exercise, folder)
    expect(outcome.kind == "not yet", f"wanted: not yet\ngot: {outcome.kind}\n{outcome.words}")
    expect_in(says.read_text(), outcome.words)


def passes(exercise, flags=()):
    outcome = trial.try_out(exercise, exercise.solution, flags=flags)
    expect(outcome.passed, outcome.words)
    expect(not outcome.warnings, outcome.warnings)


def cases_of(exercise):
    yield "the starter fails as it says", lambda: fails(exercise, exercise.starter, exercise.tests / "starter-says")
    yield "the solution passes", lambda: passes(exercise)
    if any("." not in program for program in exercise.programs + exercise.drivers):
        yield "the solution passes under sanitizers", lambda: passes(exercise, SANITIZERS)
    for wrong in sorted(path for path in (exercise.tests / "wrong").glob("*") if path.is_dir()):
        yield f"wrong answer {wrong.name}", lambda wrong=wrong: fails(exercise, wrong, wrong / "says")


def main():
    tap.adopt_orphans()
    exercises = course.read_list()
    cases = [(f"{exercise.number} {name}", case) for exercise in exercises for name, case in cases_of(exercise)]
    cases *= int(os.environ.get("REPEAT") or 1)
    # Most of the time they wait: for what does not come, in those that fail.
    tap.run(cases, together=6, seconds=60 + 20 * len(cases),
            stop=trial.stop_all, proofs=[("nothing that ran still lives", tap.no_child_left)])


if __name__ == "__main__":
    main()
