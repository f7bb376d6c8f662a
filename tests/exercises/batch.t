#!/usr/bin/env python3
"""Thirty submissions, in all the shapes in which they come, graded in one go: what stands in the
tables, five times the same; that what was graded is not graded again; and what is alike in them.
"""
import csv
import io
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import tap  # noqa: E402
from tap import expect, expect_in  # noqa: E402
from lesson import wait_until  # noqa: E402
from small import ME, STARTER, Course  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/exercises"))
import trial  # noqa: E402

ZERO, ONE = STARTER.replace("7", "0"), STARTER.replace("7", "1")
TWO = "#!/usr/bin/env python3\n"
BROKEN = "int main(void) { return }\n"


def folder(top, name, files):
    for path, text in files.items():
        (top / name / path).parent.mkdir(parents=True, exist_ok=True)
        (top / name / path).write_text(text)


def zipped(path, files):
    with zipfile.ZipFile(path, "w") as pack:
        for name, text in files.items():
            pack.writestr(name, text)


def tarred(path, files):
    with tarfile.open(path, "w:gz") as pack:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            pack.addfile(entry, io.BytesIO(text.encode()))


def hand_in(top):
    """Fills a folder with thirty submissions. Gives {name: (points of 01-1, of 02-1, what is said
    of the first)}."""
    expected = {}
    both = {"01-1-zero/zero.c": ZERO, "02-1-one/one.c": ONE, "02-1-one/two.py": TWO}
    for i in range(8):
        folder(top, f"good {i}", {f"exercises/{path}": text for path, text in both.items()})
        expected[f"good {i}"] = 2, 3, ""
    for i in range(4):
        zipped(top / f"zip{i}.zip", {f"work/{path}": text for path, text in both.items()})
        expected[f"zip{i}"] = 2, 3, ""
    for i in range(3):
        tarred(top / f"tar{i}.tar.gz",
               {path: text for path, text in both.items() if path[:2] == "01"})
        expected[f"tar{i}"] = 2, 0, ""
    for i in range(3):
        folder(top, f"wrong{i}",
               {"01-1-zero/zero.c": STARTER, "02-1-one/one.c": ONE, "02-1-one/two.py": TWO})
        expected[f"wrong{i}"] = 0, 3, "7"
    for i in range(2):
        folder(top, f"typo{i}", {**both, "01-1-zero/zero.c": BROKEN})
        expected[f"typo{i}"] = 0, 3, "zero.c:1:"
    # Moodle's and Canvas's names; two of one name.
    (top / "One Learner_101_assignsubmission_file_").mkdir()
    zipped(top / "One Learner_101_assignsubmission_file_/answers.zip", both)
    folder(top, "One Learner_102_assignsubmission_file_", {"01-1-zero/zero.c": STARTER})
    expected["One Learner (101)"], expected["One Learner (102)"] = (2, 3, ""), (0, 0, "7")
    zipped(top / "roejohn_LATE_55_777_answers.zip", both)
    expected["roejohn"] = 2, 3, ""
    # What means harm, or is none.
    (top / "a link").symlink_to(top / "good 0")
    expected["a link"] = 0, 0, "not taken: a link is a link"
    (top / "inside").mkdir()
    (top / "inside/exercises").symlink_to(top / "good 0/exercises")
    expected["inside"] = 0, 0, "not taken: there is no exercise in it"
    (top / "essay.docx").write_text("x")
    expected["essay.docx"] = 0, 0, "not taken: there is no exercise in it"
    folder(top, '=HYPERLINK("http:!!x","<b>y")', both)
    expected['=HYPERLINK("http:!!x","<b>y")'] = 2, 3, ""
    folder(top, "..'; touch hit; '", both)
    expected["..'; touch hit; '"] = 2, 3, ""
    folder(top, "new\nline", {"01-1-zero/zero.c": ZERO})
    expected["new\nline"] = 2, 0, ""
    os.mkfifo(top / "pipe.zip")
    expected["pipe"] = 0, 0, "not taken: pipe.zip is a pipe"
    expect(len(expected) == 30, f"{len(expected)} submissions")
    return expected


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def in_a_cell(name):
    """As a table has it: nothing that a spreadsheet takes for a formula."""
    name = re.sub(r"\s+", " ", name)
    return f"'{name}" if name[0] == "=" else name


def thirty_submissions_five_times():
    with Course() as c:
        top, first = c.top / "build/in", None
        top.mkdir(parents=True)
        expected = hand_in(top)
        for again in range(5):
            results = c.top / f"build/points{again}"
            c.run("grade-all", top, results, says="30 submissions: build/points")
            table = rows(results / "points.csv")
            expect(table[0] == ["name", "exercise", "points", "of", "outcome", "first message"],
                   f"{table[0]}")
            found = {}
            for name, exercise, points, most, outcome, message in table[1:]:
                expect(most == {"01-1-zero": "2", "02-1-one": "3"}[exercise], most)
                expect((points == most) == (outcome == "passed") == (message == ""),
                       f"{name} {exercise}: {outcome} {message}")
                found.setdefault(name, []).append((int(points), message))
            expect(set(found) == set(map(in_a_cell, expected)),
                   f"{set(found) ^ set(map(in_a_cell, expected))}")
            for name, (zero, one, says) in expected.items():
                got = found[in_a_cell(name)]
                expect([points for points, _ in got] == [zero, one], f"{name}: {got}")
                expect_in(says, got[0][1])
            sums = {name: (int(points), int(most)) for name, points,
                    most in rows(results / "totals.csv")[1:]}
            wanted = {in_a_cell(name): (zero + one, 5) for name, (zero, one, _) in expected.items()}
            expect(sums == wanted, f"{sums}")
            what = (results / "points.csv").read_bytes(), (results / "index.html").read_bytes()
            first = first or what
            expect(what == first, "another run has other results")
            page = (results / "index.html").read_text()
            expect_in("30 submissions", page)
            expect("<b>" not in page, "a name is taken for HTML")
            expect(results.stat().st_mode & 0o077 == 0, "others can read the points")
        expect(not list(c.top.rglob("hit")), "a name was run")


def what_was_graded_is_not_graded_again():
    with Course() as c:
        top, results = c.top / "build/in", c.top / "build/points"
        for name in "ann", "bob", "cyd":
            folder(top, name, {"01-1-zero/zero.c": ZERO})
        c.run("grade-all", top, results, EXERCISES="01-1", says="3 submissions")

        def stamps():
            return {name: (results / name / "graded.json").stat().st_mtime_ns
                    for name in ("ann", "bob", "cyd")}
        before = stamps()
        c.run("grade-all", top, results, EXERCISES="01-1")
        expect(stamps() == before, "graded again")
        (top / "bob/01-1-zero/zero.c").write_text(STARTER)
        c.run("grade-all", top, results, EXERCISES="01-1")
        now = stamps()
        expect([name for name in now if now[name] != before[name]] == ["bob"], f"{now}")
        expect([row[2] for row in rows(results / "points.csv")[1:]] == ["2", "0", "2"], "points")
        # With another test, or other rules, all are.
        c.write("tests/exercises/01-1-zero/test.py",
                c.read("tests/exercises/01-1-zero/test.py") + "# new\n")
        c.run("grade-all", top, results, EXERCISES="01-1")
        expect(all(stamps()[name] != now[name] for name in now), "not graded anew")
        # What broke is tried again; nothing else.
        c.write("tests/exercises/01-1-zero/test.py", "import what_is_not_there\n")
        c.run("grade-all", top, results, EXERCISES="01-1", status=2,
              says="3 errors: a test itself broke")
        expect_in(">error</a>", (results / "index.html").read_text())
        now = stamps()
        c.run("grade-all", top, results, EXERCISES="01-1", status=2)
        expect(all(stamps()[name] != now[name] for name in now), "an error was kept")


def one_that_was_interrupted_goes_on():
    with Course() as c:
        top, results = c.top / "build/in", c.top / "build/points"
        c.write("tests/exercises/02-1-one/test.py", "import time\ntime.sleep(1000)\n")
        folder(top, "ann", {"01-1-zero/zero.c": ZERO})
        folder(top, "bob",
               {"01-1-zero/zero.c": ZERO, "02-1-one/one.c": ONE, "02-1-one/two.py": TWO})
        process = subprocess.Popen(c.command("grade-all", top, results), env=c.environment({}),
                                   cwd=c.top,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        begun = wait_until((results / "ann/graded.json").exists, tap.PATIENCE)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=tap.PATIENCE)[0]
        expect(begun and process.returncode == 130, f"{process.returncode} {said}")
        expect(not (results / "bob/graded.json").exists(), "of bob nothing is known yet")
        stamp = (results / "ann/graded.json").stat().st_mtime_ns
        c.run("grade-all", top, results, EXERCISES="01-1")
        expect((results / "ann/graded.json").stat().st_mtime_ns != stamp,
               "other exercises, and not graded again")


def after_an_interruption_nothing_is_started():
    """Not even by a thread that was between two programs just then: whoever presses Ctrl-C would
    wait for its test."""
    program = ("import sys; sys.path.insert(0, sys.argv[1])\n"
               "import course, grade, trial\n"
               "trial.stop_all()\n"
               "one = course.find('01-1')\n"
               "print(grade.try_one(one, one.starter, grade.Settings()).words)\n")
    with Course() as c:
        ran = subprocess.run([sys.executable, "-c", program, str(c.top / "common/exercises")],
                             env=c.environment({}), stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=tap.PATIENCE, check=False)
    expect_in("could not be tested, which is no fault of yours: interrupted", ran.stdout)


def what_is_alike_is_told():
    if not shutil.which("sim_c"):
        return "similarity-tester is not installed"
    with Course() as c:
        top, results = c.top / "build/in", c.top / "build/points"

        def answer(seed):
            """A program of some length; each is another, but for the names that one may change."""
            chosen = random.Random(seed)

            def term(depth):
                if depth == 0:
                    return chosen.choice(["value", "3"])
                left, right = term(depth - chosen.randint(1, depth)), term(depth - 1)
                return f"({left} {chosen.choice('+-*^&|<>')} {right})"
            kinds = ["if (%s) value++;", "value = %s;", "while (value > %s) value /= 2;",
                     "do value--; while (%s > value);"]
            lines = [f"    {chosen.choice(kinds) % term(5)}" for _ in range(30)]
            return "static int work(int value)\n{\n" + "\n".join(lines) + "\n    return value & 0;\n}\n" \
                "int main(int count, char **words) { (void)words; return work(count); }\n"
        folder(top, "ann", {"01-1-zero/zero.c": answer("ann")})
        folder(top, "bob", {"01-1-zero/zero.c": answer("bob")})
        folder(top, "cyd",
               {"01-1-zero/zero.c": answer("ann").replace("value", "v").replace("work", "does_it")})
        folder(top, "dan", {"01-1-zero/zero.c": STARTER})
        folder(top, "eve", {"01-1-zero/zero.c": STARTER})
        c.run("grade-all", top, results, EXERCISES="01-1")
        pairs = {(row[1], row[3]) for row in rows(results / "similar.csv")[1:]}
        expect(pairs == {("ann", "cyd"), ("cyd", "ann")}, f"{pairs}")
        expect_in("ann", (results / "index.html").read_text().partition("Alike")[2])
    return None


def a_class_that_hands_in_repositories():
    """With collect.sh, as class.yml has it."""
    with Course() as c:
        site = c.top / "build/site"
        for name, files in {"school/ann": {"exercises/01-1-zero/zero.c": ZERO},
                            "school/bob": {"exercises/01-1-zero/zero.c": STARTER}}.items():
            folder(site, name, files)
            for words in ["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]:
                subprocess.run(["git", "-C", site / name, *ME, *words], check=True,
                               env=c.environment({}))
        (site / "school/eve").mkdir()
        (site / "school/eve/exercises").symlink_to(c.top / "solutions")
        for words in ["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]:
            subprocess.run(["git", "-C", site / "school/eve", *ME, *words], check=True,
                           env=c.environment({}))
        c.write("build/roster",
                "# who\nschool/ann\nschool/bob  x\n\nschool/eve\nschool/gone\n--upload-pack=touch${IFS}hit/x\n"
                                "../../etc/passwd\nschool/..\nschool/a;touch\n")
        ran = subprocess.run([c.top / "common/exercises/autograder/collect.sh", "build/roster",
                              "build/in"], cwd=c.top,
                             env=c.environment({"SITE": f"file://{site}"}), text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        expect(ran.returncode == 1, ran.stdout)
        expect_in("school/gone: not cloned", ran.stdout)
        expect(ran.stdout.count("not of the form owner/name") == 4, ran.stdout)
        expect(sorted(os.listdir(c.top / "build/in")) == ["school_ann", "school_bob", "school_eve",
                                                          "school_gone"], "folders")
        c.run("grade-all", c.top / "build/in", c.top / "build/points", EXERCISES="01-1",
              says="4 submissions")
        sums = {name: points for name, points, _ in rows(c.top / "build/points/totals.csv")[1:]}
        expect(sums == {"school_ann": "2", "school_bob": "0", "school_eve": "0",
                        "school_gone": "0"}, f"{sums}")
        expect(not list(c.top.rglob("hit")), "a line of the roster was run")


def what_is_missing_is_said():
    with Course() as c:
        c.run("grade-all", status=2,
              says="exercise: say where the submissions are: SUBMISSIONS=folder")
        c.run("grade-all", c.top / "none", status=2, says="none: No such file or directory")
        (c.top / "build/in").mkdir(parents=True, exist_ok=True)
        c.run("grade-all", c.top / "build/in", status=2, says="there is no submission in it")
        folder(c.top / "build/in", "ann", {"01-1-zero/zero.c": ZERO})
        c.run("grade-all", c.top / "build/in", status=2, says="nothing keeps it apart here",
              SUPERVISE="-n",
              UNISOLATED="")


CASES = [thirty_submissions_five_times, what_was_graded_is_not_graded_again,
         one_that_was_interrupted_goes_on, after_an_interruption_nothing_is_started,
         what_is_alike_is_told, a_class_that_hands_in_repositories, what_is_missing_is_said]

if __name__ == "__main__":
    tap.adopt_orphans()
    os.environ.setdefault("LESSON_PATIENCE", "60")
    tap.run([(case.__name__.replace("_", " "), case) for case in CASES], together=2, seconds=900,
            stop=trial.stop_all,
            proofs=[("nothing that ran still lives", tap.no_child_left)])
