#!/usr/bin/env python3
"""facts.py [NAME]: the experiments behind what the texts claim about the system.
facts.py --page: renews chapters/facts.md, which lists them

With NAME, that one: what it did, and what the system answered. Without, all of them as TAP, each of
their checks turned round once; and last that texts and experiments agree: a page marks a claim with
<!-- fact: NAME --> behind its sentence, a source with (fact: NAME). And no claim may lack both an
experiment and a source: see claims.py.
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
import claims  # noqa: E402
import experiment  # noqa: E402
import tap  # noqa: E402

for module in sorted(HERE.glob("*.py")):
    if module.stem not in ("claims", "experiment", "facts"):
        __import__(module.stem)

MARK = re.compile(r"\bfact: \**([a-z][\w-]+-[\w-]+)")


def marked():
    """The names in the texts, each with where it stands."""
    kinds = ["*.md", ":!*.??.md", "*.c", "*.h"]  # README.ko.md claims what README.md does
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *kinds], cwd=ROOT,
                           stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]
    files.sort(key=lambda path: "/exam/" in path)  # an answer of an exam is the last place to be sent to
    return {name: path for path in reversed(files) if ROOT / path != PAGE
            for name in MARK.findall(re.sub(r"\n \* ", " ", (ROOT / path).read_text()))}


def tried(function, turned=0):
    """What refutes it, if anything, with this check turned round; its steps; how many checks."""
    experiment.checks, experiment.turned = 0, turned
    refuted, steps = None, io.StringIO()
    try:
        with contextlib.redirect_stdout(steps):
            function()
    except experiment.Refuted as refutation:
        refuted = refutation.with_traceback(None)  # it would keep open what the experiment has
    finally:
        experiment.turned = 0
    return refuted, steps.getvalue(), experiment.checks


def trial(function):
    """For tap.run: None, or why it was not tried. The claim is true, and each check can fail."""
    try:
        refuted, steps, checks = tried(function)
        tap.expect(not refuted, f"{refuted}\n{steps}")
        tap.expect(checks > 0, "an experiment without a check")
        for number in range(1, checks + 1):
            refuted, steps, _ = tried(function, number)
            tap.expect(refuted, f"check {number} was turned round, and nobody noticed:\n{steps}")
    except experiment.CannotTry as reason:
        return str(reason)
    return None


def texts_and_experiments_agree():
    there = marked()
    without = [f"{path}: {name}" for name, path in there.items() if name not in experiment.FACTS]
    tap.expect(not without, "marked, without an experiment: " + ", ".join(without))
    unused = [name for name in experiment.FACTS if name not in there]
    tap.expect(not unused, "experiments of which no text speaks: " + ", ".join(unused))


def claims_are_told_from_what_is_none():
    for sentence in ("The kernel closes its descriptors.", "`recvmsg` returns 1.",
                     "As nginx does it.", "It fails with `EAGAIN`.", "`SO_REUSEPORT` is another thing.",
                     "It came in 1983.", "Since 3.9 it can."):
        tap.expect(claims.claims(sentence, bare=False), f"no claim: {sentence}")
    for sentence in ("The worker closes its descriptors.", "`read_fd` returns 1.",
                     "What `accept` returns, a child has.", "Build it with a compiler.",
                     "It holds 2000 connections."):
        tap.expect(not claims.claims(sentence, bare=False), f"a claim: {sentence}")
    for words in ("read(2)", "(fact: fin-then-reset)", "`make fact-fin-then-reset`", "RFC 9293",
                  "net/core/scm.c"):
        tap.expect(claims.shown(words), f"nothing behind a claim: {words}")
    for words in ("", "(fact: there-is-none)", "read (the call)", "common/echo.c",
                  "[text](../common/echo.c)"):
        tap.expect(not claims.shown(words), f"something behind a claim: {words}")


def claims_have_something_behind_them():
    unshown = [line for path in claims.texts() for line in claims.unshown(path)]
    tap.expect(not unshown, "neither an experiment nor a source: see claims.py\n" + "\n".join(unshown))


PAGE = ROOT / "chapters/facts.md"
HEAD = """\
# What the texts claim, tried out

<!-- made by tests/facts/facts.py --page; make texts renews it -->

Behind each of these sentences stands an experiment, some lines of Python that you can read
([`tests/facts`](../tests/facts/)) and run: `make fact-fin-then-reset` says what it did, and what your system answered.
`make facts` tries all of them, in some seconds, and each once more with every single check turned round: none may hold then.
"""


def page():
    """The list as a page of the course, by module."""
    there = marked()
    lines = [HEAD]
    for module in sorted({function.__module__ for _, function in experiment.FACTS.values()}):
        lines.append(f"## {sys.modules[module].__doc__.rstrip('.')}\n")
        for name, (claim, function) in experiment.FACTS.items():
            if function.__module__ == module:
                where = f" ([where it stands](../{there[name]}))" if name in there else ""
                lines.append(f"- `{name}`: {claim}{where}")
        lines.append("")
    return "\n".join(lines)


def the_page_lists_them():
    tap.expect(PAGE.read_text() == page(), "chapters/facts.md is old: make texts renews it")


def show(name):
    if name not in experiment.FACTS:
        sys.exit(f"facts.py: there is no fact \"{name}\"; there are:\n  " + "\n  ".join(experiment.FACTS))
    claim, function = experiment.FACTS[name]
    print(experiment.terminal.wrapped(claim))
    try:
        function()
    except experiment.CannotTry as reason:
        print(experiment.terminal.wrapped(f"cannot be tried here: {reason}", "  ", "    "))
    except experiment.Refuted as refutation:
        sys.exit(f"REFUTED: {refutation}")
    else:
        print("  so it is")


if __name__ == "__main__":
    if sys.argv[1:] == ["--page"]:
        if not PAGE.is_file() or PAGE.read_text() != page():
            PAGE.write_text(page())
            print("renewed chapters/facts.md")
    elif len(sys.argv) > 1:
        show(sys.argv[1])
    else:
        tap.run([], last=[(name, lambda function=function: trial(function))
                          for name, (_, function) in experiment.FACTS.items()],
                proofs=[(proof.__name__, proof) for proof in
                        (texts_and_experiments_agree, claims_are_told_from_what_is_none,
                         claims_have_something_behind_them, the_page_lists_them)])
