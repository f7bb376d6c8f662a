#!/usr/bin/env python3
"""What a teacher installs: the zip for Gradescope, its two scripts, and the script for GitHub Actions, run as they are.

For time's sake the zip has only the first two exercises in its list.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402
from small import gives_namespaces  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/exercises"))
import course  # noqa: E402

HERE = course.TOP / "common/exercises/autograder"
EXERCISES = course.read_list()[:2]
POINTS = sum(exercise.points for exercise in EXERCISES)


class Machine:
    """A folder in the shape of Gradescope's /autograder, with the zip unpacked."""

    def __init__(self, folder):
        self.top = pathlib.Path(folder)
        self.top.chmod(0o755)
        archive = self.top / "autograder.zip"
        run([HERE / "pack.py", archive, *(exercise.number for exercise in EXERCISES)])
        with zipfile.ZipFile(archive) as pack:
            for entry in pack.infolist():
                path = pathlib.Path(pack.extract(entry, self.top / "source"))
                path.chmod(entry.external_attr >> 16)
        shutil.copy(self.top / "source/run_autograder", self.top / "run_autograder")
        run(["sh", self.top / "source/setup.sh"], self.environment())

    def environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LESSON_PATIENCE", "TMPDIR")
                if name in os.environ}
        return {**kept, "AUTOGRADER": str(self.top), "UNISOLATED": "" if gives_namespaces()
                else "1"}

    def grade(self, fill):
        """Runs run_autograder on a submission that `fill` makes in a folder. Gives the results."""
        for name in "submission", "results":
            shutil.rmtree(self.top / name, ignore_errors=True)
        (self.top / "submission").mkdir()
        (self.top / "submission_metadata.json").write_text("{}")
        fill(self.top / "submission")
        said = run([self.top / "run_autograder"], self.environment(), cwd=self.top)
        results = json.loads((self.top / "results/results.json").read_text())
        expect(len(results["tests"]) == len(EXERCISES), f"{len(results['tests'])} tests")
        for test in results["tests"]:
            expect(test["score"] == (test["max_score"] if test["status"] == "passed" else 0), f"{test}")
        return [test["status"] for test in results["tests"]], results, said


def run(words, environment=None, cwd=None, status=0):
    ran = subprocess.run([str(word) for word in words], env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    expect(ran.returncode == status, f"{words[0]}: status {ran.returncode} instead of {status}: {ran.stdout}")
    return ran.stdout


def copy_of(*folders):
    """Fills a submission with these folders of exercises."""
    def fill(target):
        for folder in folders:
            shutil.copytree(folder, target / folder.name)
    return fill


STARTERS = [exercise.starter for exercise in EXERCISES]
SOLUTIONS = [exercise.solution for exercise in EXERCISES]


def main():
    tap.adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="autograder-") as folder:
        machine = Machine(folder)

        def the_zip_has_what_is_needed_and_no_solution():
            with zipfile.ZipFile(machine.top / "autograder.zip") as pack:
                names = pack.namelist()
            expect("setup.sh" in names and "run_autograder" in names, "the two scripts are not at the top")
            expect(os.access(machine.top / "source/run_autograder", os.X_OK), "run_autograder cannot be executed")
            expect(not [name for name in names if "solutions" in name or "wrong" in name or "nasty" in name or
                        name.endswith(".patch")], names)
            again = run([HERE / "pack.py", machine.top / "again.zip", *(exercise.number for exercise in EXERCISES)])
            expect_in(f"{len(EXERCISES)} exercises, {POINTS} points", again)
            expect((machine.top / "again.zip").read_bytes() == (machine.top / "autograder.zip").read_bytes(),
                   "the same files give another zip")
            expect_in('pack.py: there is no exercise "09-9"', run([HERE / "pack.py", machine.top / "no", "09-9"], status=1))

        def all_starters():
            statuses, results, _ = machine.grade(copy_of(*STARTERS))
            expect(statuses == ["failed"] * len(EXERCISES), f"{statuses}")
            expect_in("not yet", results["tests"][0]["output"])

        def all_solutions():
            statuses, results, said = machine.grade(copy_of(*SOLUTIONS))
            expect(statuses == ["passed"] * len(EXERCISES), f"{results}")
            expect_in(f"Points {POINTS} of {POINTS}", said)

        def some_of_each_inside_a_folder():
            def fill(target):
                copy_of(*SOLUTIONS[:1], *STARTERS[1:])(target / "my-work/exercises")
            statuses, results, _ = machine.grade(fill)
            expect(statuses == ["passed", "failed"][:len(EXERCISES)], f"{results}")

        def one_that_does_not_compile():
            def fill(target):
                copy_of(*SOLUTIONS)(target)
                for path in course.files_of(target / EXERCISES[0].name):
                    path.write_text("#error \"this\"\n")
            statuses, results, _ = machine.grade(fill)
            expect(statuses == ["failed", "passed"][:len(EXERCISES)], f"{results}")
            expect_in("does not compile", results["tests"][0]["output"])

        def nothing_at_all():
            statuses, results, _ = machine.grade(lambda target: None)
            expect(statuses == ["failed"] * len(EXERCISES), f"{statuses}")
            expect_in("there is no exercise in it", results["output"])

        def the_learner_sees_no_metadata():
            if os.geteuid() == 0:
                machine.grade(copy_of())
                for name in "submission", "results", "submission_metadata.json":
                    expect(not (machine.top / name).stat().st_mode & 0o007, f"{name} is open to all")

        def act(fill, status):
            """Runs what the workflow runs. Gives what it printed, its summary, and what of the
            former GitHub obeys."""
            workflow = (HERE / "classroom.yml").read_text()
            shutil.rmtree(machine.top / "submission", ignore_errors=True)
            (machine.top / "submission").mkdir()
            fill(machine.top / "submission")
            summary = machine.top / "summary"
            summary.unlink(missing_ok=True)
            os.rename(machine.top / "source", machine.top / "course")
            try:
                said = run(["sh", "-c", re.search(r"run: (course/.*)", workflow)[1]],
                           {**machine.environment(), "GITHUB_STEP_SUMMARY": str(summary)},
                           machine.top, status)
                expect((machine.top / "course/build/grade/results.json").exists() or status == 2,
                       "nothing to keep")
            finally:
                os.rename(machine.top / "course", machine.top / "source")
            obeyed, word = [], ""
            for line in said.splitlines():
                if word:
                    word = "" if line.strip() == f"::{word}::" else word
                elif line.strip().startswith("::stop-commands::"):
                    word = line.strip().rpartition("::")[2]
                    expect(len(word) == 32, f"to be guessed: {line}")
                elif line.strip().startswith("::"):
                    obeyed.append(line)
            return said, summary.read_text(), "\n".join(obeyed)

        def in_github_actions():
            for folders, status, points in (SOLUTIONS, 0, POINTS), (SOLUTIONS[:1],
                                                                    len(EXERCISES) > 1,
                                                                    EXERCISES[0].points):
                _, summary, obeyed = act(copy_of(*folders), int(status))
                expect_in(f"::notice title=Autograding complete::Points {points}/{POINTS}", obeyed)
                expect_in(f"## {points} of {POINTS} points", summary)
            workflow = (HERE / "classroom.yml").read_text()
            expect(workflow.index("vars.COURSE == ''") < workflow.index("repository: ${{ vars.COURSE }}"),
                   "tests would come from who is graded")

        def in_github_a_test_that_breaks_is_an_error():
            test = machine.top / "source/tests/exercises" / EXERCISES[0].name / "test.py"
            text = test.read_text()
            for broken in "import what_is_not_there\n" + text, text.replace("begin()",
                                                                            "begin()\n1 / 0", 1):
                test.write_text(broken)
                try:
                    _, summary, obeyed = act(copy_of(*SOLUTIONS), 2)
                finally:
                    test.write_text(text)
                expect_in(f"| 0 of {EXERCISES[0].points} | error |", summary)
                expect_in(f"| {EXERCISES[1].points} of {EXERCISES[1].points} | passed |", summary)
                expect_in("::error title=Autograding::1 of the tests broke", obeyed)

        def what_is_handed_in_gives_github_no_commands():
            forged = '::notice title=Autograding report::{"totalPoints": 99, "maxPoints": 99}'

            def fill(target):
                copy_of(*STARTERS)(target)
                # A word that fills a line of the table, so that what follows begins the next one.
                text = f"#error {'x' * 72} {forged}\n"
                for exercise in EXERCISES:
                    for path in course.files_of(target / exercise.name):
                        path.write_text(text)
            said, summary, obeyed = act(fill, 1)
            expect_in(forged, said)  # but not obeyed
            expect("99" not in obeyed, obeyed)
            expect_in(f"Points 0/{POINTS}", obeyed)

        def a_grader_that_is_broken_says_so():
            (machine.top / "source/Makefile").unlink()
            (machine.top / "results/results.json").unlink(missing_ok=True)
            run([machine.top / "run_autograder"], machine.environment(), cwd=machine.top, status=1)
            results = json.loads((machine.top / "results/results.json").read_text())
            expect(results["score"] == 0, "a score")
            expect_in("no fault of yours", results["output"])

        cases = [the_zip_has_what_is_needed_and_no_solution, all_starters, all_solutions, some_of_each_inside_a_folder,
                 one_that_does_not_compile, nothing_at_all, the_learner_sees_no_metadata, in_github_actions,
                 in_github_a_test_that_breaks_is_an_error,
                 what_is_handed_in_gives_github_no_commands,
                 a_grader_that_is_broken_says_so]
        tap.run([], last=[(case.__name__.replace("_", " "), case) for case in cases], seconds=600,
                proofs=[("nothing that ran still lives", tap.no_child_left)])


if __name__ == "__main__":
    main()
