#!/usr/bin/env python3
"""The learner's and the teacher's commands, on a course of two small exercises; and the form of the real one."""
import json
import os
import pathlib
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402
from small import ME, STARTER, TEST, Course  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/exercises"))
import course  # noqa: E402
import handin  # noqa: E402
import patches  # noqa: E402
import trial  # noqa: E402


# ---- commands ------------------------------------------------------------------------------------

def the_way_of_a_learner():
    with Course() as c:
        said = c.run("list", says="Next: exercises/01-1-zero/README.md, and then make exercise-01-1")
        expect_in("0 of 2 done, 0 of 5 points.", said)
        expect_in("02-1         One", said)
        said = c.run("run", "01-1", status=1, says="Stuck? make hint-01-1")
        expect_in("01-1-zero: not yet The test run it Expected exit status 0 Happened 7 Look at main", said)
        expect((c.top / "build/exercises/01-1-zero/zero").exists(), "no program was left")
        expect_in("Hint 1 of 2: Look at what is returned.", c.run("hint", "01-1"))
        said = c.run("hint", "01-1", says="Hint 2 of 2: Return 0. That is all.")
        expect_in("Hint 1 of 2", said)
        expect_in("Hint 2 of 2", c.run("hint", "01-1"))
        c.run("solution", "01-1", status=2, says="exercise: first yours: when it passes")
        c.run("solution", "01-1", says="-    return 7; +    return 0;", FORCE="1")
        c.write("exercises/01-1-zero/zero.c", STARTER.replace("7", "1"))
        expect_in("01-1  next", c.run("list"))
        c.write("exercises/02-1-one/one.c", STARTER.replace("7", "8"))
        expect_in("02-1  begun", c.run("list"))
        c.solve("01-1-zero")
        c.run("run", "01-1", says="01-1-zero: passed Read: solutions/01-1-zero/README.md, and compare: make "
              "solution-01-1 Next: chapters/02-socketpair/README.md, and then exercises/02-1-one/README.md")
        c.run("list", says="01-1  done")
        c.run("solution", "01-1", says="Yours is ours, line for line.")
        c.solve("02-1-one")
        c.run("run", "02-1", says="Read: solutions/02-1-one/README.md, and compare: make solution-02-1 That was the "
              "last one: all are done.")
        c.run("list", says="2 of 2 done, 5 of 5 points.")
        c.write("exercises/01-1-zero/zero.c", STARTER)
        c.run("list", says="1 of 2 done, 3 of 5 points.")


def wrong_numbers_and_commands():
    with Course() as c:
        for command in "run", "hint", "watch", "reset", "solution":
            c.run(command, "09-9", status=2,
                  says='exercise: there is no exercise "09-9"; `make exercises` lists them all')
        c.run("run", "01-1", "/no/such/folder", status=2, says="exercise: /no/such/folder: no such folder")
        c.run("grade", "/no/such/folder", status=2, says="exercise: /no/such/folder: not there")
        c.run("grade", c.top / "exercises/list", says="list is no folder, and neither a zip nor a tar or tar.gz")
        c.run(status=2, says="exercise.py run NUMBER")
        c.run("nonsense", status=2, says="exercise.py run NUMBER")
        c.run("--help", says="exercise.py run NUMBER")
        shutil.rmtree(c.top / "solutions")
        c.run("solution", "01-1", status=2, says="exercise: solutions/01-1-zero: not there", FORCE="1")


def mistakes_in_the_environment():
    with Course() as c:
        (c.top / "build/file").write_text("")
        for name, value, says in (
                ("LESSON_PATIENCE", "x", "LESSON_PATIENCE=x: say how many seconds, such as LESSON_PATIENCE=10"),
                ("LESSON_PATIENCE", "-1", "LESSON_PATIENCE=-1: say how many seconds"),
                ("LESSON_PATIENCE", "inf", "LESSON_PATIENCE=inf: say how many seconds"),
                ("COMPILE", "cc '-O1", "COMPILE=cc '-O1: no closing quotation"),
                ("LDFLAGS", "'", "LDFLAGS=': no closing quotation"),
                ("BUILD", "build/file", "Not a directory")):
            said = c.run("run", "01-1", status=2, says=says, **{name: value})
            expect(said.startswith("exercise: ") and said.count("\n") == 1, f"more than a line: {said}")


def mistakes_in_what_is_compiled():
    with Course() as c:
        run = subprocess.run(["sh", "-c", 'umask 077; "$@"', "sh", *c.command("run", "02-1")], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, env=c.environment({}), check=False)
        expect_in("02-1-one: not yet", run.stdout + run.stderr)  # whatever the umask, the sandbox's user can read
        c.write("exercises/01-1-zero/zero.c", "int main(void)\n{\n    return x;\n}\n")
        said = c.run("run", "01-1", status=1, says="01-1-zero: does not compile")
        expect_in("exercises/01-1-zero/zero.c:3:", said)
        c.write("exercises/01-1-zero/zero.c", "int main(void)\n{\n    int unused;\n    return 0;\n}\n")
        said = c.run("run", "01-1", says="01-1-zero: passed")
        expect_in("exercises/01-1-zero/zero.c:3:9: warning: unused variable", said)
        line = "    return 0; /* which is wider than 80 columns, and shown as it is */ char x = argc * 2L + argc * 3L;"
        c.write("exercises/01-1-zero/zero.c", f"int main(int argc, char **argv)\n{{\n{line}\n}}\n")
        said = c.run("run", "01-1", says="01-1-zero: passed", COMPILE="cc -Wall -Wextra -Wconversion").splitlines()
        expect_in(line, "\n".join(said))
        wide = [each for each in said if len(each) > 80 and " | " not in each]
        expect(any("[-W" in each for each in said) and not wide, f"wider than 80 columns: {wide}")
        c.write("exercises/01-1-zero/zero.c", " \n")
        expect_in("make reset-01-1", c.run("run", "01-1", status=1, says="zero.c is empty"))
        (c.top / "exercises/01-1-zero/zero.c").unlink()
        expect_in("make reset-01-1", c.run("run", "01-1", status=1, says="zero.c is not there"))
        os.symlink("../../solutions/01-1-zero/zero.c", c.top / "exercises/01-1-zero/zero.c")
        c.run("run", "01-1", status=1, says="zero.c is no file")
        c.write("tests/exercises/02-1-one/test.py", "from lesson import *\nbegin()\nnonsense\n")
        c.run("run", "02-1", status=2, says="02-1-one: the test itself broke, with status 3; this is no fault of yours")
        c.write("tests/exercises/02-1-one/test.py", "from lesson import *\nbegin()\n")
        c.run("run", "02-1", status=2, says="the test itself broke, with status 0")


def reset_restores_what_was_given():
    with Course() as c:
        path = c.top / "exercises/01-1-zero/zero.c"
        c.run("reset", "01-1", says="is as it was at the beginning")
        c.write("exercises/01-1-zero/zero.c", "mine")
        c.commit("My work")  # so HEAD is no longer the starter
        c.run("reset", "01-1", status=2, says="make reset-01-1 FORCE=1")
        expect(path.read_text() == "mine", "it was replaced without a word")
        c.run("reset", "01-1", says="yours is in mine/exercises/01-1-zero/before-reset-1/", FORCE="1")
        expect(path.read_text() == STARTER, path.read_text())
        expect(c.read("mine/exercises/01-1-zero/before-reset-1/zero.c") == "mine", "not kept")
        c.write("exercises/01-1-zero/more.c", "too")
        path.unlink()
        c.run("reset", "01-1", says="before-reset-2", FORCE="1")
        expect([file.name for file in course.files_of(path.parent)] == ["zero.c"], "not as it was")


def what_is_the_learners_outlives_clean():
    with Course() as c:
        c.solve("01-1-zero")
        c.run("run", "01-1", says="01-1-zero: passed")
        c.run("hint", "02-1", says="Hint 1 of 2")
        c.write("exercises/02-1-one/one.c", "mine")
        c.run("reset", "02-1", FORCE="1")
        c.make("clean", says="clean: mine/ is left, with 1 answer kept by reset, 1 passed exercise")
        expect(not (c.top / "build").exists(), "build/ is still there")
        expect(c.read("mine/exercises/02-1-one/before-reset-1/one.c") == "mine", "not kept")
        c.run("list", says="01-1  done")
        c.run("list", says="1 of 2 done, 2 of 5 points.")
        c.run("solution", "01-1", says="Yours is ours, line for line.")
        c.run("hint", "02-1", says="Hint 2 of 2")
        status = c.git("status", "--porcelain").decode()
        expect("mine/" not in status, f"git looks at mine/: {status}")


def an_older_versions_marks_and_answers_are_taken_over():
    with Course() as c:
        c.solve("01-1-zero")
        c.run("run", "01-1")
        shutil.copytree(c.top / "mine/exercises", c.top / "build/exercises", dirs_exist_ok=True)
        shutil.rmtree(c.top / "mine")
        c.write("build/exercises/02-1-one/before-reset-1/one.c", "mine")
        said = c.run("list", says="mine/ now has what was yours in build/")
        expect_in("01-1  done", said)
        expect(c.read("mine/exercises/02-1-one/before-reset-1/one.c") == "mine", "not taken over")
        expect("now has" not in c.run("list"), "said again")
        expect((c.top / "build/exercises/01-1-zero/zero").exists(), "the program was taken away")


def a_mark_belongs_to_the_answer_that_passed():
    with Course() as c:
        c.solve("01-1-zero")
        c.run("run", "01-1", says="01-1-zero: passed")
        c.write("exercises/01-1-zero/zero.c", STARTER)  # as on another branch
        c.run("run", "01-1", status=1)
        expect_in("01-1  next", c.run("list"))
        c.run("solution", "01-1", status=2)
        c.solve("01-1-zero")
        expect_in("01-1  done", c.run("list"))
        c.write("tests/exercises/01-1-zero/test.py", TEST.format(program="zero", status=5))
        c.run("run", "01-1", status=1)  # by the test of a later version
        expect_in("01-1  next", c.run("list"))


def where_nothing_can_be_kept_it_is_said_in_a_line():
    with Course() as c:
        c.write("mine", "a file, and no folder")
        cannot = "cannot be written (Not a directory); say another folder: MINE=FOLDER"
        c.solve("01-1-zero")
        said = c.run("run", "01-1", says=f"exercise: not noted: mine/exercises/01-1-zero: {cannot}")
        expect_in("01-1-zero: passed", said)
        said = c.run("grade", says="Points 2 of 5")
        expect(said.count("exercise: not noted: ") == 1, said)
        c.run("hint", "01-1", status=2, says=f"exercise: mine/exercises/01-1-zero: {cannot}")
        c.write("exercises/01-1-zero/zero.c", "mine")
        c.run("reset", "01-1", status=2, FORCE="1",
              says=f"exercise: mine/exercises/01-1-zero/before-reset-1: {cannot}")
        expect(c.read("exercises/01-1-zero/zero.c") == "mine", "it was replaced, and not kept")
        elsewhere = {"MINE": str(c.top / "build/elsewhere")}
        c.run("reset", "01-1", FORCE="1", **elsewhere,
              says="yours is in build/elsewhere/exercises/01-1-zero/before-reset-1/")
        c.solve("01-1-zero")
        c.run("run", "01-1", **elsewhere)
        c.run("list", says="01-1  done", **elsewhere)
        expect_in("01-1  next", c.run("list"))


def a_long_wait_is_told_on_a_terminal():
    if not os.path.exists("/dev/pts/ptmx"):
        return "there are no terminals here"
    with Course() as c:
        path = c.top / "exercises/01-1-zero/zero.c"
        path.write_text("#include <unistd.h>\nint main(void)\n{\n"
                        "    for (;;)\n        pause();\n}\n")
        terminal, end = pty.openpty()
        process = subprocess.Popen(c.command("run", "01-1"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=end,
                                   env=c.environment({"LESSON_PATIENCE": "3"}))
        os.close(end)
        said, _ = process.communicate(timeout=tap.PATIENCE)
        told = os.read(terminal, 65536).decode()
        os.close(terminal)
        expect_in("after 3 seconds it still ran", said.decode())
        line = "testing 01-1-zero; what must become true has 3 seconds ...\r\x1b[K"
        expect(told == line, f"it told: {told!r}")
    return None


def a_refusal_fits_and_says_where_to_look():
    begins = "from lesson import *\nbegin()\n"
    with Course() as c:
        test = "tests/exercises/01-1-zero/test.py"
        long = "a line of words; " * 12 + "/a/path/of/" + "many/" * 30
        for happened in long, f"it said:\n{long}":
            c.write(test, f"{begins}step('go on')\nfail('less', {happened!r})\n")
            said = c.run("run", "01-1", status=1, says="Look at what it does in this step")
            expect_in(long.replace(" ", ""), said.replace(" ", "").replace("\n", ""))
            expect(max(map(len, said.splitlines())) <= 80, said)
        c.write(test, f"{begins}step('go on', 'zero.c')\nfail('less', 'more')\n")
        c.run("run", "01-1", status=1, says="Look at zero.c")


def reset_asks_on_a_terminal():
    if not os.path.exists("/dev/pts/ptmx"):
        return "there are no terminals here"
    with Course() as c:
        path = c.top / "exercises/01-1-zero/zero.c"
        for answer, then in (b"n\n", "mine"), (b"\n", "mine"), (b"y\n", STARTER):
            path.write_text("mine")
            terminal, end = pty.openpty()
            process = subprocess.Popen(c.command("reset", "01-1"), stdin=end, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, env=c.environment({}))
            os.close(end)
            os.write(terminal, answer)
            said, _ = process.communicate(timeout=tap.PATIENCE)
            os.close(terminal)
            expect_in("Replace your files in exercises/01-1-zero by the starter?", said.decode())
            expect(path.read_text() == then, f"{answer}: {said}")
    return None


def reset_says_what_to_do_without_git():
    with Course() as c:
        elsewhere = "take exercises/01-1-zero/zero.c from where you got the course"
        c.write("exercises/01-1-zero/zero.c", "mine")
        said = c.run("reset", "01-1", status=2, FORCE="1", PATH="/nonexistent")
        expect_in(f"exercise: git is not installed, which has the starter; {elsewhere}", said)
        shutil.rmtree(c.top / ".git")
        said = c.run("reset", "01-1", status=2, says=elsewhere, FORCE="1")
        expect_in("exercise: git does not have the starter", said)
        c.git("init", "-q")
        c.commit("What I have")
        c.run("reset", "01-1", status=2, says=f"git's history here does not have the starter; {elsewhere}", FORCE="1")
        expect((c.top / "exercises/01-1-zero/zero.c").read_text() == "mine", "it was replaced")


def watch_runs_at_every_save():
    with Course() as c:
        process = subprocess.Popen(c.command("watch", "01-1"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, env=c.environment({}))

        def heard(text):
            for line in process.stdout:
                if text in line:
                    return
            raise tap.Failed(f"it ended without: {text}")

        heard("01-1-zero: not yet")
        heard("Ctrl-C ends it")
        c.write("new", STARTER.replace("7", "0"))
        (c.top / "new").replace(c.top / "exercises/01-1-zero/zero.c")  # as many editors save
        heard("01-1-zero: passed")
        heard("Ctrl-C ends it")
        c.write("exercises/01-1-zero/zero.c", STARTER)
        heard("01-1-zero: not yet")
        heard("Ctrl-C ends it")
        process.send_signal(2)
        expect(process.wait(tap.PATIENCE) == 0, f"status {process.returncode}")
        expect("Traceback" not in process.stdout.read(), "it ended in a traceback")
        process.stdout.close()


def ctrl_c_ends_a_test():
    with Course() as c:
        for number in 2, 15:
            c.write("exercises/01-1-zero/zero.c",
                    '#include <unistd.h>\nint main(void)\n{\n    for (;;)\n        pause();\n}\n')
            temporary = c.top / "build/temporary"
            temporary.mkdir(exist_ok=True)
            temporary.chmod(0o755)
            process = subprocess.Popen(c.command("run", "01-1"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, env=c.environment({"TMPDIR": str(temporary)}))
            end = time.monotonic() + tap.PATIENCE
            while not list(temporary.glob("*/tests/01-1-zero/test.py")) and time.monotonic() < end:
                time.sleep(0.01)
            process.send_signal(number)
            said, _ = process.communicate(timeout=tap.PATIENCE)
            expect(process.returncode == 130, f"status {process.returncode}: {said}")
            expect(not list(temporary.iterdir()), f"left: {list(temporary.iterdir())}")


# ---- branches, and later versions of the course --------------------------------------------------

YOURS = STARTER.replace("7", "0 * 1")
NEW = STARTER.replace("7", "17")
ANSWER = "exercises/01-1-zero/zero.c"


def recipe(path, heading):
    """The commands that a text shows below a heading, a list for each block, about our exercise."""
    text = (tap.ROOT / path).read_text()
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    blocks = re.findall(r"(?:^    \S.*\n)+", section.replace("01-1-zombies", "01-1-zero"), re.M)
    return [[line.strip() for line in block.splitlines()] for block in blocks]


class Versions:
    """The course, a teacher's fork of it without solutions, and a learner's clone of the fork."""

    def __init__(self, learner):
        self.learner, self.top = learner, learner.top
        learner.git("branch", "-M", "main")
        self.course, self.fork = self.top / "build/course", self.top / "build/fork"
        for folder, source, name in ((self.course, self.top, "origin"),
                                     (self.fork, self.course, "upstream")):
            subprocess.run(["git", "clone", "-q", "--origin", name, source, folder], check=True)
        self.git(self.fork, "rm", "-rq", "solutions")
        self.git(self.fork, "commit", "-qm", "No solutions")
        learner.git("remote", "add", "origin", self.fork)
        learner.git("fetch", "-q", "origin")
        learner.git("reset", "-q", "--hard", "origin/main")
        self.begin, self.update, self.keep, self.replace, self.end = recipe(
            "exercises/README.md", "Your answers, and later versions of the course")
        learner.write(ANSWER, YOURS)
        learner.run("run", "01-1", says="01-1-zero: passed")
        self.does(self.begin)

    def git(self, folder, *arguments, status=0):
        ran = subprocess.run(["git", "-C", folder, *ME, *arguments], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        expect(ran.returncode == status,
               f"{folder.name}: git {arguments}: status {ran.returncode}: {ran.stdout}")

    def does(self, commands, status=0):
        """The learner does what the text says. The status is that of the last command."""
        for command in commands:
            if command.startswith("make"):
                words = command.split()
                name, _, number = words[1].partition("-")
                self.learner.run(name, number, **dict(word.split("=") for word in words[2:]))
                continue
            ran = subprocess.run(["sh", "-c", command.replace("git", f"git {shlex.join(ME)}", 1)],
                                 cwd=self.top, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, check=False,
                                 env=self.learner.environment({}))
            wanted = status if command == commands[-1] else 0
            expect(ran.returncode == wanted, f"{command}: status {ran.returncode}: {ran.stdout}")

    def come_out(self, starter=True):
        """The course changes a starter, another text, and a solution; the teacher takes it."""
        (self.course / "exercises/02-1-one/README.md").write_text("a better text")
        (self.course / "solutions/02-1-one/one.c").write_text(STARTER.replace("7", "+1"))
        (self.course / "solutions/02-1-one/new.c").write_text("int more;\n")
        if starter:
            (self.course / ANSWER).write_text(NEW)
            subprocess.run([self.course / "common/exercises/exercise.py", "starters"], check=True,
                           env=self.learner.environment({}), stdout=subprocess.DEVNULL)
        self.git(self.course, "add", "-A")
        self.git(self.course, "commit", "-qm", "The next version")
        (fetch, merge, commit, push), (remove,) = recipe("common/exercises/autograder/README.md",
                                                         "A course of your own")
        for command, status in (fetch, 0), (merge, 1), (remove, 0), (commit, 0):
            self.git(self.fork, *command.split()[1:], status=status)
        expect(push == "git push", push)
        expect(not (self.fork / "solutions").exists(), "solutions came along")

    def conflicts(self):
        return self.learner.git("diff", "--name-only", "--diff-filter=U").decode().split()

    def all_is_well(self):
        changed = self.learner.git("status", "--porcelain").decode()
        expect(not changed, f"not committed: {changed}")
        text = self.learner.read("exercises/02-1-one/README.md")
        expect(text == "a better text", f"not the new text: {text}")


def a_later_version_comes_to_a_branch():
    with Course() as c:
        versions = Versions(c)
        versions.come_out(starter=False)
        versions.does(versions.update)
        versions.all_is_well()
        expect(c.read(ANSWER) == YOURS, "the answer is not as it was")
        c.run("list", says="01-1  done")


def a_changed_starter_conflicts_and_the_answer_stays():
    with Course() as c:
        versions = Versions(c)
        versions.come_out()
        versions.does(versions.update, status=1)
        expect(versions.conflicts() == [ANSWER], f"{versions.conflicts()}")
        versions.does(versions.keep + versions.end)
        versions.all_is_well()
        expect(c.read(ANSWER) == YOURS, "the answer is not as it was")
        c.run("list", says="01-1  done")
        c.run("run", "01-1", says="01-1-zero: passed")
        c.git("remote", "remove", "origin")  # as if it had been merged from an address
        versions.does(versions.replace)  # later, too
        expect(c.read(ANSWER) == NEW, f"not the new starter: {c.read(ANSWER)}")


def a_changed_starter_conflicts_and_takes_the_place_of_the_answer():
    for merge in True, False:
        with Course() as c:
            versions = Versions(c)
            versions.come_out()
            if merge:
                versions.does(versions.update, status=1)
            else:
                versions.does(["git fetch origin", "git rebase origin/main"], status=1)
            expect_in("<<<<<<<", c.read(ANSWER))
            c.git("remote", "remove", "origin")  # as if it had come from an address
            versions.does(versions.replace)
            expect(c.read(ANSWER) == NEW, f"not the new starter: {c.read(ANSWER)}")
            kept = c.read("mine/exercises/01-1-zero/before-reset-1/zero.c")
            expect(kept == YOURS, f"kept: {kept}")
            versions.does(versions.end if merge else ["git add exercises", "git rebase --skip"])
            versions.all_is_well()
            c.run("list", says="01-1  next")
            shutil.copy(c.top / "mine/exercises/01-1-zero/before-reset-1/zero.c", c.top / ANSWER)
            c.run("list", says="01-1  done")


# ---- answers kept as patches ---------------------------------------------------------------------

WRONGS = "tests/exercises/01-1-zero/wrong"
IN_STEP = "nothing has drifted*"
STAGE = """
import sys
sys.path.insert(0, "common/exercises")
import course, patches
exercise = course.find(sys.argv[1])
with patches.staged(exercise, exercise.tests / "wrong" / (sys.argv[2] + ".patch")) as folder:
    assert str(folder).startswith(sys.argv[3]), folder
    for path in sorted(folder.iterdir()):
        print(path.name, repr(path.read_bytes().decode()))
"""


def a_patch_makes_the_same_answer_in_every_place():
    with Course() as c:
        answers = {("01-1", "more-files"): {"more.c": "int more;\r\n \t\n",
                                            "zero.c": STARTER.replace("7", "3")},
                   ("02-1", "fewer-files"): {"two.py": "no end of line"}}
        for (number, name), files in answers.items():
            for file, content in files.items():
                c.write(f"build/answers/{name}/{file}", content)
            c.run("wrong", number, name, f"build/answers/{name}", "it")
        # Settings that would change what is applied.
        c.write("build/home/.gitconfig", "[apply]\nwhitespace = fix\nignoreWhitespace = change\n"
                "[core]\nautocrlf = true\n[diff]\nmnemonicPrefix = true\n")
        # In the repository, and outside of one.
        for place in "build/a place: with blanks", f"../elsewhere of {c.top.name}":
            folder = (c.top / place).resolve()
            folder.mkdir()
            for (number, name), files in answers.items():
                environment = {"TMPDIR": str(folder), "HOME": str(c.top / "build/home")}
                ran = subprocess.run([sys.executable, "-c", STAGE, number, name, str(folder)],
                                     cwd=c.top, env=c.environment(environment),
                                     capture_output=True, text=True, check=False)
                wanted = "".join(f"{file} {content!r}\n" for file, content in sorted(files.items()))
                expect(ran.stdout == wanted, f"{place}: {ran.stdout}{ran.stderr}, not: {wanted}")
            expect(not list(folder.iterdir()), f"left: {list(folder.iterdir())}")
            folder.rmdir()


def a_wrong_answer_is_kept_as_a_patch():
    with Course() as c:
        c.write("build/answer/README.md", "none of its files")
        c.write("build/answer/README.ko.md", "nor this")
        c.write("build/answer/zero.c", STARTER.replace("7", "3"))
        new = ("wrong", "01-1", "three", "build/answer")
        c.run(*new, status=2, says=f"exercise: {WRONGS}/three.patch is new: say in a phrase, too")
        c.run(*new, "Happened 3", says=f"{WRONGS}/three.patch: of the solution")
        c.script("exercises.t", "01-1 wrong answer three", says="ok 1 - 01-1 wrong answer three")
        # Said once; and what else somebody wrote into the head stays.
        patch = c.read(f"{WRONGS}/three.patch")
        thought = "Thought: three is nothing, too"
        c.write(f"{WRONGS}/three.patch", patch.replace("\n\n", f"\n{thought}\n\n"))
        c.write("build/answer/zero.c", "int more;\n" + STARTER)
        c.run(*new, says="of the starter")
        expect_in(f"Of: starter Says: Happened 3 {thought} diff --git a/zero.c b/zero.c",
                  c.read(f"{WRONGS}/three.patch"))
        c.script("exercises.t", "01-1 wrong answer three", status=1, says="# wanted: Happened 3")
        c.run(*new, "Happened 7")
        c.script("exercises.t", "01-1 wrong answer three", says="ok 1")
        c.write(f"{WRONGS}/three.patch", c.read(f"{WRONGS}/three.patch").replace("Says:", "says:"))
        c.script("exercises.t", "01-1 wrong answer three", status=1,
                 says=f'{WRONGS}/three.patch: there is no line "Says: ..." in its head')
        # One that passes, with what is said of it.
        c.write("build/answer/zero.c", STARTER.replace("7", "1 - 1"))
        c.run("passes", "01-1", "minus", "build/answer", "passed Better", says="passes/minus.patch: of the solution")
        c.script("exercises.t", "01-1 minus passes", status=1, says="# wanted: passed Better")
        c.write("tests/exercises/01-1-zero/test.py", c.read("tests/exercises/01-1-zero/test.py").replace(
            "passed()", 'remark("zero is zero")\npassed()'))
        c.script("exercises.t", "01-1 minus passes", says="ok 1 - 01-1 minus passes")
        c.script("exercises.t", "01-1 the solution passes", status=1, says="there is a remark on it")
        for folder, of in ("solutions", "solution"), ("exercises", "starter"):
            c.run("wrong", "01-1", "none", f"{folder}/01-1-zero", "it", status=2,
                  says=f"has what the {of} has")
        c.run("wrong", "01-1", "none", "no/folder", "it", status=2,
              says="exercise: no/folder: no such folder")


def a_patch_that_does_not_apply_any_more_is_named():
    with Course() as c:
        c.write("build/answer/zero.c", STARTER.replace("7", "3"))
        c.run("wrong", "01-1", "three", "build/answer", "Happened 3")
        c.script("exercises.t", "01-1 wrong answer three", says="ok 1")
        # A line of its context.
        c.write("solutions/01-1-zero/zero.c", STARTER.replace("7", "0").replace("void", ""))
        for script, only in ("exercises.t", "01-1 wrong answer three"), ("commands.t", IN_STEP):
            c.script(script, only, status=1,
                     says=f"{WRONGS}/three.patch does not apply to solution: error: patch failed: "
                          "zero.c:1; error: zero.c: patch does not apply")


# ---- what exercises are made of ------------------------------------------------------------------

BASE = "chapters/04-prefork-select/onefile.c"
LINES = ["#include <stdlib.h>", "", "static int first(void)", "{", "    return 0;", "}", "",
         "static int second(void)", "{", "    return 0;", "}", "",
         "int main(void)", "{", "    return first() + second();", "}"]


def source(**lines):
    """The lines above, with some changed: line5="    return 7;"."""
    return "".join(lines.get(f"line{i}", line) + "\n" for i, line in enumerate(LINES, 1))


def course_with_a_base(c):
    """The first exercise is made of a file: its solution differs in a line, the others in two."""
    solved = {"line15": "    return first() * second();"}
    c.write(BASE, source())
    c.write("solutions/01-1-zero/zero.c", source(**solved))
    c.write("exercises/01-1-zero/zero.c", source(**solved, line5="    return 7;"))
    c.write("build/answer/zero.c", source(**solved, line10="    return 3;"))
    c.run("rebase", "01", BASE, says="01: all is well")
    for name in "three", "again":
        c.run("wrong", "01-1", name, "build/answer", "it")
    for name, says in ("01-1-zero", "it"), ("02-1-one", "it"):
        patch = f"tests/exercises/{name}/starter.patch"
        c.write(patch, c.read(patch).replace("Says:", f"Says: {says}"))
    c.script("commands.t", IN_STEP)
    c.commit("One exercise is made of a file")
    return solved


def answers_follow_the_file_that_they_are_made_of():
    with Course() as c:
        solved = course_with_a_base(c)
        changed = {"line1": "#include <stdio.h>", "line3": "static int primus(void)"}
        c.write(BASE, source(**changed))
        c.script("commands.t", IN_STEP, status=1, says="solutions/01-1-zero is not what "
                 f"tests/exercises/01-1-zero/solution.patch makes of {BASE}")
        for _ in "once", "and again":
            c.run("rebase", "01-1", says="01-1: all is well")
            for place, more in ("solutions", {}), ("exercises", {"line5": "    return 7;"}):
                got = c.read(f"{place}/01-1-zero/zero.c")
                expect(got == source(**solved, **changed, **more), f"{place}: {got}")
            c.script("commands.t", IN_STEP)
        c.script("commands.t", "the starters are noted")
        expect("return 3" in c.read(f"{WRONGS}/three.patch"), "the wrong answer")
        c.commit("All follow")

        # From now on it is made of another file, which has changed the line of the wrong answer.
        c.write("solutions/first.c", source(**changed, line10="    return '\\0';"))
        c.commit("Another base")
        c.run("rebase", "01", "solutions/first.c", status=1,
              says=f"conflict: {WRONGS}/three.patch; mend it in build/")
        expect_in("Of: solutions/first.c", c.read("tests/exercises/01-1-zero/solution.patch"))


def conflicts_are_told_and_mended_one_after_the_other():
    with Course() as c:
        solved = course_with_a_base(c)
        here = "solutions/01-1-zero/zero.c"
        changed = {"line10": "    return 1;"}
        c.write(BASE, source(**changed, line15="    return first() - second();"))
        starter = c.read("exercises/01-1-zero/zero.c")
        for _ in "once", "and again":  # it waits to be mended
            c.run("rebase", "01", status=1, says=f"conflict: {here} Mend them, and run this again.")
            expect_in("<<<<<<< this answer return first() * second(); ======= "
                      "return first() - second(); >>>>>>> now", c.read(here))
            expect(c.read("exercises/01-1-zero/zero.c") == starter, "the starter did not wait")
        c.write(here, source(**solved, **changed))
        again = "build/exercises/01-1-zero/wrong/again"
        said = c.run("rebase", "01", status=1,
                     says=f"conflict: {WRONGS}/again.patch; mend it in {again}, and then "
                          f"common/exercises/exercise.py wrong 01-1 again {again}")
        expect_in("solutions/01-1-zero: left as it was edited", said)
        expect_in(f"conflict: {WRONGS}/three.patch", said)
        starter = source(**solved, **changed, line5="    return 7;")
        expect(c.read("exercises/01-1-zero/zero.c") == starter, "the starter")
        for name in "again", "three":
            folder = f"build/exercises/01-1-zero/wrong/{name}"
            c.write(f"{folder}/zero.c", source(**solved, line10="    return 3;"))
            c.run("wrong", "01-1", name, folder, says="of the solution")
        c.run("rebase", "01", says="01: all is well")
        c.script("commands.t", IN_STEP)


def what_was_out_of_step_before_is_no_ground_to_stand_on():
    with Course() as c:
        solved = course_with_a_base(c)
        changed = {"line1": "#include <stdio.h>"}
        c.write(BASE, source(**changed))
        c.commit("The base alone")
        c.run("rebase", "01", status=2,
              says=f"01-1-zero was already not what solution.patch makes of {BASE} at that commit; "
                   "name the last one at which it was: SINCE=COMMIT")
        expect(c.read("solutions/01-1-zero/zero.c") == source(**solved), "something was changed")
        c.run("rebase", "01", says="all is well", SINCE="HEAD~1")
        expect(c.read("solutions/01-1-zero/zero.c") == source(**solved, **changed), "the solution")
        c.run("rebase", "01", status=2, says="git does not have nothing", SINCE="nothing")
        c.run("rebase", "09", status=2, says='exercise: there is no exercise and no chapter "09"')


# ---- grading -------------------------------------------------------------------------------------

def grades_a_folder():
    with Course() as c:
        c.solve("01-1-zero")
        c.write("exercises/02-1-one/one.c", "int main(void) { return \"\x01\x1b[2J<&>\"; ")
        said = c.run("grade", says="Points 2 of 5")
        expect_in("01-1-zero 2 of 2 passed 02-1-one 0 of 3 does not compile: ", said)
        results = json.loads((c.top / "build/grade/results.json").read_text())
        check_gradescope(results, 2, [("1.1", 2, 2, "passed"), ("2.1", 0, 3, "failed")])
        expect_in("exercises/02-1-one/one.c:1:", results["tests"][1]["output"])
        suite = xml.parse(c.top / "build/grade/junit.xml").getroot()
        expect((suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0"), str(suite.attrib))
        cases = suite.findall("testsuite/testcase")
        expect([case.get("name") for case in cases] == ["01-1-zero", "02-1-one"], "names")
        expect(cases[0].find("failure") is None and cases[1].find("failure").get("type") == "does not compile", "case")
        expect("\x1b" not in said + json.dumps(results), "what was handed in acts on the terminal")
        c.run("list", says="1 of 2 done, 2 of 5 points.")
        expect_in("01-1  done", c.run("list"))


NAMES = {"01-1-zero", "02-1-one"}


def finds_the_exercises_in_what_somebody_hands_in():
    exercises = [course.Exercise("01-1-zero"), course.Exercise("02-1-one")]
    for shape in "", "exercises", "something", "something/exercises":
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name) / "in"
            file = folder / shape / "01-1-zero/zero.c"
            file.parent.mkdir(parents=True)
            file.write_text(shape)
            (folder / "__MACOSX").mkdir()
            archive = folder.with_suffix(".zip")
            with zipfile.ZipFile(archive, "w") as pack:
                for path in folder.rglob("*"):
                    pack.write(path, path.relative_to(folder))
            for given in folder, archive:
                found = handin.submission(given, exercises, NAMES)
                expect(found["01-1-zero"].files == {"zero.c": shape.encode()}, f"{shape}: {found}")


def of_a_whole_repository_only_the_answers_count():
    exercises = [course.Exercise("01-1-zero"), course.Exercise("02-1-one")]
    for top in "", "course-main/":
        with tempfile.TemporaryDirectory() as name:
            archive = pathlib.Path(name) / "in.zip"
            with zipfile.ZipFile(archive, "w") as pack:
                for folder, file in (("exercises", "zero.c"), ("solutions", "zero.c"),
                                     ("tests/exercises", "driver.c"), ("mine/exercises", "passed"),
                                     ("build/exercises", "zero")):
                    pack.writestr(f"{top}{folder}/01-1-zero/{file}", folder)
                pack.writestr(f"{top}README.md", "")
            found = handin.submission(archive, exercises, NAMES)
        expect({name: answer.files for name, answer in found.items()} == {"01-1-zero": {"zero.c": b"exercises"}},
               f"{top}: {found}")


def grades_what_somebody_hands_in():
    with Course() as c:
        shutil.copytree(c.top / "solutions/01-1-zero", c.top / "build/in/01-1-zero")
        said = c.run("grade", c.top / "build/in", c.top / "build/results", says="Points 2 of 5")
        expect_in("02-1-one 0 of 3 missing: there is no folder 02-1-one", said)
        expect((c.top / "build/results/results.json").exists(), "no results there")
        c.run("list", says="0 of 2 done")  # it was another's
        empty = c.top / "build/empty"
        empty.mkdir()
        c.run("grade", empty, says="there is no exercise in it. Expected: folders such as 01-1-zero")
        results = json.loads((c.top / "build/grade/results.json").read_text())
        check_gradescope(results, 0, [("1.1", 0, 2, "failed"), ("2.1", 0, 3, "failed")])
        expect_in("there is no exercise in it", results["output"])


def a_program_in_another_language_is_handed_on():
    with Course() as c:
        c.write("tests/exercises/02-1-one/test.py", "from lesson import *\nbegin()\nstep('run both')\n"
                "expect(Program('two.py').out == b'2', '2', 'not')\npassed()\n")
        c.write("exercises/02-1-one/two.py", "#!/bin/sh\nprintf 2\n")
        c.run("run", "02-1", says="02-1-one: passed")


def check_gradescope(results, total, tests):
    """What https://gradescope-autograders.readthedocs.io/en/latest/specs/ asks for."""
    expect("score" not in results, "a score at the top would replace the sum")
    expect(results["output_format"] == "text" and results["stdout_visibility"] == "hidden", "top level")
    found = [(test["number"], test["score"], test["max_score"], test["status"]) for test in results["tests"]]
    expect(found == tests, f"{found}")
    expect(sum(test["score"] for test in results["tests"]) == total, "total")
    expect(all(test["output"] and test["output_format"] == "text" for test in results["tests"]), "output")


# ---- the list ------------------------------------------------------------------------------------

def the_list_tells_its_mistakes():
    for text, says in (("  title x\n", "list:1: what is indented belongs to an exercise"),
                       ("01-1-a\n  points none\n", "list:2: points none: not a number"),
                       ("01-1-a\n  minutes 0\n", "list:2: minutes 0: not a number"),
                       ("01-1-a\n  kind hard\n", "list:2: kind hard: say mend or build"),
                       ("\n01-1-a\n  uses nothing\n", "list:3: uses nothing: say fdpass or "),
                       ("01-1-a\n  colour red\n", "list:2: colour: no such word")):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "list"
            path.write_text(text)
            try:
                course.read_list(path)
                raise tap.Failed(f"taken: {text}")
            except course.Mistake as mistake:
                expect_in(says, str(mistake))


def the_list_and_the_folders_agree():
    exercises = course.read_list()
    expect(exercises, "there is no exercise")
    names = [exercise.name for exercise in exercises]
    expect(len({exercise.number for exercise in exercises}) == len(names), "a number stands for two exercises")
    expect(names == sorted(names, key=lambda name: list(map(int, name.split("-")[:2]))), "the list is not in the order of the course")
    for place in "exercises", "solutions", "tests/exercises":
        folders = sorted(path.name for path in (course.TOP / place).iterdir()
                         if path.is_dir() and path.name not in ("nasty", "project-http"))  # which have lists of their own
        expect(folders == sorted(names), f"{place} has {set(folders) ^ set(names)} more, or fewer, than exercises/list")


def every_exercise_is_complete():
    problems = []
    for exercise in course.read_list():
        def want(ok, what, exercise=exercise):
            if not ok:
                problems.append(f"{exercise.name}: {what}")

        want(exercise.title and exercise.kind, "title or kind")
        want(exercise.points and exercise.minutes, "points or minutes")
        want(exercise.programs or exercise.drivers, "no program")
        want(2 <= len(exercise.hints) <= 4, f"{len(exercise.hints)} hints")
        files = [path.name for path in course.files_of(exercise.starter)]
        want(files, "no starter")
        want(files == [path.name for path in course.files_of(exercise.solution)], "the solution has other files")
        for folder in exercise.starter, exercise.solution:
            want((folder / "README.md").is_file(), f"no README.md in {folder.parent.name}/")
        want((exercise.tests / "test.py").is_file(), "no test.py")
        want(not exercise.drivers or (exercise.tests / "driver.c").is_file(), "no driver.c")
        for patch in exercise.tests / "starter.patch", *patches.answers(exercise):
            try:
                patches.fact(patch, "Says")
            except course.Mistake as mistake:
                want(False, mistake)
        want(len(patches.answers(exercise, "wrong")) >= 2, "fewer than two wrong answers")
    expect(not problems, "\n".join(problems))


def the_starters_are_noted():
    exercises = course.read_list()
    noted, real = course.starters(), {}
    for exercise in exercises:
        for path in course.files_of(exercise.starter):
            real[str(path.relative_to(course.TOP))] = course.file_digest(path)
    wrong = sorted(path for path in noted.keys() | real.keys() if noted.get(path) != real.get(path))
    expect(not wrong, f"{', '.join(wrong)}: not as tests/exercises/starters has it. If the starter is to be so: "
                      "common/exercises/exercise.py starters")


def nothing_has_drifted_from_what_it_is_made_of():
    problems, bases = [], {}
    for exercise in course.read_list():
        for name, folder in ("solution", exercise.solution), ("starter", exercise.starter):
            patch = exercise.tests / f"{name}.patch"
            if name == "solution":
                bases.setdefault(exercise.number.split("-")[0], set()).add(
                    patches.fact(patch, "Of") if patch.is_file() else "nothing")
            if name == "starter" or patch.is_file():
                problems += drifted(exercise, patch, folder)
        for patch in patches.answers(exercise):
            problems += drifted(exercise, patch)
    problems += [f"chapter {chapter}: made of {' and '.join(sorted(some))}"
                 for chapter, some in bases.items() if len(some) > 1]
    problems += ["CONTRIBUTING.md says how they are made to follow"] if problems else []
    expect(not problems, "\n".join(problems))


def drifted(exercise, patch, folder=None):
    """In what way a patch does not apply, or does not make what is in a folder."""
    try:
        files = patches.applied(exercise, patch)
    except course.Mistake as mistake:
        return [str(mistake)]
    if folder and files != patches.files_in(folder):
        return [f"{patches.shown(folder)} is not what {patches.shown(patch)} makes of "
                f"{patches.fact(patch, 'Of')}"]
    return []


CASES = [the_way_of_a_learner, wrong_numbers_and_commands, mistakes_in_the_environment,
         mistakes_in_what_is_compiled, reset_restores_what_was_given,
         what_is_the_learners_outlives_clean, an_older_versions_marks_and_answers_are_taken_over,
         a_mark_belongs_to_the_answer_that_passed, where_nothing_can_be_kept_it_is_said_in_a_line,
         a_long_wait_is_told_on_a_terminal, a_refusal_fits_and_says_where_to_look,
         reset_asks_on_a_terminal, reset_says_what_to_do_without_git, watch_runs_at_every_save, ctrl_c_ends_a_test,
         a_later_version_comes_to_a_branch, a_changed_starter_conflicts_and_the_answer_stays,
         a_changed_starter_conflicts_and_takes_the_place_of_the_answer,
         a_patch_makes_the_same_answer_in_every_place, a_wrong_answer_is_kept_as_a_patch,
         a_patch_that_does_not_apply_any_more_is_named,
         answers_follow_the_file_that_they_are_made_of,
         conflicts_are_told_and_mended_one_after_the_other,
         what_was_out_of_step_before_is_no_ground_to_stand_on,
         grades_a_folder, finds_the_exercises_in_what_somebody_hands_in,
         of_a_whole_repository_only_the_answers_count, grades_what_somebody_hands_in,
         a_program_in_another_language_is_handed_on, the_list_tells_its_mistakes, the_list_and_the_folders_agree,
         every_exercise_is_complete, the_starters_are_noted,
         nothing_has_drifted_from_what_it_is_made_of]

if __name__ == "__main__":
    tap.adopt_orphans()
    os.environ.setdefault("LESSON_PATIENCE", "60")
    tap.run([(case.__name__.replace("_", " "), case) for case in CASES], together=6, stop=trial.stop_all,
            proofs=[("nothing that ran still lives", tap.no_child_left)])
