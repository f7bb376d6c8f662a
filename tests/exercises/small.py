"""A course of two small exercises, in a folder of its own, to try the commands on."""
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import tap
from tap import expect, expect_in

sys.path.insert(0, str(tap.ROOT / "common/exercises"))
import course  # noqa: E402

LIST = """# two exercises
01-1-zero
    title    Nothing at all
    kind     mend
    points   2
    minutes  10
    program  zero
    hint     Look at what is returned.
    hint     Return 0.
02-1-one
    title    One
    kind     build
    points   3
    minutes  15
    program  one two.py
    uses     fdpass
    hint     See 01-1.
    hint     Return 1.
"""
STARTER = "int main(void)\n{\n    return 7;\n}\n"
TEST = """from lesson import *

begin()
step("run it")
status = Program("{program}").status
expect(status == {status}, expected="exit status {status}", happened=f"{{status}}", look="main")
passed()
"""


ME = ["-c", "user.name=A", "-c", "user.email=a@b"]
NOT_PASSED_ON = ("BUILD", "MINE", "FORCE", "SUBMISSION", "SUBMISSIONS", "RESULTS", "EXERCISES",
                 "OVERLAY", "FROM",
                 "SANITIZE", "PARTIAL", "UNISOLATED", "SUPERVISE", "MAKEFLAGS", "MFLAGS",
                 "MAKELEVEL")


def users_of_nobody():
    """User ids from here on, 200 of them, belong to nobody; nor to another suite that runs at the
    same time, for limits on processes count all of a user."""
    first = 1_000_000_000 + 200 * os.getpid()
    for line in pathlib.Path("/proc/self/uid_map").read_text().splitlines():
        inside, _, length = map(int, line.split())
        if inside <= first < inside + length - 200:
            return first
    return 30_000 + 200 * (os.getpid() % 150)  # in a container whose ids end at 65535


@functools.lru_cache(maxsize=None)
def gives_namespaces(user=None):
    """Whether the kernel gives them, as unshare(1) finds; asked of another than our sandbox, which
    may be at fault."""
    more = {"user": user, "group": user, "extra_groups": []} if user else {}
    words = ["unshare", *(["-Ur"] if user or os.geteuid() else []), "-m", "-i", "-n", "-p",
             "--fork", "--mount-proc", "true"]
    return shutil.which("unshare") is None or subprocess.run(words, check=False,
                                                             stderr=subprocess.DEVNULL,
                                                             **more).returncode == 0


class Course:
    """A repository with the two exercises, in a folder of its own."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="course-")
        self.top = top = pathlib.Path(self.folder.name)
        top.chmod(0o755)
        for name in "common", "chapters":
            shutil.copytree(tap.ROOT / name, top / name)
        shutil.copy(tap.ROOT / "Makefile", top)
        objects = {file for files in course.modules().values() for file in files}
        for name in "common/common.a", "common/exercises/supervise", *objects:
            (top / "build" / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(tap.BUILD / name, top / "build" / name) if same_disk(top) else \
                shutil.copy(tap.BUILD / name, top / "build" / name)
        self.write("exercises/list", LIST)
        self.write("exercises/01-1-zero/zero.c", STARTER)
        self.write("exercises/02-1-one/one.c", STARTER)
        self.write("exercises/02-1-one/two.py", "#!/usr/bin/env python3\n")
        self.write("solutions/01-1-zero/zero.c", STARTER.replace("7", "0"))
        self.write("solutions/02-1-one/one.c", STARTER.replace("7", "1"))
        self.write("solutions/02-1-one/two.py", "#!/usr/bin/env python3\n")
        for name, program, status in ("01-1-zero", "zero", 0), ("02-1-one", "one", 1):
            self.write(f"exercises/{name}/README.md", name)
            self.write(f"exercises/{name}/README.ko.md", name)
            self.write(f"tests/exercises/{name}/test.py",
                       TEST.format(program=program, status=status))
        for name in ("tap.py", "exercises/lesson.py", "exercises/exercises.t",
                     "exercises/commands.t", "exercises/small.py"):
            shutil.copy(tap.ROOT / "tests" / name, top / "tests" / name)
        self.run("starters")
        self.git("init", "-q")
        shutil.copy(tap.ROOT / ".gitignore", top)
        self.commit("The course")
        return self

    def __exit__(self, *unused):
        self.folder.cleanup()

    def write(self, path, text):
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        (self.top / path).write_text(text)

    def solve(self, name):
        for path in (self.top / "solutions" / name).iterdir():
            shutil.copy(path, self.top / "exercises" / name)

    def git(self, *arguments):
        return subprocess.run(["git", "-C", self.top, *ME, *arguments], check=True,
                              capture_output=True).stdout

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-qm", message)

    def run(self, *arguments, status=0, says="", **environment):
        """Runs exercise.py; gives what it printed."""
        ran = subprocess.run(self.command(*arguments), cwd=self.top, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             env=self.environment(environment), check=False)
        expect(ran.returncode == status,
               f"{arguments}: status {ran.returncode} instead of {status}: {ran.stdout}")
        expect_in(says, ran.stdout)
        return ran.stdout

    def make(self, target, status=0, says=""):
        ran = subprocess.run(["make", "-s", target], cwd=self.top, env=self.environment({}),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        expect(ran.returncode == status, f"make {target}: status {ran.returncode}: {ran.stdout}")
        expect_in(says, ran.stdout)

    def command(self, *arguments):
        return [sys.executable, str(self.top / "common/exercises/exercise.py"),
                *map(str, arguments)]

    def script(self, name, only, status=0, says=""):
        """Runs one test of a script of ours, on this course."""
        ran = subprocess.run([sys.executable, str(self.top / "tests/exercises" / name)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False,
                             env=self.environment({"TEST_ONLY": only}))
        expect(ran.returncode == status, f"{only}: status {ran.returncode}: {ran.stdout}")
        expect_in(says, ran.stdout)

    def read(self, path):
        return (self.top / path).read_text()

    def environment(self, more):
        plain = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        return {**plain, "PYTHONDONTWRITEBYTECODE": "1",
                "GIT_CEILING_DIRECTORIES": str(self.top.parent),
                "UNISOLATED": "" if gives_namespaces() else "1", **more}


def same_disk(folder):
    return os.stat(tap.BUILD).st_dev == os.stat(folder).st_dev and os.stat(tap.BUILD).st_uid == os.geteuid()
