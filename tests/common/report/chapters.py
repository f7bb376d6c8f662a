#!/usr/bin/env python3
"""Test of common/report/chapters.py, and of the programs that ask it. The rooms are this test's own: 07 has a server,
08 has none, 09 has nothing to show yet."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import chapters  # noqa: E402
import paths  # noqa: E402
import program  # noqa: E402

# A tree with the real engines and other chapters.
TREE = pathlib.Path(tempfile.mkdtemp(prefix="chapters-test-"))
shutil.copytree(tap.ROOT / "common", TREE / "common", ignore=shutil.ignore_patterns("__pycache__"))
paths.ROOT, paths.BUILD = TREE, TREE / "build"
SEVEN = '''
COMPARED = True
def measure(name):
    print(f"measures {name}")
'''
EIGHT = '''
import plots, tables
ROLES = "boss", "hand {}", "ear", "eye"
TRACED = ["true"]
def break_it():
    print("breaks", tables.__name__)
def look():
    print("looks")
'''
for name, text in (("07-one", SEVEN), ("08-two", EIGHT), ("09-three", None)):
    (TREE / "chapters" / name).mkdir(parents=True)
    if text:
        (TREE / "chapters" / name / "show.py").write_text(text)
(TREE / "chapters/compare.svg").touch()
(TREE / "build").mkdir()
(TREE / "build/servers.tsv").write_text("name\tchapter\tprogram\targuments\tlabel\tfamily\tcan\n"
                                        "07\t07-one\tno/such\t\t7\tf\trest=0\n"
                                        "07-odd\t07-one\tno/such\t\t7 odd\tf\trest=0\n")


def run(script, *arguments):
    """Gives status, output and error output."""
    environment = os.environ | {"BUILD": "build", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run([sys.executable, TREE / "common" / script, *arguments], env=environment,
                            capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def test_rooms_are_found_and_nothing_else():
    tap.equal({number: folder.name for number, folder in chapters.rooms().items()},
              {"07": "07-one", "08": "08-two", "09": "09-three"})


def test_what_a_room_says_is_found():
    tap.equal(chapters.roles("07"), ("master", "worker {}", ()))
    tap.equal(chapters.roles("08"), ("boss", "hand {}", ("ear", "eye")))
    tap.equal([chapters.servers(number) for number in ("07", "08")], [["07", "07-odd"], []])
    tap.equal(chapters.having("measure"), ["07"])
    tap.equal(chapters.compared(), ["07"])


def test_what_a_room_does_not_say_is_one_clear_line():
    tap.equal(tap.raises(program.Failure, chapters.said, "07", "break_it", "failure to show"),
              "chapter 07 has no failure to show: there is no break_it in chapters/07-one/show.py")
    tap.equal(tap.raises(program.Failure, chapters.said, "09", "break_it", "failure to show"),
              "chapter 09 shows nothing: it has no chapters/09-three/show.py")
    tap.equal(tap.raises(program.Failure, chapters.room, "10"), 'there is no chapter "10"; say one of: 07 08 09')


def test_each_program_does_what_the_room_says():
    tap.equal(run("report/time-chapter.py", "07"), (0, "measures chapter-07\n", ""))
    tap.equal(run("lab/break.py", "08"), (0, "breaks tables\n", ""))
    tap.equal(run("lab/fds.py", "08"), (0, "looks\n", ""))


def test_each_program_has_a_line_for_what_is_not_there():
    for script, number, said in (
            ("report/time-chapter.py", "08", "chapter 08 has no measurement: there is no measure in chapters/08-two/show.py"),
            ("lab/break.py", "07", "chapter 07 has no failure to show: there is no break_it in chapters/07-one/show.py"),
            ("lab/fds.py", "09", "chapter 09 shows nothing: it has no chapters/09-three/show.py"),
            ("lab/strace.py", "09", "chapter 09 shows nothing: it has no chapters/09-three/show.py"),
            ("report/timeline.py", "08", '"08" has no server; say one of: 07 07-odd')):
        tap.equal(run(script, number), (1, "", f"{script.partition('/')[2]}: {said}\n"))


try:
    tap.run(vars())
finally:
    shutil.rmtree(TREE, ignore_errors=True)
