#!/usr/bin/env python3
"""facts.py [NAME]: the experiments behind what the texts claim about the system.

With NAME, that one: what it did, and what the system answered. Without, all of them as TAP, and last that texts and
experiments agree: a page marks a claim with <!-- fact: NAME --> behind its sentence, a source with (fact: NAME).
"""
import contextlib
import io
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]
import experiment  # noqa: E402
import tap  # noqa: E402

for module in sorted(HERE.glob("*.py")):
    if module.stem not in ("experiment", "facts"):
        __import__(module.stem)

MARK = re.compile(r"\bfact: \**([a-z][\w-]+-[\w-]+)")


def marked():
    """The names in the texts, each with where it stands."""
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md", "*.c", "*.h"], cwd=ROOT,
                           stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]
    return {name: path for path in files
            for name in MARK.findall(re.sub(r"\n \* ", " ", (ROOT / path).read_text()))}


def trial(function):
    """For tap.run: None, or why it was not tried."""
    steps = io.StringIO()
    try:
        with contextlib.redirect_stdout(steps):
            function()
    except experiment.CannotTry as reason:
        return str(reason)
    except experiment.Refuted as refutation:
        raise tap.Failed(f"{refutation}\n{steps.getvalue()}") from None
    return None


def texts_and_experiments_agree():
    there = marked()
    without = [f"{path}: {name}" for name, path in there.items() if name not in experiment.FACTS]
    tap.expect(not without, "marked, without an experiment: " + ", ".join(without))
    unused = [name for name in experiment.FACTS if name not in there]
    tap.expect(not unused, "experiments of which no text speaks: " + ", ".join(unused))


def show(name):
    if name not in experiment.FACTS:
        sys.exit(f"facts.py: there is no fact \"{name}\"; there are:\n  " + "\n  ".join(experiment.FACTS))
    claim, function = experiment.FACTS[name]
    print(claim)
    try:
        function()
    except experiment.CannotTry as reason:
        print(f"  cannot be tried here: {reason}")
    except experiment.Refuted as refutation:
        sys.exit(f"REFUTED: {refutation}")
    else:
        print("  so it is")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        show(sys.argv[1])
    else:
        tap.run([], last=[(name, lambda function=function: trial(function)) for name, (_, function) in experiment.FACTS.items()],
                proofs=[("texts_and_experiments_agree", texts_and_experiments_agree)])
