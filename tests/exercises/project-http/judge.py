#!/usr/bin/env python3
"""judge.py [FOLDER]: builds the project in a folder (exercises/project-http), tries its milestones.

A milestone is a script N-name.py beside this one, over lesson.py and web.py; the first line of its
text says what it is worth. The folder tests/exercises/project-http of OVERLAY may have others: one
of the same name takes the place of ours, one of another name is tried, too.

Environment: BUILD, COMPILE and LDFLAGS as make has them; SEED, of which the inputs are made, and
which is printed; ONLY, a pattern of names of milestones; OVERLAY; LESSON_PATIENCE, seconds. The
status is 0 when all milestones are reached, 1 when not, 2 when something is wrong with the command.
"""
import dataclasses
import fnmatch
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "common/exercises"))
import course  # noqa: E402

NAME = HERE.name
PROGRAM = "server"
SKIPPED = 77
LONGEST = 300  # seconds for a milestone: whoever hangs is to be told


@dataclasses.dataclass
class Milestone:
    path: pathlib.Path
    points: int
    minutes: int
    title: str


@dataclasses.dataclass
class Verdict:
    milestone: Milestone
    kind: str  # "passed", "not yet", "skipped", or "broken": the test itself
    words: str

    @property
    def points(self):
        return self.milestone.points if self.kind == "passed" else 0


def milestones(only="*"):
    """In the order of their names."""
    folders = [HERE]
    if os.environ.get("OVERLAY"):
        folders.append(pathlib.Path(os.environ["OVERLAY"]).absolute() / "tests/exercises" / NAME)
    paths = {path.name: path for folder in folders for path in folder.glob("[0-9]*.py")}
    found = []
    for name, path in sorted(paths.items()):
        said = re.match(r'"""(\d+) points?, (\d+) minutes?: (.+)"""', path.read_text())
        if not said:
            raise course.Mistake(
                f'{path}: its first line is not """N points, M minutes: what it is about"""')
        if fnmatch.fnmatchcase(path.stem, only):
            found.append(Milestone(path, int(said[1]), int(said[2]), said[3]))
    if not found:
        raise course.Mistake(f"ONLY={only}: no milestone has such a name")
    return found


def build(folder, into, flags=()):
    """Compiles all .c of a folder to a server. Gives what the compiler says, and whether it did."""
    sources = sorted(map(str, pathlib.Path(folder).absolute().glob("*.c")))
    if not sources:
        raise course.Mistake(f"{folder}: there is no .c in it")
    objects = [str(course.BUILD / file) for file in course.modules()["pool"]]
    llhttp = (course.BUILD / "llhttp/flags").read_text()  # written by make project-tools
    headers = [f"-I{course.TOP / path}" for path in ["common", *course.CHAPTERS]]
    ran = subprocess.run([
        *course.words("COMPILE", "cc -std=c17 -D_GNU_SOURCE -Wall -Wextra -O2 -g"), *flags,
        *headers, *sources, *objects,
        str(course.BUILD / "common/common.a"), *llhttp.split(), *course.words("LDFLAGS"), "-lm",
        "-o",
        str(into.absolute() / PROGRAM)
    ],
                         cwd=course.TOP,
                         capture_output=True,
                         text=True,
                         check=False)
    return ran.stdout + ran.stderr, ran.returncode == 0


def attempt(milestone, programs, seed, **more):
    """Tries one milestone with the programs in a folder; `more` is for its environment."""
    reader, writer = os.pipe()
    # A milestone that is missed ends at once, and leaves its folders: here they are removed.
    scratch = tempfile.TemporaryDirectory(prefix="project-", ignore_cleanup_errors=True)
    with os.fdopen(reader, "rb") as told, scratch as folder:
        environment = {
            **os.environ, **more, "SEED": seed, "TMPDIR": folder,
            "LESSON_VERDICT": str(writer),
            "PYTHONPATH": f"{HERE}:{HERE.parent}:{HERE.parents[1]}"
        }
        try:
            ran = subprocess.run(
                [sys.executable, "-B", str(milestone.path),
                 str(programs)],
                env=environment,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                pass_fds=[writer],
                timeout=LONGEST,
                check=False)
        except subprocess.TimeoutExpired:
            return Verdict(milestone, "broken", f"the test was not over after {LONGEST} seconds\n")
        finally:
            os.close(writer)
        passed = told.read().startswith(b"passed")
    words = ran.stdout.decode(errors="replace")
    if ran.returncode == SKIPPED:
        return Verdict(milestone, "skipped", words)
    if ran.returncode == 0 and passed:
        return Verdict(milestone, "passed", "")
    if ran.returncode == 1 and words:
        return Verdict(milestone, "not yet", words.partition("\n")[2])
    return Verdict(milestone, "broken", words + ran.stderr.decode(errors="replace"))


def main():
    if len(sys.argv) > 2:
        raise course.Mistake("say one folder, or none")
    folder = pathlib.Path(sys.argv[1] if sys.argv[1:] else TOP / "exercises" / NAME)
    seed = os.environ.get("SEED") or str(random.randrange(10**6))
    chosen = milestones(os.environ.get("ONLY") or "*")
    built = course.BUILD / "exercises" / NAME
    built.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built) as programs:
        said, good = build(folder, pathlib.Path(programs))
        print(said, end="")
        if not good:
            print(f"{NAME}: does not compile")
            return 1
        # What is tried is what is left there, to be started by hand.
        os.replace(f"{programs}/{PROGRAM}", built / PROGRAM)
    verdicts = []
    for milestone in chosen:
        verdict = attempt(milestone, built, seed)
        print(f"{milestone.path.stem:<15} {verdict.kind:<8}"
              f"{verdict.points:>3} of {milestone.points:<3} {milestone.title}")
        print(verdict.words.rstrip() + "\n" if verdict.words else "", end="")
        sys.stdout.flush()
        verdicts.append(verdict)
    counted = [verdict for verdict in verdicts if verdict.kind != "skipped"]
    print(f"{NAME}: {sum(verdict.points for verdict in counted)} of "
          f"{sum(verdict.milestone.points for verdict in counted)} points; SEED={seed}")
    if any(verdict.kind == "broken" for verdict in verdicts):
        return 2
    return 0 if all(verdict.kind == "passed" for verdict in counted) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except course.Mistake as mistake:
        print(f"project: {mistake}", file=sys.stderr)
        sys.exit(2)
