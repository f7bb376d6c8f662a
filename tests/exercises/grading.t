#!/usr/bin/env python3
"""What a submission can try: to be another's work, to read or change what is not its own, to be a
name that does something. None of it earns anything, and nothing is touched. On a course of two
small exercises.

What is run is run with namespaces and without them; as root also as an ordinary user, by `grading.t
attacks`.
"""
import contextlib
import ctypes
import gzip
import io
import json
import os
import pathlib
import random
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as xml
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402
from small import STARTER, Course, gives_namespaces, users_of_nobody  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/exercises"))
import course  # noqa: E402
import handin  # noqa: E402
import trial  # noqa: E402

GOOD = STARTER.replace("7", "0")
ZERO, ONE = course.Exercise("01-1-zero", points=2), course.Exercise("02-1-one", points=3)
ZERO.files = lambda: ["zero.c"]
ONE.files = lambda: ["one.c", "two.py"]
NAMES = {"01-1-zero", "02-1-one"}
USER = users_of_nobody()
LEFT = f"left-by-{os.getpid()}"  # what an exercise leaves; another test may run elsewhere
KEY = random.randrange(1, 1 << 31)


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="grading-") as name:
        yield pathlib.Path(name)


def write(path, content=GOOD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def taken(path, exercises=(ZERO, ONE)):
    """{name: files or problem} of a submission; or why it is refused."""
    try:
        found = handin.submission(path, list(exercises), NAMES)
    except handin.Refused as reason:
        return str(reason)
    return {name: answer.problem
            or {file: content.decode() for file, content in answer.files.items()}
            for name, answer in found.items()}


def refused(path, says, exercises=(ZERO, ONE)):
    found = taken(path, exercises)
    expect(isinstance(found, str), f"taken: {found}")
    expect_in(says, found)


def problem(path, says):
    found = taken(path)
    expect(isinstance(found, dict) and isinstance(found["01-1-zero"], str), f"taken: {found}")
    expect_in(says, found["01-1-zero"])


def a_text_is_no_part_of_an_answer():
    with folder() as top:
        for name in "README.md", "README.ko.md", "zero.c":
            write(top / "01-1-zero" / name)
        expect(taken(top)["01-1-zero"] == {"zero.c": GOOD}, taken(top))


# ---- links, and other files that are none --------------------------------------------------------

def no_link_counts():
    with folder() as top:
        private = write(top / "other/01-1-zero/zero.c").parent
        (top / "other").chmod(0o700)
        (top / "a").mkdir()
        (top / "a/exercises").symlink_to(top / "other")
        refused(top / "a",
                "there is no exercise in it. Expected: folders such as 01-1-zero, with the files of the "
                           "exercise in them. Links are not followed: exercises")
        (top / "b").mkdir()
        (top / "b/01-1-zero").symlink_to(private)
        problem(top / "b", "b/01-1-zero is no folder (a link)".partition("/")[2])
        (top / "c/01-1-zero").mkdir(parents=True)
        (top / "c/01-1-zero/zero.c").symlink_to(private / "zero.c")
        problem(top / "c", "zero.c is no file (a link)")
        (top / "d/01-1-zero").mkdir(parents=True)
        os.link(private / "zero.c", top / "d/01-1-zero/zero.c")
        problem(top / "d", "zero.c is no file (a hard link")
        (top / "e").symlink_to(top / "other")
        refused(top / "e", "e is a link, and neither a folder nor an archive")
        (top / "f/x/01-1-zero").mkdir(parents=True)
        (top / "f/x/01-1-zero/zero.c").symlink_to("/dev/zero")
        problem(top / "f", "zero.c is no file (a link)")


def what_becomes_a_link_while_it_is_read_is_not_followed():
    """Each step to a file is below the folder before, and none through a link, whatever it was a
    moment ago."""
    with folder() as top:
        secret = write(top / "secret/01-1-zero/zero.c")
        write(top / "in/01-1-zero/zero.c", "mine")
        place = os.open(top / "in", os.O_RDONLY)
        try:
            tree = handin.tree_of_folder(place)
            node = tree["01-1-zero", "zero.c"]
            expect(node.read() == b"mine", "not read")
            os.rename(top / "in/01-1-zero", top / "in/away")
            (top / "in/01-1-zero").symlink_to(secret.parent)
            tap.raises(OSError, node.read)
            os.unlink(top / "in/01-1-zero")
            (top / "in/01-1-zero").mkdir()
            (top / "in/01-1-zero/zero.c").symlink_to(secret)
            tap.raises(handin.Unfit, node.read)
            os.unlink(top / "in/01-1-zero/zero.c")
            os.mkfifo(top / "in/01-1-zero/zero.c")
            tap.raises(handin.Unfit, node.read)
        finally:
            os.close(place)


def no_other_kind_of_file_counts():
    with folder() as top:
        file = top / "in/01-1-zero/zero.c"
        file.parent.mkdir(parents=True)
        os.mkfifo(file)
        problem(top / "in", "zero.c is no file (a pipe)")
        file.unlink()
        with socket.socket(socket.AF_UNIX) as bound:
            place = os.open(file.parent, os.O_RDONLY)
            bound.bind(f"/proc/self/fd/{place}/zero.c")  # whose length has a limit: unix(7)
            os.close(place)
        problem(top / "in", "zero.c is no file (a socket)")
        file.unlink()
        file.mkdir()
        problem(top / "in", "zero.c is no file (folder)")
        file.rmdir()
        write(file).chmod(0o4755)
        problem(top / "in", "zero.c is no file (a set-user-ID program)")
        file.unlink()
        with open(file, "wb") as sparse:
            sparse.truncate(1 << 40)
        problem(top / "in", "zero.c is larger than 1024 KiB")
        file.unlink()
        if os.geteuid() == 0:
            os.mknod(file, stat.S_IFCHR | 0o666, os.makedev(1, 5))
            problem(top / "in", "zero.c is no file (a device)")
            file.unlink()
        for i in range(65):
            write(file.with_name(f"{i}.c"))
        write(file)
        problem(top / "in", "there are more than 64 files")
        deep = top / "in/exercises"
        for _ in range(40):
            deep = deep / "d"
        write(deep / "01-1-zero/zero.c")
        shutil.rmtree(file.parent)
        refused(top / "in", "there is no exercise in it")
        os.mkfifo(top / "pipe")
        refused(top / "pipe", "pipe is a pipe, and neither a folder nor an archive")


# ---- archives ------------------------------------------------------------------------------------

def zipped(path, *members, mode=0o100644):
    """A zip of (name, content[, mode])."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content, *other in members:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (other[0] if other else mode) << 16
            pack.writestr(entry, content)
    return path


def tarred(path, *members, how="w"):
    """A tar of (name, content, type, target)."""
    with tarfile.open(path, how) as pack:
        for name, content, kind, target in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, target, len(content)
            pack.addfile(entry, io.BytesIO(content))
    return path


def an_archives_links_and_devices_are_none_of_its_files():
    good, file = GOOD.encode(), "01-1-zero/zero.c"
    with folder() as top:
        write(top / "other/01-1-zero/zero.c")
        problem(zipped(top / "a.zip", (file, str(top / "other/01-1-zero/zero.c"), 0o120777)),
                "no file (a link)")
        problem(zipped(top / "b.zip", (file, good, 0o104755)), "no file (a set-user-ID program)")
        problem(zipped(top / "c.zip", (file, good, 0o010644)), "no file (a pipe)")
        refused(zipped(top / "d.zip", ("exercises", str(top / "other"), 0o120777),
                       (f"exercises/{file}", good)),
                "Links are not followed: exercises")
        with tap_quiet():
            problem(zipped(top / "e.zip", (file, good), (file, good)),
                    "no file (twice in the archive)")
        for kind, says in ((tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a hard link"),
                           (tarfile.FIFOTYPE, "a pipe"),
                           (tarfile.CHRTYPE, "a device"),
                           (tarfile.GNUTYPE_SPARSE, "no plain file")):
            content = b"" if kind != tarfile.GNUTYPE_SPARSE else good
            with contextlib.suppress(tarfile.TarError):
                path = tarred(top / "f.tar",
                              (file, content, kind, str(top / "other/01-1-zero/zero.c")))
                found = taken(path)
                expect(isinstance(found, str) or isinstance(found["01-1-zero"], str),
                       f"{says}: {found}")
                if isinstance(found, dict):
                    expect_in(f"no file ({says})", found["01-1-zero"])
        refused(tarred(top / "g.tar", ("exercises", b"", tarfile.SYMTYPE, str(top / "other")),
                       (f"exercises/{file}", good, tarfile.REGTYPE, "")),
                       "Links are not followed: exercises")
        # What points out of the archive stays in it, or is left out.
        found = taken(zipped(top / "h.zip", ("../../01-1-zero/zero.c", good), (f"/{file}", good)))
        expect(found == {"01-1-zero": {"zero.c": GOOD}}, f"{found}")
        expect(sorted(os.listdir(top)) == sorted(["other", "a.zip", "b.zip", "c.zip", "d.zip",
                                                  "e.zip", "f.tar",
                                                  "g.tar", "h.zip"]), "it unpacked something")


@contextlib.contextmanager
def tap_quiet():
    """zipfile warns of what we do on purpose."""
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def no_archive_fills_the_machine():
    with folder() as top:
        bomb = zipped(top / "a.zip", ("01-1-zero/zero.c", b"\0" * (200 << 20)))
        problem(bomb, "zero.c is larger than 1024 KiB")
        many = zipped(top / "b.zip",
                      *((f"01-1-zero/{i}.c", b"\n" * handin.FILE_MAX) for i in range(33)),
                      ("01-1-zero/zero.c", GOOD))
        refused(many, "it holds more than 32 MiB")
        nested = zipped(top / "c.zip", ("in.zip", bomb.read_bytes()))
        problem(nested, "zero.c is larger than 1024 KiB")
        quine = zipped(top / "d.zip",
                       ("in.zip",
                        zipped(top / "e.zip", ("in.zip", bomb.read_bytes())).read_bytes()))
        refused(quine, "there is no exercise in it")
        (top / "f.tar.gz").write_bytes(gzip.compress(b"\0" * (130 << 20), 1))
        refused(top / "f.tar.gz", "f.tar.gz unpacks to more than 128 MiB")
        (top / "g.zip").write_bytes(b"PK\x03\x04" + b"PK\x01\x02" * 20001)
        refused(top / "g.zip", "more than 20000 files")
        with open(top / "h.zip", "wb") as file:
            file.truncate(1 << 40)
        refused(top / "h.zip", "the archive is larger than 32 MiB")
        (top / "i.zip").write_bytes(bomb.read_bytes()[:3000])
        refused(top / "i.zip", "i.zip is damaged")
        strange = zipped(top / "j.zip", ("01-1-zero/zero.c", GOOD))
        data = bytearray(strange.read_bytes())
        data[data.index(b"PK\x01\x02") + 8] |= 1
        strange.write_bytes(data)
        problem(strange, "zero.c is encrypted")


# ---- what people hand in -------------------------------------------------------------------------

def finds_answers_wherever_they_lie():
    with folder() as top:
        good = {"01-1-zero": {"zero.c": GOOD}}
        for i, path in enumerate(["01-1-zero/zero.c", "a/b/c/exercises/01-1-zero/zero.c",
                                  "a/exercises/01-1-zero/zero.c",
                                  "One Learner_42_assignsubmission_file_/answers/01-1-zero/zero.c"]):
            write(top / f"{i}" / path)
            expect(taken(top / f"{i}") == good, f"{path}: {taken(top / f'{i}')}")
            with tarfile.open(top / f"{i}.tgz", "w:gz") as pack:
                pack.add(top / f"{i}", "x")
            expect(taken(top / f"{i}.tgz") == good, f"{path}: {taken(top / f'{i}.tgz')}")
        # Flat, where there is only one exercise that it can be.
        write(top / "flat/zero.c")
        refused(top / "flat",
                "of which exercise zero.c is cannot be told. Expected: folders such as 01-1-zero, with the "
                              "files of the exercise in them; or grade one exercise alone, with EXERCISES=01-1")
        expect(taken(top / "flat", [ZERO]) == good, "flat")
        expect(taken(zipped(top / "flat.zip", ("work/zero.c", GOOD)), [ZERO]) == good,
               "flat in an archive")
        # But not what lies in another exercise's folder.
        write(top / "other/02-1-one/zero.c")
        refused(top / "other", "there is no exercise in it", [ZERO])
        # As a platform stores it.
        (top / "moodle").mkdir()
        zipped(top / "moodle/my work.zip", ("exercises\\01-1-zero\\zero.c", GOOD))
        expect(taken(top / "moodle") == good, f"{taken(top / 'moodle')}")
        for place in "first", "second":
            write(top / "twice" / place / "01-1-zero/zero.c")
        refused(top / "twice",
                "exercises lie in several folders, of which one should be handed in: first, second")
        write(top / "text.docx", "x")
        refused(top / "text.docx", "text.docx is no folder, and neither a zip nor a tar or tar.gz")


def what_is_refused_has_results():
    with Course() as c:
        write(c.top / "build/in/zero.c")
        said = c.run("grade", c.top / "build/in",
                     says="Points 0 of 5 Not taken: of which exercise zero.c is")
        expect_in("01-1-zero 0 of 2 missing: not taken: of which exercise zero.c is", said)
        results = json.loads(c.read("build/grade/results.json"))
        expect([test["score"] for test in results["tests"]] == [0, 0], "points")
        expect_in("Not taken: of which exercise", results["output"])
        said = c.run("grade", c.top / "build/in", EXERCISES="01-1",
                     says="01-1-zero 2 of 2 passed Points 2 of 2")
        expect("02-1-one" not in said, said)
        expect(not (c.top / "build/grade/02-1-one.txt").exists(),
               "there are results of what was not graded")
        c.run("grade", c.top / "build/in", EXERCISES="01-1, 09-9", status=2,
              says='there is no exercise "09-9"')


# ---- names ---------------------------------------------------------------------------------------

def no_name_does_anything():
    """Of a submission, through make; whatever a shell or make would read in it."""
    with Course() as c:
        c.write("common/build.mk", "library := build/common/common.a\n")  # all is built
        hit = c.top / "build/hit"
        for name in ("it's mine", "a b  c", "#", "a\\", "'; touch build/hit; '",
                     "$(shell touch build/hit)", "`touch build/hit`", "$$(touch build/hit)",
                     'a"; touch build/hit; "', "a\ntouch build/hit"):
            place = c.top / "build/in" / name
            write(place / "01-1-zero/zero.c")
            given = {"SUBMISSION": str(place), "EXERCISES": "01-1"}
            told = [f"{key}={value}" for key, value in given.items()]
            for words, more in [(told, {}), ([], given)][:2 if "hit" in name else 1]:
                ran = subprocess.run(["make", "-s", "grade", *words], cwd=c.top,
                                     env=c.environment(more), stdin=subprocess.DEVNULL, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
                expect(not hit.exists(), f"{name!r} was run")
                expect(ran.returncode == 0, f"{name!r}: {ran.stdout}")
                expect_in("01-1-zero 2 of 2 passed", ran.stdout)


def names_of_files_are_data():
    with Course() as c:
        write(c.top / "build/in/01-1-zero/zero.c",
              "int zero(void);\nint main(void) { return zero(); }\n")
        more = ["it's.c", "a\nb.c", "$(touch hit).c", "-o evil.c", "@evil.c",
                os.fsdecode(b"\xff\xfe.c"), "\x1b[2J.c"]
        for i, name in enumerate(more):
            write(c.top / "build/in/01-1-zero" / name,
                  f"int zero{i or ''}(void);\nint zero{i or ''}(void) {{ return 0; }}\n")
        said = c.run("grade", c.top / "build/in", EXERCISES="01-1", says="01-1-zero 2 of 2 passed")
        write(c.top / "build/in/01-1-zero" / more[-1], "this is no C")
        write(c.top / "build/in/01-1-zero" / more[-2], "nor is this")
        said += c.run("grade", c.top / "build/in", EXERCISES="01-1", says="0 of 2 does not compile")
        expect("\x1b" not in said
               + c.read("build/grade/results.json") + c.read("build/grade/01-1-zero.txt"),
               "a name acts on the terminal")
        xml.parse(c.top / "build/grade/junit.xml")


# ---- errors --------------------------------------------------------------------------------------

def a_test_that_breaks_is_an_error_and_the_rest_is_graded():
    broken = {"before it begins": "import what_is_not_there\n", "in its text": "def (\n",
              "later": "from lesson import *\nbegin()\nstep('x')\n1 / 0\n",
              "by ending": "from lesson import *\nbegin()\nraise SystemExit(1)\n",
              "by passing without a word": "raise SystemExit(0)\n"}
    with Course() as c:
        c.solve("02-1-one")
        for how, text in [*broken.items(), ("is not there", None)]:
            if text:
                c.write("tests/exercises/01-1-zero/test.py", text)
            else:
                shutil.rmtree(c.top / "tests/exercises/01-1-zero")
            said = c.run("grade", status=2, says="02-1-one 3 of 3 passed")
            expect_in("01-1-zero 0 of 2 broken: ", said)
            results = json.loads(c.read("build/grade/results.json"))
            expect([test["extra_data"]["kind"]
                    for test in results["tests"]] == ["broken", "passed"], f"{how}: {results}")
            expect_in("not graded", results["tests"][0]["name"])
            suite = xml.parse(c.top / "build/grade/junit.xml").getroot()
            expect((suite.get("failures"), suite.get("errors")) == ("0", "1"),
                   f"{how}: {suite.attrib}")


# ---- points --------------------------------------------------------------------------------------

OVERRUN = """#include <stdlib.h>
int main(void)
{
    volatile int last = 8;
    volatile char *memory = malloc(8);
    memory[last] = 0;
    free((void *)memory);
    return 0;
}
"""
STEPS = """from lesson import *

begin()
for name in "a", "b":
    step("first")
    expect(Program("zero").status == 0, "0", "not")
step("second")
if Program("zero").status:
    step("never")
step("third")
expect(False, "the impossible", "it did not")
passed()
"""


def memory_errors_are_found_if_that_is_asked_for():
    if subprocess.run([*trial.compiler(), *trial.SANITIZERS, "-x", "c", "-", "-o", "/dev/null"],
                      check=False,
                      input=STARTER.encode(), stderr=subprocess.DEVNULL).returncode:
        return "this compiler has no sanitizers"
    with Course() as c:
        c.write("exercises/01-1-zero/zero.c", OVERRUN)
        c.run("grade", EXERCISES="01-1",
              says="2 of 2 passed Points 2 of 2 Built without sanitizers", COMPILE="")
        said = c.run("grade", EXERCISES="01-1", SANITIZE="1", says="0 of 2 not yet: they found")
        expect_in("Built with AddressSanitizer and UndefinedBehaviorSanitizer", said)
        c.solve("01-1-zero")
        c.run("grade", EXERCISES="01-1", SANITIZE="1", says="2 of 2 passed")
    return None


def steps_that_were_passed_have_their_part_of_the_points():
    with Course() as c:
        c.write("tests/exercises/01-1-zero/test.py", STEPS)
        c.write("exercises/list", c.read("exercises/list").replace("points   2", "points   9"))
        c.solve("01-1-zero")
        c.run("grade", EXERCISES="01-1", says="0 of 9 not yet")
        c.run("grade", EXERCISES="01-1", PARTIAL="1",
              says="4 of 9 not yet")  # two steps of four that its text has
        c.write("exercises/01-1-zero/zero.c", STARTER)
        c.run("grade", EXERCISES="01-1", PARTIAL="1", says="0 of 9 not yet")


# ---- an overlay ----------------------------------------------------------------------------------

def an_overlay_adds_exercises_and_replaces_tests():
    with Course() as c:
        c.write("LICENSE", "")
        own = c.top / "build/own"
        write(own / "exercises/list",
              "02-2-two\n    title Two\n    points 4\n    program two\n    uses\n")
        write(own / "solutions/02-2-two/two.c", STARTER.replace("7", "2"))
        test = c.read("tests/exercises/01-1-zero/test.py")
        write(own / "tests/exercises/02-2-two/test.py",
              test.replace("zero", "two").replace("0", "2"))
        write(own / "tests/exercises/01-1-zero/test.py", test.replace("0", "5"))
        write(c.top / "build/in/02-2-two/two.c", STARTER.replace("7", "2"))
        write(c.top / "build/in/01-1-zero/zero.c", STARTER.replace("7", "5"))
        said = c.run("grade", c.top / "build/in", OVERLAY=str(own), says="02-2-two 4 of 4 passed")
        expect_in("01-1-zero 2 of 2 passed", said)
        expect_in("02-1-one 0 of 3 missing", said)
        c.run("grade", c.top / "build/in", EXERCISES="02-2", OVERLAY=str(own), says="Points 4 of 4")
        said = c.run("grade", c.top / "build/in", says="01-1-zero 0 of 2 not yet")
        expect("02-2-two" not in said, said)
        c.run("list", says="0 of 2 done")
        c.write("common/build.mk", "library := build/common/common.a\n")  # all is built
        for more, status, says in ([f"OVERLAY={own}"], 0,
                                   "02-2-two: passed"), ([], 1, 'there is no exercise "02-2"'):
            ran = subprocess.run(["make", "-s", "exercise-02-2", f"FROM={own}/solutions/02-2-two",
                                  *more], cwd=c.top,
                                 env=c.environment({}), stdin=subprocess.DEVNULL, text=True,
                                 check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            expect((ran.returncode != 0) == status, f"{more}: {ran.returncode} {ran.stdout}")
            expect_in(says, ran.stdout)
        # All of it in a zip for Gradescope, but for what is solved.
        pack = [c.top / "common/exercises/autograder/pack.py", c.top / "build/pack.zip"]
        ran = subprocess.run([sys.executable, *pack, "01-1", "02-2"],
                             env=c.environment({"OVERLAY": str(own)}), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        expect_in("2 exercises, 6 points", ran.stdout)
        with zipfile.ZipFile(c.top / "build/pack.zip") as packed:
            expect(not [name for name in packed.namelist() if "solutions" in name],
                   "a solution is in it")
            in_it = packed.read("tests/exercises/01-1-zero/test.py").decode()
            expect(in_it == test.replace("0", "5"), "the course's test")
            packed.extract("exercises/list", c.top / "build/unpacked")
        names = [exercise.name
                 for exercise in course.read_list(c.top / "build/unpacked/exercises/list")]
        expect(names == ["01-1-zero", "02-2-two"], f"{names}")
        shutil.rmtree(own / "tests/exercises/02-2-two")
        c.run("grade", c.top / "build/in", status=2, OVERLAY=str(own), says="02-2-two has no test")
        c.run("grade", c.top / "build/in", status=2, OVERLAY=f"{own}x", says="no such folder")


def the_overlay_that_is_an_example_works():
    own = tap.ROOT / "common/exercises/autograder/overlay"
    with folder() as top:
        for room, points, says in ("solutions", 4, "passed"), ("exercises", 0, "not yet: it said"):
            ran = subprocess.run([sys.executable, tap.ROOT / "common/exercises/exercise.py",
                                  "grade", own / room, top / room],
                                 env={**os.environ, "OVERLAY": str(own), "EXERCISES": "02-91",
                                      "MINE": str(top / "mine"),
                                      "UNISOLATED": "1"}, cwd=tap.ROOT, stdin=subprocess.DEVNULL,
                                      text=True, check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            expect(ran.returncode == 0, ran.stdout)
            expect_in(f"02-91-how-it-ended {points} of 4 {says}", ran.stdout)


# ---- a class -------------------------------------------------------------------------------------

def a_class_is_graded_at_once():
    """The rest of it in batch.t, which takes longer."""
    with Course() as c:
        top, results = c.top / "build/in", c.top / "build/points"
        write(top / "ann/01-1-zero/zero.c")
        write(top / "=1+1/01-1-zero/zero.c", STARTER)
        zipped(top / "cyd.zip", ("work/01-1-zero/zero.c", GOOD))
        (top / "dan").symlink_to(top / "ann")
        c.run("grade-all", top, results, EXERCISES="01-1", says="4 submissions")
        rows = (results / "points.csv").read_text().splitlines()
        expect(rows[0] == "name,exercise,points,of,outcome,first message", rows[0])
        expect([row.split(",")[:5] for row in rows[1:]] ==
               [["'=1+1", "01-1-zero", "0", "2", "not yet"],
                ["ann", "01-1-zero", "2", "2", "passed"], ["cyd", "01-1-zero", "2", "2", "passed"],
                ["dan", "01-1-zero", "0", "2", "missing"]], f"{rows}")
        expect_in("dan is a link", rows[4])


# ---- what is run ---------------------------------------------------------------------------------

READS = """#include <fcntl.h>
#include <unistd.h>
int main(void)
{
    const char *paths[] = {%s};
    for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (open(paths[i], %s) != -1)
            return 0;
    return 7;
}
"""
EMBEDS = 'asm(".incbin \\"%s\\"");\nint main(void) { return 0; }\n'
EXECUTES = '#include <unistd.h>\nint main(void) { execl("%s", "x", "-h", (char *)NULL); return 7; }\n'
REACHES = """#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
int main(void) { return %s ? 0 : 7; }
"""
LEAVES = """#include <fcntl.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
    const char *paths[] = {"/tmp", "/var/tmp", "/dev/shm", "/run", "/", %(paths)s};
    for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (chdir(paths[i]) == 0)
            close(open("%(left)s", O_CREAT | O_WRONLY, 0666));
    shmget(%(key)d, 4096, IPC_CREAT | 0666);
    msgget(%(key)d, IPC_CREAT | 0666);
    semget(%(key)d, 1, IPC_CREAT | 0666);
    syscall(SYS_mq_open, "%(left)s", O_CREAT | O_RDWR, 0666, NULL);
    return 7;
}
"""


def in_c(*paths):
    return ", ".join(f'"{path}"' for path in paths)


def attacks(c, secret):
    """{what it tries: its text, and what must not be in the results}."""
    solution, test = c.top / "solutions/01-1-zero/zero.c", c.top / "tests/exercises/01-1-zero/test.py"
    chapter = next((path for path in (tap.BUILD / "chapters").rglob("*") if path.is_file()
                    and os.access(path, os.X_OK)
                    and not path.suffix), tap.ROOT / "Makefile")
    judge = [c.top / "common/exercises" / name for name in ("trial.py", "grade.py", "course.py")]
    return {
        "includes a solution": f'#include "{solution}"\n',
        "includes a secret": f'#include "{secret}"\n',
        "embeds a secret": EMBEDS % secret,
        "embeds a solution": EMBEDS % solution,
        "asks whether a solution is there":
            f'#if !__has_include("{solution}")\n#error no\n#endif\nint main(void) {{ return 0; }}\n',
        "reads when it runs": READS % (in_c(secret, solution, test, "/etc/passwd", "/etc/shadow",
                                            c.top, *judge), "O_RDONLY"),
        "reads through another process":
            READS % (in_c(*(f"/proc/{os.getpid()}/{name}"
                            for name in (f"root{secret}", f"cwd{secret}", "environ", "mem"))),
                     "O_RDONLY"),
        "rewrites the tests": READS % (in_c(test, c.top / "tests/exercises/lesson.py",
                                            c.top / "exercises/list", *judge,
                                            "../tests/01-1-zero/test.py",
                                            "../tests/01-1-zero/lesson.py",
                                            "../programs/zero", "../source/zero.c"), "O_WRONLY"),
        "runs a chapter's program": EXECUTES % chapter,
        "signals who grades": REACHES % f"kill({os.getpid()}, 0) == 0",
        "traces who grades": REACHES % f"ptrace(PTRACE_SEIZE, {os.getpid()}, 0, 0) == 0",
        "leaves things behind": LEAVES % {
            "left": LEFT, "key": KEY, "paths": in_c(c.top, c.top / "build", pathlib.Path.home())},
    }


def landlock():
    return max(ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1), 0)


def in_memory():
    return {line.split()[0] for kind in ("shm", "msg", "sem")
            if pathlib.Path("/proc/sysvipc", kind).exists()
            for line in pathlib.Path("/proc/sysvipc", kind).read_text().splitlines()[1:]}


def left():
    places = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/", pathlib.Path.home(), "/dev/mqueue"]
    return [place for place in places if os.access(place, os.X_OK)
            and os.path.lexists(f"{place}/{LEFT}")] + sorted(in_memory() & {str(KEY)})


def all_of_them_earn_nothing(mode):
    """All in one course, one after the other; and who comes last is graded as ever."""
    bare = {"SUPERVISE": "-n", "UNISOLATED": "1"} if mode == "without" else {"UNISOLATED": ""}
    if mode == "with" and not gives_namespaces():
        return "the kernel gives no namespaces here"
    with Course() as c:
        secret = write(c.top / "build/secret",
                       "int main(void) { return 0; } /* the teacher's word */\n")
        secret.chmod(0o600)
        (c.top / "build/in/01-1-zero").mkdir(parents=True)
        before = {path: (path.read_bytes(), path.stat().st_mode) for path in c.top.rglob("*")
                  if path.is_file() and not path.is_relative_to(c.top / "build")}
        for what, text in attacks(c, secret).items():
            if mode == "without" and (landlock() == 0 and os.geteuid() != 0 or "signals" in what
                                      and landlock() < 6
                                      and os.geteuid() != 0):
                continue
            if mode == "without" and landlock() == 0 and ("solution" in what or "reads when" in what
                                                          or "chapter" in what):
                continue  # what is readable to all: the page says so
            write(c.top / "build/in/01-1-zero/zero.c", text)
            said = c.run("grade", c.top / "build/in", EXERCISES="01-1", **bare)
            expect_in("01-1-zero 0 of 2", said)
            expect_in("Points 0 of 2", said)
            expect("broken" not in said, f"{what}: {said}")
            expect("clude" in what or "embeds" in what or "asks" in what or "not yet" in said,
                   f"{what}: was not even tried: {said}")
            expect("the teacher's word" not in said + c.read("build/grade/results.json"),
                   f"{what}: {said}")
            expect(not left(), f"{what}: left {left()}")
            changed = [path for path, (content, how) in before.items()
                       if not path.is_file() or path.read_bytes() != content
                       or path.stat().st_mode != how]
            expect(not changed, f"{what}: {changed}")
            expect(("NOT ISOLATED" in said) == (mode == "without"), said)
        write(c.top / "build/in/01-1-zero/zero.c")
        c.run("grade", c.top / "build/in", EXERCISES="01-1", says="01-1-zero 2 of 2 passed", **bare)
    return None


def where_nothing_keeps_it_apart_nothing_is_run():
    with Course() as c:
        write(c.top / "build/in/01-1-zero/zero.c", 'int main(void) { return 0; }\n')
        said = c.run("grade", c.top / "build/in", status=2, SUPERVISE="-n", UNISOLATED="",
                     says="exercise: what others hand in may do harm, and nothing keeps it apart here (no namespaces")
        expect_in("UNISOLATED=1", said)
        expect(not (c.top / "build/grade").exists(), "there are results")
        said = c.run("grade", c.top / "build/in", SUPERVISE="-n", UNISOLATED="1",
                     says="grade: NOT ISOLATED (no namespaces")
        expect_in("01-1-zero 2 of 2 passed", said)
        c.solve("01-1-zero")
        c.run("grade", SUPERVISE="-n", UNISOLATED="", says="01-1-zero 2 of 2 passed")  # one's own
        if gives_namespaces():
            said = c.run("grade", c.top / "build/in", says="01-1-zero 2 of 2 passed")
            expect("NOT ISOLATED" not in said, said)


def stages_are_closed_to_other_users():
    if not gives_namespaces():
        return "the kernel gives no namespaces here"
    with trial.Stage(ZERO, handin.Answer({"zero.c": b"x"}, shown="x/"), [], 1) as stage:
        expect(not stage.outside.stat().st_mode & 0o077, "others can look into it")
    return None


# ---- running them --------------------------------------------------------------------------------

def as_a_user():
    """What is run once more, by an ordinary user."""
    if os.geteuid() != 0:
        return "this is an ordinary user"
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    if subprocess.run([*become, "test", "-r", tap.ROOT / "exercises/list", "-a", "-x",
                       trial.SUPERVISE],
                      check=False).returncode:
        return "a user cannot read this folder"
    with folder() as top:
        os.chown(top, USER, USER)
        ran = subprocess.run([*become, trial.interpreter()[0], __file__, "attacks"],
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False,
                             env={**os.environ, "TMPDIR": str(top), "HOME": str(top),
                                  "TEST_ONLY": "*"})
    expect(ran.returncode == 0, ran.stdout)
    return None


RUN = [("with namespaces nothing is earned or touched", lambda: all_of_them_earn_nothing("with")),
       ("without namespaces nothing is earned or touched",
        lambda: all_of_them_earn_nothing("without")),
       ("where nothing keeps it apart nothing is run", where_nothing_keeps_it_apart_nothing_is_run),
       ("stages are closed to other users", stages_are_closed_to_other_users)]
REST = [a_text_is_no_part_of_an_answer,
        no_link_counts, what_becomes_a_link_while_it_is_read_is_not_followed,
        no_other_kind_of_file_counts,
        an_archives_links_and_devices_are_none_of_its_files, no_archive_fills_the_machine,
        finds_answers_wherever_they_lie, what_is_refused_has_results, no_name_does_anything,
        names_of_files_are_data,
        a_test_that_breaks_is_an_error_and_the_rest_is_graded,
        memory_errors_are_found_if_that_is_asked_for,
        steps_that_were_passed_have_their_part_of_the_points,
        an_overlay_adds_exercises_and_replaces_tests,
        the_overlay_that_is_an_example_works, a_class_is_graded_at_once]

if __name__ == "__main__":
    tap.adopt_orphans()
    os.environ.setdefault("LESSON_PATIENCE", "60")
    cases = [("the same as an ordinary user", as_a_user), *RUN]
    cases = RUN if sys.argv[1:] == ["attacks"] else cases + [(case.__name__.replace("_", " "), case)
                                                             for case in REST]
    tap.run(cases, together=6, stop=trial.stop_all,
            proofs=[("nothing that ran still lives", tap.no_child_left)])
