#!/usr/bin/env python3
"""The commands of the exercises; make calls them. NUMBER is an exercise's, such as 04-2.

exercise.py list                  all exercises, and which are done
exercise.py run NUMBER [FROM]     build and test what is in the exercise's folder,
                                  or in the folder FROM
exercise.py hint NUMBER           one hint more at each call
exercise.py watch NUMBER          run, and again whenever a file is saved
exercise.py reset NUMBER          the starter again; yours is kept
exercise.py solution NUMBER       what differs between yours, which passes, and ours
exercise.py grade [SUBMISSION [RESULTS]]   all exercises in a folder, zip or tar;
                                  the results go to a folder
exercise.py grade-all [SUBMISSIONS [RESULTS]]   the same of all submissions in a
                                  folder: tables, and a page

For whoever looks after the exercises; patches.py says more:

exercise.py starters              note what the starters are, after one was changed
exercise.py wrong NUMBER WHAT FOLDER [SAYS]   keep what is in a folder as a wrong
                                  answer, of which the test says SAYS
exercise.py passes NUMBER WHAT FOLDER [SAYS]  the same, as an answer that passes;
                                  SAYS can be a remark
exercise.py rebase NUMBER [BASE]  solution, starter and other answers follow what
                                  they are made of, after that was changed; NUMBER
                                  can be a chapter's. BASE: from now on it is made
                                  of this file

Environment: BUILD (the folder of what is built), MINE (that of what is the
learner's), COMPILE, LDFLAGS, FORCE=1 (for reset and solution), SINCE (for
rebase: a commit at which all was well, HEAD without it). For grade: SUBMISSION,
RESULTS, EXERCISES='01-1 04-2' (only these), SANITIZE=1, PARTIAL=1 (points for
steps that were passed), UNISOLATED=1 (go on where nothing keeps it apart).
"""
import contextlib
import difflib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # no __pycache__ among the sources
import course  # noqa: E402
import mine  # noqa: E402
import trial  # noqa: E402
from course import Mistake, is_done  # noqa: E402

sys.path.append(str(course.TOP / "common/report"))
import terminal  # noqa: E402

PASSED, NOT_YET, BROKEN = 0, 1, 2
forced = course.flag("FORCE")


# ---- where the learner stands --------------------------------------------------------------------

def next_after(exercise=None):
    """The first exercise that is not done, from `exercise` on and then from the beginning."""
    exercises = course.read_list()
    begin = next((i for i, one in enumerate(exercises) if exercise and one.name == exercise.name), 0)
    return next((one for one in exercises[begin:] + exercises[:begin] if not is_done(one)), None)


def note(trials):
    """Notes what passed: triples of exercise, digest of what was tested, and outcome."""
    try:
        for exercise, tested, outcome in trials:
            if outcome.kind != "broken":
                course.note_outcome(exercise, tested, outcome.passed)
    except mine.Unwritable as reason:
        terminal.complain(f"exercise: not noted: {reason}")


def what_next(exercise):
    """The next exercise, and before it the chapter if that is another one."""
    coming = next_after(exercise)
    if not coming:
        return "That was the last one: all are done."
    chapter = coming.number.partition("-")[0]
    if chapter == exercise.number.partition("-")[0]:
        return f"Next: exercises/{coming.name}/README.md, and then make exercise-{coming.number}"
    text = next(folder / "README.md" for folder in course.CHAPTERS if folder.name.startswith(f"{chapter}-"))
    return f"Next: {text}, and then exercises/{coming.name}/README.md"


# ---- commands ------------------------------------------------------------------------------------

def list_all():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # make exercises | head
    exercises = course.read_list()
    coming = next_after()
    digits = max((len(exercise.number) for exercise in exercises), default=0)
    width = max((len(exercise.title) for exercise in exercises), default=0)
    for exercise in exercises:
        if is_done(exercise):
            mark = "done"
        elif exercise is coming or coming and exercise.name == coming.name:
            mark = "next"
        else:
            mark = "" if course.is_starter(exercise) else "begun"
        print(f"{exercise.number:<{digits}}  {mark:<5}  {exercise.title:<{width}}  {exercise.kind:<5}"
              f"{exercise.minutes:>4} min{exercise.points:>4} points")
    done = [exercise for exercise in exercises if is_done(exercise)]
    print(f"\n{len(done)} of {len(exercises)} done, {sum(e.points for e in done)} of "
          f"{sum(e.points for e in exercises)} points.")
    if coming:
        print(f"Next: exercises/{coming.name}/README.md, and then make exercise-{coming.number}")
    return PASSED


def run(number, source=None):
    exercise = course.find(number)
    own = source is None
    folder = exercise.starter if own else pathlib.Path(source).absolute()
    if not folder.is_dir():
        raise Mistake(f"{source or folder}: no such folder")
    tested = course.digest(course.files_of(folder))
    with patience_asked(exercise):
        outcome = trial.try_out(exercise, folder, keep=True, color=sys.stdout.isatty())
    sys.stdout.write(outcome.warnings + outcome.words)
    if own:
        note([(exercise, tested, outcome)])
    if own and outcome.passed:
        print("\n" + terminal.wrapped(f"Read: solutions/{exercise.name}/README.md, and compare: "
                                      f"make solution-{exercise.number}", "", "  "))
        print(terminal.wrapped(what_next(exercise), "", "  "))
    elif own and outcome.kind == "not yet":
        print(f"\nStuck? make hint-{exercise.number}")
    return PASSED if outcome.passed else BROKEN if outcome.kind == "broken" else NOT_YET


@contextlib.contextmanager
def patience_asked(exercise):
    """Says on a terminal why the block takes long, once it has for two seconds; until it ends."""
    ends = threading.Event()
    longest = course.seconds("LESSON_PATIENCE", 10)

    def say():
        if not ends.wait(2):
            print(f"testing {exercise.name}; what must become true has {longest:g} seconds ...",
                  end="", file=sys.stderr, flush=True)
            ends.wait()
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    speaker = threading.Thread(target=say)
    if sys.stderr.isatty():
        speaker.start()
    try:
        yield
    finally:
        ends.set()
        if speaker.is_alive():
            speaker.join()


def hint(number):
    exercise = course.find(number)
    if not exercise.hints:
        raise Mistake(f"{exercise.name} has no hints")
    given = exercise.kept / "hints"
    count = min(int(given.read_text()) if given.is_file() else 0, len(exercise.hints) - 1) + 1
    mine.make(exercise.kept)
    with mine.writing():
        course.write(given, f"{count}\n")
    for i, text in enumerate(exercise.hints[:count], 1):
        print(terminal.wrapped(text, f"Hint {i} of {len(exercise.hints)}: ", "    "))
    if count == len(exercise.hints):
        print(f"That is all. Ours, if you give up: make solution-{exercise.number} FORCE=1")
    return PASSED


def watch(number):
    exercise = course.find(number)
    before = None
    try:
        while True:
            now = [(path.name, stamp(path)) for path in course.files_of(exercise.starter)]
            if now != before:
                before = now
                if sys.stdout.isatty():
                    print("\033[2J\033[H", end="")
                run(number)
                print(f"\nWatching exercises/{exercise.name}; Ctrl-C ends it.", flush=True)
            time.sleep(0.25)
    except KeyboardInterrupt:
        print()
        return PASSED


def stamp(path):
    """What changes when a file is saved; None while an editor replaces it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def reset(number):
    exercise = course.find(number)
    folder = f"exercises/{exercise.name}"
    if course.is_starter(exercise) and not missing_files(exercise):
        print(f"{folder} is as it was at the beginning")
        return PASSED
    restored = {name: starter_content(f"{folder}/{name}") for name in exercise.files()}
    if not forced:
        if not sys.stdin.isatty():
            raise Mistake(f"reset would replace your files in {folder}; if you mean it: "
                          f"make reset-{exercise.number} FORCE=1")
        question = (f"Replace your files in {folder} by the starter? "
                    f"They are kept under {trial.shown(exercise.kept)}. [y/N]")
        try:
            answer = input(terminal.wrapped(question) + " ")
        except EOFError:  # Ctrl-D
            answer = ""
            print()
        if answer.strip().lower() not in ("y", "yes"):
            print("Nothing was changed.")
            return NOT_YET
    kept = keep_copy(exercise)
    for path in course.files_of(exercise.starter):
        path.unlink()
    for name, content in restored.items():
        (exercise.starter / name).write_bytes(content)
    print(terminal.wrapped(f"{folder} is as it was at the beginning; "
                           f"yours is in {trial.shown(kept)}"))
    return PASSED


def missing_files(exercise):
    return [name for name in exercise.files() if not (exercise.starter / name).is_file()]


def keep_copy(exercise):
    """Copies the learner's files to a new folder before-reset-N."""
    number = 1
    while (exercise.kept / f"before-reset-{number}").exists():
        number += 1
    kept = exercise.kept / f"before-reset-{number}"
    mine.make(kept)
    with mine.writing():
        for path in course.files_of(exercise.starter):
            shutil.copy2(path, kept / path.name)
            content = before_conflict(path)
            if content is not None:
                (kept / path.name).write_bytes(content)
    return kept


def before_conflict(path):
    """The learner's own version of a file in which git has marked a conflict with ours, else None.

    git has both in its index: his as number 2 while he merges, as number 3 while he rebases.
    """
    name = str(path.relative_to(course.TOP))
    if b"<<<<<<< " not in path.read_bytes():
        return None
    versions = []
    for number in 2, 3:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            versions.append(git("show", f":{number}:{name}"))
    ours = course.starters().get(name)
    return next((content for content in versions
                 if course.hashlib.sha256(content).hexdigest() != ours), None)


def starter_content(path):
    """A starter file as the course gave it, from git. The learner may have committed others since."""
    expected = course.starters().get(path)
    elsewhere = f"take {path} from where you got the course"
    if expected is None:
        raise Mistake(f"{path}: not listed in {course.STARTERS.relative_to(course.TOP)}; {elsewhere}")
    try:
        # Also in a merge that is under way, and after one at which the learner kept his version.
        log = git("log", "--all", "--full-history", "--format=%H", *merging(), "--", path)
    except FileNotFoundError:
        raise Mistake(f"git is not installed, which has the starter; {elsewhere}") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines() or ["git log failed"]
        raise Mistake(f"git does not have the starter ({reason[0]}); {elsewhere}") from None
    for commit in log.decode().split():
        try:
            content = git("show", f"{commit}:{path}")
        except subprocess.CalledProcessError:
            continue  # deleted by this commit
        if course.hashlib.sha256(content).hexdigest() == expected:
            return content
    raise Mistake(f"git's history here does not have the starter; {elsewhere}")


def merging():
    """What is being merged, if anything is."""
    try:
        return git("rev-parse", "--verify", "--quiet", "MERGE_HEAD").decode().split()
    except subprocess.CalledProcessError:
        return []


def git(*arguments):
    return subprocess.run(["git", "-C", str(course.TOP), *arguments], check=True, capture_output=True).stdout


def solution(number):
    exercise = course.find(number)
    if not exercise.solution.is_dir():
        raise Mistake(f"solutions/{exercise.name}: not there")
    if not is_done(exercise) and not forced:
        raise Mistake(f"first yours: when it passes, this shows what differs. If you give up: "
                      f"make solution-{exercise.number} FORCE=1")
    color = sys.stdout.isatty()
    same = True
    for name in exercise.files():
        yours, ours = (folder / name for folder in (exercise.starter, exercise.solution))
        lines = [path.read_text(errors="replace").splitlines() if path.is_file() else [] for path in (yours, ours)]
        for line in difflib.unified_diff(*lines, trial.shown(yours)[:-1], trial.shown(ours)[:-1], lineterm=""):
            same = False
            shade = {"-": "31", "+": "32", "@": "36"}.get(line[:1]) if color else None
            line = terminal.of_diff(line)
            print(f"\033[{shade}m{line}\033[m" if shade else line)
    if same:
        print("Yours is ours, line for line.")
    print(f"\nWhy: solutions/{exercise.name}/README.md")
    return PASSED


def grade_all(submission=None, results=None):
    import grade  # with all its formats, which the other commands need not load

    settings = grade.Settings()
    submission = submission or os.environ.get("SUBMISSION") or course.TOP / "exercises"
    results = results or os.environ.get("RESULTS")
    results = pathlib.Path(results).absolute() if results else course.BUILD / "grade"
    outcomes, remark, own = grade.grade(submission, results, settings)
    grade.print_table(outcomes, results, settings, remark)
    note((outcome.exercise, tested, outcome) for outcome, tested in zip(outcomes, own))
    return BROKEN if any(outcome.kind == "broken" for outcome in outcomes) else PASSED


def grade_everybody(folder=None, results=None):
    import batch

    settings = batch.grade.Settings()
    folder = folder or os.environ.get("SUBMISSIONS")
    if not folder:
        raise Mistake("say where the submissions are: SUBMISSIONS=folder")
    results = results or os.environ.get("RESULTS")
    if not results:
        results = mine.FOLDER / "points"  # not in build/, which make clean removes
        mine.make(results)
    results = pathlib.Path(results).absolute()
    states = batch.grade_all(folder, results, settings)
    broken = sum(one["kind"] == "broken" for state in states.values() for one in state["exercises"])
    print(terminal.wrapped(f"{len(states)} submissions: {terminal.shown(results)}/index.html, "
                           "points.csv, totals.csv"))
    if broken:
        print(terminal.wrapped(f"{broken} errors: a test itself broke, which is nobody's fault of "
                               "those. The same command again grades only these."))
    return BROKEN if broken else PASSED


def note_starters():
    import patches  # which learners do not need, as the two below

    patches.note_starters()
    return PASSED


def wrong(*arguments):
    import patches

    patches.keep_answer("wrong", *arguments)
    return PASSED


def passes(*arguments):
    import patches

    patches.keep_answer("passes", *arguments)
    return PASSED


def rebase(*arguments):
    import patches

    return PASSED if patches.rebase(*arguments) else NOT_YET


# ---- the command line ----------------------------------------------------------------------------

COMMANDS = {"list": (list_all, 0, 0), "run": (run, 1, 2), "hint": (hint, 1, 1), "watch": (watch, 1, 1),
            "reset": (reset, 1, 1), "solution": (solution, 1, 1), "grade": (grade_all, 0, 2),
            "grade-all": (grade_everybody, 0, 2),
            "starters": (note_starters, 0, 0), "wrong": (wrong, 3, 4),
            "passes": (passes, 3, 4), "rebase": (rebase, 1, 2)}


def main(arguments):
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        print(__doc__.strip())
        return PASSED
    command, least, most = COMMANDS.get(name, (None, 0, 0))
    if command is None or not least <= len(rest) <= most:
        print(__doc__.strip(), file=sys.stderr)
        return BROKEN
    for number in signal.SIGTERM, signal.SIGHUP:  # they end it like Ctrl-C, and leave nothing behind
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has made it
            signal.signal(number, signal.default_int_handler)
    try:
        mine.take_over_unasked()
        return command(*rest)
    except (Mistake, mine.Unwritable, OSError) as mistake:
        terminal.complain(f"exercise: {mistake}")
        return BROKEN
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
