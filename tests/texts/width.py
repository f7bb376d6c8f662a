#!/usr/bin/env python3
"""Runs the targets of make that the front README names, on terminals of 80 and of 120 columns: no
line that they print is wider, so that the terminal wraps none.

As little as possible is measured (TEST_HASTE), and of `make test` only some tests are run, those
with the longest names. All of it works on a copy of what is built, where the results stay, too.
"""
import contextlib
import io
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import screen  # noqa: E402
import tap  # noqa: E402

WIDTHS = 80, 120
COPY = tap.BUILD / "check/width"
LONGEST = 3  # tests
# Not here: placeholders, `make check`, of which this is a part, what is made and prints no more than where it is, what is for a chapter's folder, and
# what takes something away.
ELSEWHERE = re.compile(r".*NN.*|check|build|book|time|trace|clean|reset-.*")
LATER = ["report"]  # what shows what the others have measured
NOT_PASSED_ON = dict.fromkeys(["MAKEFLAGS", "MAKELEVEL", "BUILD", "MINE", "TEST_ONLY"])


def targets(text):
    """What the text names: `make compare`, or in a row `make cost`, `growth`, or as a command."""
    found = re.findall(r"^\$ make ([\w-]+)$", text, re.M)
    for more in re.findall(r"`make (?:[\w-]+`(?:, `[\w-]+`)*)", text):
        found += re.findall(r"[\w-]+", more.removeprefix("`make "))
    found = [target for target in dict.fromkeys(found) if not ELSEWHERE.fullmatch(target)]
    return sorted(found, key=LATER.count)


def longest(names):
    return sorted(map(str, names), key=len)[-LONGEST:]


def some_tests():
    built = COPY / "tests"
    programs = [path for folder in ("common", "chapters") for path in (built / folder).rglob("*")
                if path.is_file() and not path.suffix]
    scripts = [path.relative_to(tap.ROOT) for folder in ("common", "chapters")
               for path in (tap.ROOT / "tests" / folder).glob("*/*.py")]
    return [f"unit_tests={' '.join(longest(os.path.relpath(path, tap.ROOT) for path in programs))}",
            f"script_tests={' '.join(longest(scripts))}", "source_tests=", "server_tests=",
            "exercise_tests="]


def looks(target, columns):
    def test():
        copy = os.path.relpath(COPY, tap.ROOT)
        command = ["make", f"BUILD={copy}", f"MINE={copy}/mine", target]
        command += some_tests() if target == "test" else []
        command += ["SECONDS=2"] if target.startswith("live-") else []  # it would go on until "q"
        command += ["ONLY=[2-6]-*"] if target == "project" else []  # those that wait for little
        # An exercise that is still as at the beginning fails; DEPS: nothing is installed here.
        may_fail = target.startswith(("exercise-", "project"))
        status, seen = screen.run(command, columns, TEST_HASTE="1", DEPS="ask", **NOT_PASSED_ON)
        printed = "\n".join(seen.lines)
        tap.expect(status == 0 or may_fail, f"status {status}\n{printed}")
        tap.expect(sum(map(bool, seen.lines)) > 1, f"it printed next to nothing: {printed}")
        tap.expect(not seen.wrapped, "\n".join(["wider than the terminal:", *seen.wrapped]))
    return f"{columns} columns: make {target}", test


def lacks(columns):
    def test():
        command = ["common/setup.sh", "--alone", *[f"no-such-tool-{number}" for number in range(20)]]
        status, seen = screen.run(command, columns, DEPS="ask")
        printed = "\n".join(seen.lines)
        tap.expect(status == 1 and len(seen.lines) > 5, f"status {status}\n{printed}")
        tap.expect(not seen.wrapped, "\n".join(["wider than the terminal:", *seen.wrapped]))
    return f"{columns} columns: a tool that is missing", test


def why_a_test_is_skipped():
    """Each reason that a test may give fits the terminal, too, however long."""
    for name, reason in ("short", "no IPv6"), ("long", "this kernel does not let us " * 9):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            tap.say(1, name, f"skip: {reason}")
        lines = printed.getvalue().splitlines()
        tap.expect(lines[0].startswith(f"ok 1 - {name} # SKIP"), lines[0])
        tap.expect(max(map(len, lines)) <= min(WIDTHS), printed.getvalue())
        tap.expect_in(" ".join(reason.split()), printed.getvalue().replace("\n#", " "))


def main():
    os.chdir(tap.ROOT)
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    for folder in ("common", "chapters", "tests"):
        shutil.copytree(tap.BUILD / folder, COPY / folder, symlinks=True)
    shutil.copy2(tap.BUILD / "servers.tsv", COPY)
    names = targets((tap.ROOT / "README.md").read_text())
    tap.expect(len(names) > 10, f"the README names only {names}")
    tests = [looks(target, columns) for columns in WIDTHS for target in names]
    tests += [lacks(columns) for columns in WIDTHS]
    tests.append(("why a test is skipped", why_a_test_is_skipped))
    tap.run([], seconds=1800, last=tests)


main()
