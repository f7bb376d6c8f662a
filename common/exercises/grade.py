"""Grades what somebody handed in: a table, Gradescope's results.json, and JUnit's XML."""
import concurrent.futures
import contextlib
import datetime
import json
import os
import re
import sys
import time
import xml.etree.ElementTree as xml

import course
import handin
import trial

sys.path.append(str(course.TOP / "common/report"))
import terminal  # noqa: E402
import turns  # noqa: E402

TOGETHER = 4  # tests wait more than they compute


class Settings:
    """How to grade, from the environment."""

    def __init__(self):
        self.sanitize, self.partial, self.unisolated = map(course.flag,
                                                           ("SANITIZE", "PARTIAL", "UNISOLATED"))
        self.known = course.read_all()
        if not self.known:
            raise course.Mistake("exercises/list: there is no exercise in it")
        self.exercises = course.chosen(os.environ.get("EXERCISES", ""))

    @property
    def names(self):
        return {exercise.name for exercise in self.known}

    @property
    def flags(self):
        return trial.SANITIZERS if self.sanitize else []

    def told(self):
        """What somebody who reads the points has to know."""
        sanitized = self.sanitize or any("-fsanitize" in word for word in trial.compiler())
        lines = ["Built with AddressSanitizer and UndefinedBehaviorSanitizer." if sanitized else
                 "Built without sanitizers, so that a memory error that does not crash passes; "
                 "SANITIZE=1 finds it."]
        if self.partial:
            lines.append("Who does not pass has points for the steps that a test has passed.")
        return lines


def isolate(settings):
    """From here on what is tested is another's: refuses to run it where it could do harm, unless
    that is asked for."""
    trial.strict = not settings.unisolated
    if trial.isolated():
        return
    if not settings.unisolated:
        raise course.Mistake(
            "what others hand in may do harm, and nothing keeps it apart here "
            f"({trial.isolation()}): grade on a machine that gives namespaces, as root if need be. "
            "Where nothing is to be lost, such as in a container for this submission alone: "
            "UNISOLATED=1")
    terminal.complain(f"grade: NOT ISOLATED ({trial.isolation()}): what is handed in can reach "
                      "other programs of this machine, and whatever these have open to it")


# ---- grading -------------------------------------------------------------------------------------

def grade(submission, results, settings):
    """Tries out all exercises in a submission, and writes the results to a folder.

    Gives the outcomes; a remark, or ""; and of the learner's own folder the digests of what was
    tested.
    """
    began = time.monotonic()
    own = os.path.realpath(submission) == os.path.realpath(course.TOP / "exercises")
    if not own:
        isolate(settings)
    answers, note = take(settings, lambda: handin.submission(
        submission, settings.exercises, settings.names, "exercises/" if own else ""))
    digests = [answer.digest() for answer in answers] if own and not note else []
    outcomes = run_all(list(zip(settings.exercises, answers)), settings)
    results.mkdir(parents=True, exist_ok=True)
    write_results(results, outcomes, settings, time.monotonic() - began, note)
    return outcomes, note, digests


def take(settings, look):
    """The answers to all exercises, in their order, and why there are none, or "". `look` gives
    {name: Answer}.
    """
    try:
        found = look()
    except handin.Refused as reason:
        answer = handin.Answer(problem=f"not taken: {reason}")
        return [answer for _ in settings.exercises], str(reason)
    return [found.get(exercise.name)
            or handin.Answer(problem=f"there is no folder {exercise.name}")
            for exercise in settings.exercises], ""


def try_one(exercise, answer, settings):
    """The outcome; of what fails without being anybody's answer, too, so that the rest is
    graded."""
    try:
        return trial.try_out(exercise, answer, flags=settings.flags)
    except Exception as error:  # pylint: disable=broad-except
        return trial.Outcome(exercise, "broken",
                             f"{exercise.name}: could not be tested, which is no fault of yours: "
                             f"{handin.name_of(str(error))}\n", found="could not be tested")


def run_all(works, settings):
    """The outcomes of pairs of an exercise and an answer."""
    progress = turns.Progress(len(works))
    outcomes = {}
    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        begun = {pool.submit(try_one, exercise, answer, settings): exercise
                 for exercise, answer in works}
        try:
            progress.step("building")
            for future in concurrent.futures.as_completed(begun):
                outcomes[begun[future].name] = future.result()
                if len(outcomes) < len(works):
                    progress.step(f"{len(outcomes)} of {len(works)}: {begun[future].name}")
        except BaseException:
            for future in begun:
                future.cancel()
            trial.stop_all()
            raise
        finally:
            progress.end()
    return [outcomes[exercise.name] for exercise, _ in works]


def write_results(results, outcomes, settings, seconds, note):
    """All formats, to a folder."""
    for name in settings.names:  # what another submission has left
        (results / f"{name}.txt").unlink(missing_ok=True)
    for outcome in outcomes:
        course.write(results / f"{outcome.exercise.name}.txt", outcome.warnings + outcome.words)
    course.write(results / "junit.xml", junit(outcomes, seconds))
    course.write(results / "results.json", gradescope(outcomes, settings, seconds, note))


def score(outcome, settings):
    """All points or none; or, for each step of the test that was passed, its part of them, rounded
    down."""
    if outcome.passed:
        return outcome.exercise.points
    passed, steps = outcome.steps
    return outcome.exercise.points * passed // max(steps, passed + 1) if settings.partial else 0


def totals(outcomes, settings):
    """Points reached, and points there are."""
    return (sum(score(outcome, settings) for outcome in outcomes),
            sum(outcome.exercise.points for outcome in outcomes))


def print_table(outcomes, results, settings, note):
    width = max(len(outcome.exercise.name) for outcome in outcomes)
    for outcome in outcomes:
        line = (f"{outcome.exercise.name:<{width}}  {score(outcome, settings):>2} of "
                f"{outcome.exercise.points:>2}  {outcome.kind}")
        print(terminal.wrapped(f"{line}: {outcome.found}" if outcome.found else line, "", "      "))
    print(f"\n{'Points':<{width}}  %2d of %2d" % totals(outcomes, settings))
    if note:
        print(terminal.wrapped(f"Not taken: {note}"))
    for line in settings.told():
        print(terminal.wrapped(line))
    with contextlib.suppress(ValueError):
        results = results.relative_to(course.TOP)
    print(terminal.wrapped(f"What each test said: {results}/NAME.txt; for other programs: "
                           "results.json, junit.xml"))


# ---- formats -------------------------------------------------------------------------------------

def gradescope(outcomes, settings, seconds, note):
    """https://gradescope-autograders.readthedocs.io/en/latest/specs/ : the total is the sum of the
    scores.

    It knows tests that passed and tests that failed; which of these are the test's own fault is in
    extra_data.
    """
    return json.dumps({
        "execution_time": round(seconds),
        "output": "\n".join([f"Not taken: {note}" if note
                             else "%d of %d points" % totals(outcomes, settings),
                             *settings.told()]),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [{
            "number": ".".join(str(int(part)) for part in outcome.exercise.number.split("-")),
            "name": f"{outcome.exercise.name}: {outcome.exercise.title}"
                    + (" (an error of the test: not graded)" if outcome.kind == "broken" else ""),
            "score": score(outcome, settings),
            "max_score": outcome.exercise.points,
            "status": "passed" if outcome.passed else "failed",
            "output": outcome.warnings + outcome.words,
            "output_format": "text",
            "extra_data": {"kind": outcome.kind, "found": outcome.found},
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
        text = xml_text(outcome.warnings + outcome.words)
        if outcome.passed:
            xml.SubElement(case, "system-out").text = text
        else:
            problem = xml.SubElement(case, "error" if outcome.kind == "broken" else "failure", type=outcome.kind,
                                     message=xml_text(outcome.found or outcome.kind))
            problem.text = text
    xml.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(suites, encoding="unicode") + "\n"


def xml_text(text):
    """Only what XML may hold."""
    return re.sub(r"[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
