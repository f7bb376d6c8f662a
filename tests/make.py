#!/usr/bin/env python3
"""What make itself promises: it understands what it is asked for, or says in a line what to ask
for; what it builds is what was asked for; it says what a machine lacks, and how a file is compiled.

All of it in a copy of the tree, in a folder with a blank in its name, where nothing has been built.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

os.umask(0o022)  # whoever runs this may let everybody write
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tap  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="make-test-")
TREE = pathlib.Path(FOLDER.name) / "a course"
NOBODY = 65534
OURS = ("MAKE", "MFLAGS", "TEST_", "BUILD", "MINE", "CC", "CFLAGS", "CPPFLAGS", "LDFLAGS",
        "COMPILE", "DEPS", "LC_", "LANG")


def copy_of_the_tree():
    for name in "Makefile", "README.md", "common", "chapters", "exercises", "solutions", "tests":
        source = tap.ROOT / name
        if source.is_dir():
            shutil.copytree(source, TREE / name, symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__"))
        else:
            TREE.mkdir(exist_ok=True)
            shutil.copy(source, TREE / name)
    for folder in TREE.parent, TREE:
        folder.chmod(0o755)


def make(*arguments, status=0, user=None, **environment):
    """Runs make; gives what it printed, on stdout and on stderr."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    ran = subprocess.run(["make", *arguments], cwd=TREE, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, env=plain | environment, check=False,
                         user=user, group=user, extra_groups=[] if user else None)
    tap.expect(ran.returncode == status,
               f"make {arguments}: status {ran.returncode}: {ran.stdout}{ran.stderr}")
    return ran.stdout, ran.stderr


def answers(said, *arguments, **options):
    """Make says just this, in lines of 80 columns, and makes nothing."""
    out, err = make(*arguments, status=1, **options)
    tap.equal((out, " ".join(err.replace("\\\n", "").split())), ("", f"make: {said}"))
    for line in err.splitlines():
        assert len(line) <= 80 or line.lstrip().startswith("'/"), err  # a path


def path_without(*names):
    """A folder with all programs of this system but these."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=FOLDER.name))
    for program in {*os.listdir("/bin"), *os.listdir("/usr/bin")} - {*names}:
        (folder / program).symlink_to(shutil.which(program, path="/bin:/usr/bin") or "/nowhere")
    return str(folder)


def targets():
    """The targets that have a text."""
    return re.findall(r"^([\w%.-]+):.* ## ", (TREE / "Makefile").read_text(), re.M)


# ---- what make says ------------------------------------------------------------------------------

def test_plain_make_says_what_comes_first_on_a_small_screen():
    out, _ = make()
    lines = out.splitlines()
    assert len(lines) <= 22 and max(map(len, lines)) <= 80, out
    for name in re.findall(r"^  make (\S+)", out, re.M):
        assert name.replace("NN-K", "%").replace("NN", "%") in targets(), name


def test_make_help_has_all_targets_in_groups_of_80_columns():
    out, _ = make("help")
    assert max(map(len, out.splitlines())) <= 80, out
    groups = ["learn", "measure", "exercises", "teach", "maintain"]
    tap.equal(re.findall(r"^[a-z]+$", out, re.M), groups)
    shown = re.findall(r"^  ([a-z]\S*) ", out, re.M)
    tap.equal(sorted(re.sub("NN-K|NN|NAME", "%", name) for name in shown), sorted(targets()))


def test_numbers_without_zeros_are_understood():
    for goal, command in {"trace-4": "strace.py 04", "trace-7-pidfd": "strace.py 07-pidfd",
                          "fds-4-onefile": "build-04 ", "exercise-4-2": "run '04-2'",
                          "chapter-1": "next.sh 01", "timeline-5-python": "timeline.py 05-python",
                          "hint-4-2": "hint '04-2'", "fact-2-and-2": "facts.py '2-and-2'"}.items():
        out, _ = make("-n", goal)
        assert command in out, out


def test_what_lacks_a_number_is_asked_for_it():
    chapters = sorted(path.name[:2] for path in (TREE / "chapters").glob("[0-9]*"))
    answers(f"which chapter? make trace-NN; NN is one of: {' '.join(chapters)}", "trace")
    answers("which exercise? make exercise-NN-K; make exercises lists them all", "exercise")
    answers("which name? make fact-NAME; make help says more", "fact")


def test_of_what_is_for_servers_the_chapters_that_have_one_are_named():
    serving = "01 04 05 06 07"
    answers(f"which chapter? make live-NN; NN is one of: {serving}", "live")
    for goal in "live-02", "live-2", "timeline-02", "timeline-02-odd":
        answers(f"chapter 02 has no server; say one of: {serving}", goal)
    answers(f'there is no chapter "99"; say one of: {serving}', "live-99")
    out, _ = make("-n", "live-6-lock")
    assert "live.py '06-lock'" in out, out


def test_what_is_not_there_is_told():
    answers('there is no exercise "9-9"; make exercises lists them all', "hint-9-9")
    _, err = make("chapter-99", status=1)
    assert re.fullmatch(r'make: there is no chapter "99"; say one of: 01 .*\n', err), err
    long = "what-would-fill-a-line-of-a-terminal-alone"
    answers(f'there is no "{long}"; make help says all that there is', long)


def test_whatever_number_is_missing_or_wrong_is_told_in_80_columns():
    there = targets()
    some = [target.replace("-%", number) for target in there if "%" in target
            for number in ("", "-99-9")]
    refused = [goal for goal in some if goal not in there and goal != "fact-99-9"]  # a name
    assert len(refused) > 20, refused
    for goal in refused:
        out, err = make("-n", goal, status=1)
        assert not out and max(map(len, err.splitlines())) <= 80, err


def test_of_a_typing_error_the_nearest_target_is_named():
    for typed, meant in {"chapter4": "chapter-04", "chpater-04": "chapter-04", "hepl": "help",
                         "exercise4-2": "exercise-04-2", "tset": "test",
                         "exercse": "exercise-01-1"}.items():
        answers(f'there is no "{typed}"; did you mean: make {meant}', typed)
    answers('there is no "frobnicate"; make help says all that there is', "frobnicate")
    answers('there is no "chapters"; did you mean: make chapter-01', "chapters")  # a folder


def test_one_mistake_among_several_goals_stops_before_any_is_made():
    answers('there is no "hepl"; did you mean: make help', "first", "hepl", "build")
    assert not (TREE / "build").exists()


def test_a_command_that_says_what_is_wrong_has_the_last_word():
    for goal, said in {"solution-1-1": "exercise: first yours: when it passes, ",
                       "diff-01": "diff: chapter 01 has the first server;"}.items():
        for way in [], ["-s"], ["-k"], ["-j2"], ["CC=cc"]:
            out, err = make(*way, goal, status=1)
            assert out == "" and err.startswith(said) and err.count("\n") == 1, err
    out, _ = make("solution-01-1", "FORCE=1")
    tap.expect_in("Why: solutions/01-1-zombies/README.md", out)


def test_of_what_is_not_c_the_compiler_has_the_last_word():
    file = "chapters/04-prefork-select/onefile.c"
    source = TREE / file
    right = source.read_bytes()
    source.write_text('#error "not yet"\n')
    for goals in (["build-04"], ["-k", "build-04"], ["-j2", "-s", f"build/{file[:-1]}o"],
                  ["test-04"], ["chapter-04"], ["-s", "-C", str(source.parent), "build"]):
        out, err = make(*goals, status=1)
        tap.expect_in(f"compile {file}", out)
        assert re.match(rf"{file}:1:2: error: #error .*\n[^*]*$", err), err
        assert "TEST_ONLY" not in err and not re.search("^make", err, re.M), err
    source.write_bytes(right)
    shutil.rmtree(TREE / "build")


def test_a_compiler_that_was_killed_is_told_in_a_line():
    short_lived = TREE / "short-lived-cc"
    short_lived.write_text('#!/bin/sh\ncase $1 in --version) ;; *) kill -KILL $$ ;; esac\n')
    short_lived.chmod(0o755)
    for goals in ["build/common/echo.o"], ["-s", "-k", "build/common/echo.o"], ["accuracy"]:
        _, err = make("CC=./short-lived-cc", *goals, status=1 if goals == ["accuracy"] else 2)
        assert len(re.findall(r"^make.*: \*\*\* .*Error 137$", err, re.M)) == 1, err
    shutil.rmtree(TREE / "build")


def test_whoever_asks_whether_all_is_made_is_told_and_nothing_is():
    goal = "build/common/echo.o"
    tap.equal(make("-q", goal, status=1), ("", ""))
    assert not (TREE / goal).exists()
    make(goal)
    tap.equal(make("-q", goal), ("", ""))
    shutil.rmtree(TREE / "build")


def test_every_recipe_that_builds_runs_where_make_is_silent():
    for file in TREE / "common/build.mk", *TREE.glob("chapters/*/programs.mk"):
        for recipe in re.findall(r"^\t(.*)", file.read_text().replace("\\\n", ""), re.M):
            assert recipe.startswith(("$(run)", "$(call say,", "$(call there,")), (file, recipe)
    text = (TREE / "Makefile").read_text().replace("\\\n", "")
    for target in ("build", "build-%", "exercise-tools", "project-tools",
                   "$(BUILD)/slides/node_modules", "$(BUILD)/book/node_modules"):
        recipes, = re.findall(rf"^{re.escape(target)}: .*\n((?:\t.*\n)+)", text, re.M)
        for recipe in recipes.splitlines():
            assert recipe.startswith(("\t$(run)", "\t$(call there,")), (target, recipe)


def test_whoever_makes_slides_without_npm_is_told_just_what_is_missing():
    out, err = make("slides", "DEPS=ask", status=1, PATH=path_without("npm"))
    assert out == "" and re.fullmatch(r"setup: missing: .*npm.*\n", err), err


def test_what_is_interrupted_is_no_error_of_make():
    command = ["make", "hint-01-1", "exercise=sh -c 'echo begun; sleep 60'"]
    with subprocess.Popen(command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True) as ran:
        tap.equal(ran.stdout.readline(), "begun\n")
        os.killpg(ran.pid, signal.SIGINT)
        tap.equal((*ran.communicate(), ran.returncode), ("", "", -signal.SIGINT))


def test_it_understands_in_every_locale():
    for locale in "C", "tr_TR.UTF-8":
        answers('there is no "hINT-04-1"; did you mean: make hint-04-1', "hINT-04-1",
                LC_ALL=locale)
        make("help", LC_ALL=locale)


def test_a_chapter_s_folder_has_its_part():
    room = next((TREE / "chapters").glob("04-*")).relative_to(TREE)
    out, _ = make("-n", "-C", str(room), "trace")
    assert "strace.py 04" in out, out
    answers("a chapter has build test time trace fds break live diff timeline. "
            "All else is made at the top: cd ../..", "-s", "-C", str(room), "grade")


# ---- where it builds -----------------------------------------------------------------------------

def test_a_folder_that_cannot_be_is_told():
    answers("BUILD is empty; say a folder, such as BUILD=build", "build", "BUILD=")
    answers("BUILD='a b' has a blank in it, and make can build in no such folder", "build",
            "BUILD=a b")


def test_a_folder_with_other_things_in_it_is_neither_built_in_nor_removed():
    theirs = TREE / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").touch()
    for folder in "exercises", ".", "..", "/", "theirs":
        for goal in "clean", "build":
            answers(f"BUILD={folder} is no folder that make has made: say one of its own, such as BUILD=build/other",
                    goal, f"BUILD={folder}")
    tap.equal([path.name for path in theirs.iterdir()], ["thesis.tex"])
    make("build/other/flags", "BUILD=build/other")
    make("clean", "BUILD=build/other")
    assert not (TREE / "build/other").exists()
    shutil.rmtree(TREE / "build")


def test_what_another_user_has_built_is_told_with_what_mends_it():
    if os.geteuid() != 0:
        return "only root can be another user"
    named = subprocess.run(["id", "-un", str(NOBODY)], capture_output=True, text=True, check=False)
    nobody = named.stdout.strip() or NOBODY
    root, sudo = ("", "sudo ") if shutil.which("sudo") else (", as root", "")
    mend = f"make was run by that user before. Mend it once{root}: {sudo}chown -R {nobody}"
    answers(f"this folder belongs to root: {mend} '{TREE}'", "build", user=NOBODY)
    make("first", user=NOBODY)
    subprocess.run(["chown", "-R", str(NOBODY), TREE], check=True)
    make("build/flags")
    answers(f"build belongs to root: {mend} '{TREE / 'build'}'", "build", user=NOBODY)
    os.chown(TREE / "build", NOBODY, NOBODY)
    answers(f"build/flags belongs to root: {mend} '{TREE / 'build'}'", "build/flags", user=NOBODY)
    subprocess.run(["chown", "-R", str(NOBODY), TREE / "build"], check=True)
    make("build/flags", user=NOBODY)
    return None


# ---- what it builds ------------------------------------------------------------------------------

def test_other_flags_are_another_build_and_the_same_are_none():
    goal = ["-s", "build/common/arguments.o", "build/common/trace/trace.so"]

    def built():
        return [(TREE / name).stat().st_mtime_ns for name in goal[1:]]

    make(*goal)
    first = built()
    make(*goal)
    tap.equal(built(), first)
    for flags in (["CFLAGS=-O0 -g"], ["CFLAGS=-O0 -g", "CPPFLAGS=-DSAID='a b'"], ["CC=gcc"],
                  ["LDFLAGS=-s"], []):
        before = built()
        make(*goal, *flags)
        assert all(new > old for new, old in zip(built(), before)), flags
        now = built()
        make(*goal, *flags)
        tap.equal(built(), now)


def test_what_was_made_while_others_asked_for_other_flags_is_not_kept():
    slow = TREE / "slow-cc"  # during which another make comes
    slow.write_text('#!/bin/sh\ncase "$*" in *arguments.c*) MAKEFLAGS= make -s build/flags CC=gcc CFLAGS=-O0 ;; esac\nexec cc "$@"\n')
    slow.chmod(0o755)
    goal = "build/common/arguments.o"
    _, err = make("-s", goal, "CC=./slow-cc", status=1)
    assert "meanwhile another make builds in build with other flags" in err, err
    assert not (TREE / goal).exists()
    make("-s", goal)
    assert (TREE / goal).exists()


def test_all_that_is_compiled_depends_on_the_flags():
    out, _ = make("-np", "build", "tests", "exercise-tools", "build/tests/accuracy/slow")
    rules = dict(re.findall(r"^(build/\S+\.(?:o|so)|build/tests/accuracy/slow): (.*)$", out, re.M))
    assert len(rules) > 60, rules.keys()
    for target, needs in rules.items():
        assert "build/flags" in needs.split(), f"{target}: {needs}"


def test_what_is_built_is_tested_in_a_folder_with_a_blank_in_its_name():
    out, err = make("test-02")
    assert re.search(r"^Files=[1-9].*\nResult: PASS$", out, re.M), out + err


def test_what_fails_is_shown_with_the_reason():
    source = TREE / "tests/chapters/02-socketpair/fails.c"
    source.write_text('#include "support.h"\n'
                      "static void seven_is_eight(void **state)\n"
                      "{\n    (void)state;\n    assert_int_equal(7, 8);\n}\n"
                      "int main(void)\n{\n    const struct CMUnitTest tests[] = "
                      "{cmocka_unit_test(seven_is_eight)};\n    return run_chosen(tests);\n}\n")
    try:
        out, err = make("test-02", status=1)
    finally:
        source.unlink()
    assert "not ok 1 - seven_is_eight" in out, out + err
    assert re.search(r"^# +0x7 != 0x8$", err, re.M) and "fails.c:5" in err, out + err


def test_what_is_built_is_said_at_the_end_also_when_it_was_there():
    make("build-02")
    said = r"build-02: \d programs are in build/chapters/02-socketpair\n"
    out, err = make("build-02")
    assert re.fullmatch(said, out) and not err, out + err
    tap.equal(make("-s", "build-02"), ("", ""))


# ---- what a machine lacks ------------------------------------------------------------------------

def test_the_line_of_the_readme_is_what_all_targets_need():
    text = (TREE / "README.md").read_text().replace("\\\n", "")
    shown, = re.findall(r"^    (apt-get update && .*)$", text, re.M)
    wanted = subprocess.run([TREE / "common/setup.sh", "--line", "apt-get"], capture_output=True,
                            text=True, check=True).stdout
    assert shown.split() == [word for word in wanted.split() if "=" not in word], wanted


def test_a_target_asks_only_for_tools_that_the_line_brings():
    brought = re.search(r"^required='(.*)'$", (TREE / "common/setup.sh").read_text(), re.M)
    known = set(brought[1].split())
    asking = re.compile(r"setup\.sh (?:--optional )?([a-z][\w +-]*?)(?: && .*|\)?)$", re.M)
    asked = set(" ".join(asking.findall((TREE / "Makefile").read_text())).split())
    # To do without, for the project, and for those who look after the course:
    others = {"apache2", "xinetd", "socat", "curl", "ab", "llhttp", "clang", "clang-format",
              "clang-tidy", "cppcheck", "shellcheck", "musl-gcc", "gcc-multilib", "valgrind",
              "gcovr", "spin", "libfuzzer", "npm", "po4a", "sphinx", "chromium"}
    assert {"python3", "gnuplot", "ss"} < asked, asked
    assert asked <= known | others, asked - known - others


def test_who_chooses_another_compiler_is_asked_for_nothing_but_that():
    path = path_without("clang", "gdb")  # gdb: something else that may be missing
    _, err = make("build/flags", "CC=clang", "DEPS=ask", status=1, PATH=path)
    assert re.fullmatch(r"setup: missing: clang; .*\n", err), err


# ---- compile_commands.json -----------------------------------------------------------------------

def test_every_c_file_is_in_compile_commands_and_compiles_so():
    out, _ = make("compile_commands.json")
    entries = json.loads((TREE / "compile_commands.json").read_text())
    files = {str(path.relative_to(TREE)) for path in TREE.rglob("*.c")}
    hostile = {path for path in files if path.startswith("tests/exercises/nasty/")}
    tap.equal(sorted(entry["file"] for entry in entries), sorted(files - hostile))
    tap.equal(out, f"compile_commands.json says how {len(entries)} files are compiled\n")
    assert all(entry["directory"] == str(TREE) for entry in entries)
    # The parser of the project is not among what `make test` asks for.
    has_parser = subprocess.run([TREE / "common/setup.sh", "llhttp"], env=os.environ | {"DEPS": "ask"}, check=False,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    commands = "\n".join(f"{entry['command']} -fsyntax-only -w || echo {entry['file']}" for entry in entries
                         if has_parser or "<llhttp.h>" not in (TREE / entry["file"]).read_text())
    ran = subprocess.run(["xargs", "-d", "\n", "-P", "4", "-n", "1", "sh", "-c"], input=commands,
                         cwd=TREE, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         check=False)
    tap.equal(ran.stdout, "")


if __name__ == "__main__":
    copy_of_the_tree()
    tap.run(vars(), seconds=900)  # many trees are built
