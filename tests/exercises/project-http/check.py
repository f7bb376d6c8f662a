#!/usr/bin/env python3
"""The project: the starter reaches no milestone, the solution all of them, also under sanitizers,
and of wrong projects is said what is wrong.

A wrong project is a patch of the solution, with a head that names the milestone and what must be
said there.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402

sys.path.insert(0, str(HERE))
import judge  # noqa: E402

SANITIZERS = [
    "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer"
]
SOLUTION = judge.TOP / "solutions" / judge.NAME
STARTER = judge.TOP / "exercises" / judge.NAME
SEED = os.environ.get("SEED") or str(judge.random.randrange(10**6))


def built(folder, into, flags=()):
    into.mkdir()
    said, good = judge.build(folder, into, flags)
    expect(good and not said, f"wanted: it compiles, without a word of the compiler\ngot: {said}")
    return into


def fits(words):
    wide = [line for line in words.splitlines() if len(line) > tap.COLUMNS]
    expect(not wide, f"wider than {tap.COLUMNS} columns: {wide}")


def reaches(milestone, programs):
    # Nothing of it is waited for in vain.
    verdict = judge.attempt(milestone, programs, SEED, LESSON_PATIENCE="60")
    if verdict.kind == "skipped":
        return verdict.words
    expect(verdict.kind == "passed", f"SEED={SEED}\n{verdict.kind}: {verdict.words}")
    return None


def misses(milestone, programs, says=""):
    """Without a look at what the browser says, where there is none."""
    verdict = judge.attempt(milestone, programs, SEED, LESSON_PATIENCE="20")
    if verdict.kind == "skipped":
        return verdict.words
    expect(verdict.kind == "not yet",
           f"SEED={SEED}\nwanted: not yet\ngot: {verdict.kind}: {verdict.words}")
    expect_in(says, verdict.words)
    expect_in("Look at", verdict.words)
    fits(verdict.words)
    return None


def is_told(patch, milestones, top):
    """A wrong project hears, at its milestone, what is wrong with it."""
    head = dict(re.findall(r"^(Milestone|Says): (.+)$", patch.read_text(), re.M))
    milestone = next((one for one in milestones if one.path.stem == head.get("Milestone")), None)
    expect(milestone and head.get("Says"),
           "its head has no line \"Milestone: N-name\", or no \"Says: WORDS\"")
    source = top / f"{patch.stem}.source"
    shutil.copytree(SOLUTION, source)
    ran = subprocess.run(["git", "apply", str(patch)],
                         cwd=source,
                         capture_output=True,
                         text=True,
                         check=False)
    expect(ran.returncode == 0, f"the patch is not of the solution any more: {ran.stderr}")
    return misses(milestone, built(source, top / patch.stem), head["Says"])


OF_THE_OVERLAY = '''"""7 points, 1 minute: what only the teacher knows"""
from web import *

begin()
step("start the server")
with site() as (folder, server):
    expect_served(server, folder)
passed()
'''


def an_overlay_counts(top):
    """A milestone of an overlay is tried, and one of the same name takes the place of ours."""
    rooms = top / "overlay/tests/exercises" / judge.NAME
    rooms.mkdir(parents=True)
    for name in ("2-head.py", "99-hidden.py"):
        (rooms / name).write_text(OF_THE_OVERLAY)
    kept = top / "kept"
    (kept / "common").mkdir(parents=True)
    for name in ("common/common.a", "llhttp", "chapters"):
        (kept / name).symlink_to(judge.course.BUILD / name)
    environment = {**os.environ, "OVERLAY": str(top / "overlay"), "BUILD": str(kept), "SEED": SEED}
    for only, points in (("2-*", 7), ("9*", 12), ("99-*", 7)):
        ran = subprocess.run([str(HERE / "judge.py"), str(SOLUTION)],
                             env={
                                 **environment, "ONLY": only
                             },
                             capture_output=True,
                             text=True,
                             check=False)
        if "skipped" in ran.stdout:
            points -= 5
        expect(ran.returncode == 0,
               f"ONLY={only}: status {ran.returncode}\n{ran.stdout}{ran.stderr}")
        expect_in(f"{judge.NAME}: {points} of {points} points; SEED={SEED}", ran.stdout)
        fits(ran.stdout)


def the_page_says_what_counts(milestones):
    """The table of the project's page has the milestones, their points and minutes."""
    text = (STARTER / "README.md").read_text()
    said = re.findall(r"^\| `(.+?)` \| (\d+) \| (\d+) \|", text, re.M)
    tap.equal(said, [(one.path.stem, str(one.points), str(one.minutes)) for one in milestones])
    tap.equal(sum(one.points for one in milestones), 100)


def main():
    tap.adopt_orphans()
    milestones = judge.milestones()
    # Not below the repository, whose files git would look for there.
    with tempfile.TemporaryDirectory(prefix="project-check-") as folder:
        top = pathlib.Path(folder)
        starter = built(STARTER, top / "starter")
        solution, sound = built(SOLUTION, top / "solution"), built(SOLUTION, top / "sound",
                                                                   SANITIZERS)
        cases = [(f"{one.path.stem}: {what}",
                  lambda one=one, programs=programs, does=does: does(one, programs))
                 for one in milestones
                 for what, programs, does in (("the starter misses it", starter, misses),
                                              ("the solution reaches it", solution, reaches),
                                              ("the solution reaches it under sanitizers", sound,
                                               reaches))]
        cases += [(f"wrong project {patch.stem}",
                   lambda patch=patch: is_told(patch, milestones, top))
                  for patch in sorted((HERE / "wrong").glob("*.patch"))]
        cases += [("the milestones of an overlay count", lambda: an_overlay_counts(top)),
                  ("the page says what counts", lambda: the_page_says_what_counts(milestones))]
        tap.run(cases, seconds=900, proofs=[("nothing that ran still lives", tap.no_child_left)])


if __name__ == "__main__":
    main()
