"""Grades a folder of exercises: a table, Gradescope's results.json, and JUnit's XML."""
import concurrent.futures
import contextlib
import datetime
import json
import pathlib
import re
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
import zipfile

import course
import trial

sys.path.append(str(course.TOP / "common/report"))
import terminal  # noqa: E402
import turns  # noqa: E402

TOGETHER = 4  # tests wait more than they compute
ARCHIVE_MAX = 32 * 1024 * 1024


# ---- what is handed in ---------------------------------------------------------------------------

@contextlib.contextmanager
def opened(path, exercises):
    """The folder in which the exercises' folders lie, of a submission: a folder or a zip of it."""
    path = pathlib.Path(path)
    if path.is_dir():
        yield find_shape(path, exercises)
        return
    if not path.exists():
        raise course.Mistake(f"{path}: not there")
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        unpack(path, pathlib.Path(folder), exercises)
        yield find_shape(pathlib.Path(folder), exercises)


def find_shape(folder, exercises):
    """`folder`, or its folder exercises/, or the same inside the only folder there is."""
    names = {exercise.name for exercise in exercises}
    inside = [path for path in folder.iterdir()
              if path.is_dir() and not path.is_symlink() and path.name[0] not in "._"]
    candidates = [folder, folder / "exercises"]
    if len(inside) == 1:
        candidates += [inside[0], inside[0] / "exercises"]
    for candidate in candidates:
        if candidate.is_dir() and any((candidate / name).is_dir() for name in names):
            return candidate
    return folder


def handed_in(archive, exercises):
    """The files of exercises in an archive, and their paths: those that find_shape would find.

    Who packs the whole repository has solutions, tests and marks in folders of these names, too.
    """
    names = {exercise.name for exercise in exercises}
    members = [(pathlib.PurePosixPath(member.filename.lstrip("/")).parts, member)
               for member in archive.infolist() if not member.is_dir()]
    inside = {parts[0] for parts, _ in members if len(parts) > 1 and parts[0][0] not in "._"}
    candidates = [(), ("exercises",)]
    if len(inside) == 1:
        candidates += [(*inside,), (*inside, "exercises")]
    for candidate in candidates:
        found = [(parts, member) for parts, member in members
                 if parts[:-2] == candidate and len(parts) == len(candidate) + 2
                 and parts[-2] in names and parts[-1] != ".."]
        if found:
            return found
    return []


def unpack(path, folder, exercises):
    """Takes from an archive the files of exercises, and nothing else."""
    try:
        with zipfile.ZipFile(path) as archive:
            left = ARCHIVE_MAX
            for parts, member in handed_in(archive, exercises):
                target = folder / parts[-2] / parts[-1]
                target.parent.mkdir(exist_ok=True)
                with archive.open(member) as source:
                    data = source.read(min(left, trial.FILE_MAX + 1))
                left -= len(data)
                if left <= 0:
                    raise course.Mistake(f"{path}: unpacks to more than {ARCHIVE_MAX >> 20} MiB")
                target.write_bytes(data)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise course.Mistake(f"{path}: no folder, and no zip archive: {error}") from None


# ---- grading -------------------------------------------------------------------------------------

def grade(submission, results, exercises):
    """Tries out all exercises in a submission, and writes the results to a folder.

    Gives the outcomes; a remark, or ""; and of the learner's own folder the digests of what was
    tested.
    """
    began = time.monotonic()
    with opened(submission, exercises) as folder:
        known = [exercise for exercise in exercises if (folder / exercise.name).is_dir()]
        own = folder.resolve() == (course.TOP / "exercises").resolve()
        digests = [course.digest(course.files_of(one.starter)) for one in exercises] if own else []
        outcomes = run_all(exercises, folder)
    note = "" if known else (f"{submission}: there is no exercise in it. Expected: folders such as "
                             f"{exercises[0].name}, with the files of the exercise in them.")
    results.mkdir(parents=True, exist_ok=True)
    course.write(results / "results.json", gradescope(outcomes, time.monotonic() - began, note))
    course.write(results / "junit.xml", junit(outcomes, time.monotonic() - began))
    for outcome in outcomes:
        course.write(results / f"{outcome.exercise.name}.txt", outcome.warnings + outcome.words)
    return outcomes, note, digests


def run_all(exercises, folder):
    progress = turns.Progress(len(exercises))
    outcomes = {}
    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        begun = {pool.submit(trial.try_out, exercise, folder / exercise.name): exercise for exercise in exercises}
        try:
            progress.step("building")
            for future in concurrent.futures.as_completed(begun):
                outcomes[begun[future].name] = future.result()
                if len(outcomes) < len(exercises):
                    progress.step(f"{len(outcomes)} of {len(exercises)}: {begun[future].name}")
        except BaseException:
            for future in begun:
                future.cancel()
            trial.stop_all()
            raise
        finally:
            progress.end()
    return [outcomes[exercise.name] for exercise in exercises]


def score(outcome):
    return outcome.exercise.points if outcome.passed else 0


def totals(outcomes):
    """Points reached, and points there are."""
    return sum(map(score, outcomes)), sum(outcome.exercise.points for outcome in outcomes)


def print_table(outcomes, results, note):
    width = max(len(outcome.exercise.name) for outcome in outcomes)
    for outcome in outcomes:
        line = f"{outcome.exercise.name:<{width}}  {score(outcome):>2} of {outcome.exercise.points:>2}  {outcome.kind}"
        print(terminal.wrapped(f"{line}: {outcome.found}" if outcome.found else line, "", "      "))
    print(f"\n{'Points':<{width}}  %2d of %2d" % totals(outcomes))
    if note:
        print(terminal.wrapped(note))
    with contextlib.suppress(ValueError):
        results = results.relative_to(course.TOP)
    print(terminal.wrapped(f"What each test said: {results}/NAME.txt; for other programs: "
                           "results.json, junit.xml"))


# ---- formats -------------------------------------------------------------------------------------

def gradescope(outcomes, seconds, note):
    """https://gradescope-autograders.readthedocs.io/en/latest/specs/ : the total is the sum of the scores."""
    return json.dumps({
        "execution_time": round(seconds),
        "output": note or "%d of %d points" % totals(outcomes),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [{
            "number": ".".join(str(int(part)) for part in outcome.exercise.number.split("-")),
            "name": f"{outcome.exercise.name}: {outcome.exercise.title}",
            "score": score(outcome),
            "max_score": outcome.exercise.points,
            "status": "passed" if outcome.passed else "failed",
            "output": outcome.warnings + outcome.words,
            "output_format": "text",
        } for outcome in outcomes],
    }, indent=2) + "\n"


def junit(outcomes, seconds):
    """As Jenkins, GitLab and others read it: a failure is the learner's, an error the test's."""
    broken = sum(outcome.kind == "broken" for outcome in outcomes)
    passed = sum(outcome.passed for outcome in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(len(outcomes) - passed - broken), "errors": str(broken),
              "time": f"{seconds:.3f}"}
    suites = xml.Element("testsuites", name="exercises", **counts)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    suite = xml.SubElement(suites, "testsuite", name="exercises", skipped="0", timestamp=now, **counts)
    for outcome in outcomes:
        case = xml.SubElement(suite, "testcase", classname="exercises", name=outcome.exercise.name,
                              time=f"{outcome.seconds:.3f}")
        text = re.sub(r"[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", outcome.warnings + outcome.words)
        if outcome.passed:
            xml.SubElement(case, "system-out").text = text
        else:
            problem = xml.SubElement(case, "error" if outcome.kind == "broken" else "failure", type=outcome.kind,
                                     message=outcome.found or outcome.kind)
            problem.text = text
    xml.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(suites, encoding="unicode") + "\n"
