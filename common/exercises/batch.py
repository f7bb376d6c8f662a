"""Grades a folder of submissions: tables for a spreadsheet, and a page for the course."""
import collections
import concurrent.futures
import csv
import hashlib
import html
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse

import course
import grade
import handin
import trial
import turns

TOGETHER = 2 * (os.cpu_count() or 1)  # tests wait more than they compute
STATE = "graded.json"                 # what a submission came to, and of what

NOBODYS = ("__MACOSX", ".DS_Store", "Thumbs.db", ".git")

# How two platforms call what they pack for a teacher: Moodle a folder for each learner, Canvas a
# file for each file.
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_\w+?_?")
CANVAS = re.compile(r"(?P<name>[^_]+)(?:_LATE)?_(?P<id>\d+)_\d+_(?P<file>.+)")


# ---- who has handed in what ----------------------------------------------------------------------

def submissions(folder, settings):
    """{name: a function that gives the answers to all exercises in their order, and why there are
    none, or ""}."""
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise course.Mistake(f"{handin.name_of(str(folder))}: {error.strerror}") from None
    tree = handin.tree_of_folder(place, 1)
    parts = collections.defaultdict(dict)  # {who: {entry: what it is called there}}
    for (entry,), _ in sorted(tree.items()):
        if entry in NOBODYS or entry.startswith("._"):
            continue
        canvas, moodle = CANVAS.fullmatch(entry), MOODLE.fullmatch(entry)
        if moodle:
            parts[moodle["name"], moodle["id"]][entry] = entry
        elif canvas and tree[entry,].kind != "folder":
            parts[canvas["name"], canvas["id"]][entry] = canvas["file"]
        else:
            suffix = next((one for one in handin.ARCHIVES[::-1] if entry.lower().endswith(one)), "")
            parts[entry[:len(entry) - len(suffix)], ""][entry] = entry
    names = collections.Counter(name for name, _ in parts)
    return {name if names[name] == 1
            else f"{name} ({number or 'another'})": loader(folder, tree, entries, settings)
            for (name, number), entries in parts.items()}


def loader(folder, tree, entries, settings):
    def look():
        if len(entries) == 1 and tree[tuple(entries)].kind == "folder":
            path = os.path.join(folder, *entries)
            return handin.submission(path, settings.exercises, settings.names)
        together = put_together(tree, entries, settings)
        return handin.taken(together, settings.exercises, settings.names)
    return lambda: grade.take(settings, look)


def put_together(tree, entries, settings):
    """Files that somebody has uploaded one by one; Canvas marks a later version of server.c as
    server-1.c."""
    wanted = {name for exercise in settings.exercises for name in exercise.files()}
    together = {}
    for entry, called in entries.items():
        first = re.sub(r"-\d+(\.\w+)$", r"\1", called)
        node = tree[entry,]
        if node.kind not in ("file", "folder"):
            raise handin.Refused(f"{handin.name_of(entry)} is {node.kind}")
        if node.kind == "folder" or ((called,) in together
                                     or (first,) in together) and called in wanted:
            raise handin.Refused("handed in more than once: "
                                 + ", ".join(map(handin.name_of, sorted(entries)[:4])))
        together[first if called not in wanted and first in wanted else called,] = node
    return together


# ---- grading -------------------------------------------------------------------------------------

def grade_all(folder, results, settings):
    """Grades all submissions that are not graded yet, and writes all tables. Gives {name: what it
    came to}."""
    grade.isolate(settings)
    waiting = submissions(folder, settings)
    if not waiting:
        raise course.Mistake(f"{handin.name_of(str(folder))}: there is no submission in it")
    results.mkdir(parents=True, exist_ok=True)
    results.chmod(0o700)  # who has how many points is nobody else's business
    judged_by = judge(settings)
    progress = turns.Progress(len(waiting) * len(settings.exercises))
    states, under_way, jobs = {}, {}, {}

    def finish(name):
        began, answers, note, outcomes, key = under_way.pop(name)
        place = results / folder_for(name)
        place.mkdir(exist_ok=True)
        outcomes = [outcomes[exercise.name] for exercise in settings.exercises]
        grade.write_results(place, outcomes, settings, time.monotonic() - began, note)
        keep(place / "taken", settings, answers)
        states[name] = {"key": key, "note": note, "exercises": [
            {"name": outcome.exercise.name, "points": grade.score(outcome, settings),
             "kind": outcome.kind,
             "most": outcome.exercise.points, "found": outcome.found} for outcome in outcomes]}
        course.write(place / STATE, json.dumps(states[name]) + "\n")

    def collect(most):
        """Waits until no more than so many tests are under way."""
        while len(jobs) > most:
            for job in concurrent.futures.wait(jobs, return_when="FIRST_COMPLETED").done:
                name, exercise = jobs.pop(job)
                under_way[name][3][exercise.name] = job.result()
                progress.step(f"{handin.name_of(name)}: {exercise.number}")
                if len(under_way[name][3]) == len(settings.exercises):
                    finish(name)

    with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
        try:
            for name, load in waiting.items():
                answers, note = load()
                key = hashlib.sha256("\n".join([judged_by, note,
                                                *(answer.digest() for answer in answers)]).encode()
                                     ).hexdigest()
                states[name] = state = earlier(results / folder_for(name) / STATE)
                if state and state["key"] == key and all(one["kind"] != "broken"
                                                         for one in state["exercises"]):
                    for exercise in settings.exercises:
                        progress.step(f"{handin.name_of(name)}: graded before")
                    continue
                under_way[name] = time.monotonic(), answers, note, {}, key
                for exercise, answer in zip(settings.exercises, answers):
                    jobs[pool.submit(grade.try_one, exercise, answer, settings)] = name, exercise
                collect(2 * TOGETHER)  # of three hundred, not all are to be in memory
            collect(0)
        except BaseException:
            for job in jobs:
                job.cancel()
            trial.stop_all()
            raise
        finally:
            progress.end()
    write_tables(results, states, settings)
    return states


def folder_for(name):
    """A folder that can be called after somebody."""
    plain = re.sub(r"[^\w ,@+.-]", "_", name).strip(". ")[:80]
    return plain if plain == name and name not in TABLES else \
        f"{plain}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


def judge(settings):
    """One number for what decides about points: with another, all is graded again."""
    total = hashlib.sha256(repr([settings.flags, settings.partial, trial.compiler(),
                                 course.words("LDFLAGS"),
                                 trial.bounds(),
                                 [vars(exercise) for exercise in settings.exercises]]).encode())
    files = [trial.LESSON, trial.LIBRARY, trial.SUPERVISE,
             *(pathlib.Path(one.__file__) for one in (trial, handin))]
    for path in [*files, *(path for exercise in settings.exercises
                           for path in sorted(exercise.tests.iterdir())
                           if path.is_file())]:
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def earlier(path):
    """What a run before this one has come to."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def keep(folder, settings, answers):
    """A copy of what was graded."""
    shutil.rmtree(folder, ignore_errors=True)
    for exercise, answer in zip(settings.exercises, answers):
        for name, content in answer.files.items():
            (folder / exercise.name).mkdir(parents=True, exist_ok=True)
            (folder / exercise.name / name).write_bytes(content)


# ---- tables --------------------------------------------------------------------------------------

def write_tables(results, states, settings):
    people = sorted(states, key=str.casefold)
    rows = [["name", "exercise", "points", "of", "outcome", "first message"]]
    sums = [["name", "points", "of"]]
    for name in people:
        rows += [[name, one["name"], one["points"], one["most"], one["kind"], one["found"]]
                 for one in states[name]["exercises"]]
        sums.append([name, points(states[name]),
                     sum(one["most"] for one in states[name]["exercises"])])
    course.write(results / "points.csv", table(rows))
    course.write(results / "totals.csv", table(sums))
    alike = similarities(results, people, settings)
    if alike is not None:
        course.write(results / "similar.csv",
                     table([["exercise", "name", "% of it", "is in that of"], *alike]))
    course.write(results / "index.html", page(people, states, settings, alike))


TABLES = ("points.csv", "totals.csv", "similar.csv", "index.html")


def points(state):
    return sum(one["points"] for one in state["exercises"])


def table(rows):
    """As CSV. A spreadsheet takes what begins like a formula for one: that of a learner would run
    at his teacher's."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[plain(cell) for cell in row] for row in rows])
    return text.getvalue()


def plain(cell):
    if not isinstance(cell, str):
        return cell
    cell = handin.name_of(re.sub(r"\s+", " ", cell), 300)
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell


def page(people, states, settings, alike):
    """For whoever teaches: who stands where, and what is said most of each exercise."""
    esc, name_of = html.escape, handin.name_of
    lines = ["<!DOCTYPE html>", '<html lang="en"><meta charset="utf-8"><title>Points</title>',
             "<style>body{font:16px sans-serif;margin:2em}"
             "table{border-collapse:collapse;margin:1em 0}"
             "th,td{padding:.2em .6em;border:1px solid #bbb;text-align:left}td.n{text-align:right}"
             ".broken{background:#fd9}</style>",
             f"<h1>{len(people)} submissions</h1>",
             *[f"<p>{esc(line)}" for line in settings.told()]]
    lines += ["<h2>Exercises</h2>",
              "<table><tr><th>exercise<th>passed<th>what is said most of the others"]
    for i, exercise in enumerate(settings.exercises):
        ones = [states[name]["exercises"][i] for name in people]
        said = collections.Counter(one["found"] or one["kind"] for one in ones
                                   if one["kind"] != "passed")
        passed = sum(one["kind"] == "passed" for one in ones)
        most = "<br>".join(f"{count} × {esc(name_of(text, 120))}"
                           for text, count in said.most_common(3))
        lines.append(f'<tr><td>{esc(exercise.name)}<td class="n">{passed} of {len(ones)}<td>{most}')
    lines += ["</table>", "<h2>Submissions</h2>", "<table><tr><th>name<th>points"
              + "".join(f"<th>{esc(exercise.number)}" for exercise in settings.exercises)]
    for name in people:
        where = urllib.parse.quote(folder_for(name))
        cells = "".join(
            f'<td class="n {"broken" if one["kind"] == "broken" else ""}">'
            f'<a href="{where}/{urllib.parse.quote(one["name"])}.txt" '
            f'title="{esc(name_of(one["found"], 120))}">'
            f'{"error" if one["kind"] == "broken" else one["points"]}</a>'
            for one in states[name]["exercises"])
        note = esc(name_of(states[name]["note"], 200))
        note = note and f"<br><small>not taken: {note}</small>"
        lines.append(f'<tr><td>{esc(name_of(name))}{note}'
                     f'<td class="n">{points(states[name])}{cells}')
    lines += ["</table>", "<h2>Alike</h2>"]
    if alike is None:
        lines.append("<p>Not looked for: <code>sim_c</code> is not installed (Debian: "
                     "similarity-tester).")
    else:
        lines += ["<p>Of what somebody added to the starter, so much is in another's, too "
                  f"({ALIKE} % at least). The less "
                  "there is to add, the less this says.",
                  "<table><tr><th>exercise<th>name<th>%<th>is in that of"]
        lines += [f'<tr><td>{esc(number)}<td>{esc(name_of(one))}<td class="n">{part}'
                  f'<td>{esc(name_of(other))}'
                  for number, one, part, other in alike[:SHOWN]]
        lines.append("</table>")
        if len(alike) > SHOWN:
            lines.append(f"<p>And {len(alike) - SHOWN} more, in similar.csv.")
    return "\n".join(lines) + "\n"


# ---- what is alike -------------------------------------------------------------------------------

ALIKE, LEAST_LINES, SHOWN = 70, 8, 200


def similarities(results, people, settings):
    """Rows of exercise, name, percentage and another's name; None without sim_c(1)."""
    if not shutil.which("sim_c"):
        return None
    found = []
    for exercise in settings.exercises:
        known = {line.strip() for path in course.files_of(exercise.starter) for line in
                 path.read_text(errors="replace").splitlines()}
        with tempfile.TemporaryDirectory(prefix="alike-", dir=trial.temporary_folder()) as name:
            folder = pathlib.Path(name).resolve()
            texts, scratch = folder / "texts", folder / "scratch"
            texts.mkdir()
            scratch.mkdir()
            for path in folder, texts:
                path.chmod(0o755)
            for i, person in enumerate(people):
                taken = results / folder_for(person) / "taken" / exercise.name
                own = [line for path in sorted(taken.glob("*.c"))
                       for line in path.read_text(errors="replace").splitlines()
                       if line.strip() not in known]
                if len(own) >= LEAST_LINES:
                    (texts / f"{i}.c").write_text("\n".join(own) + "\n", encoding="utf-8",
                                                  errors="replace")
            files = [str(path) for path in sorted(texts.iterdir())]
            if len(files) < 2:
                continue
            # It reads what was handed in, in C.
            limits = ["-o", "1024", "-c", "300", "-t", "600"]
            look = ["sim_c", "-a", "-e", "-p", "-t", str(ALIKE), *files]
            ran = subprocess.run(
                [str(trial.SUPERVISE), *trial.bounds(), "-w", str(scratch), "-y", str(texts),
                 *limits, "--", *look],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if ran.returncode:
            reason = (ran.stderr or ran.stdout or f"status {ran.returncode}").strip()
            found.append([exercise.number, f"(not looked at: {reason.splitlines()[-1]})", 0, ""])
        said = re.compile(r"(\d+)\.c consists for (\d+) % of \S*?(\d+)\.c")
        for one, part, other in said.findall(ran.stdout):
            found.append([exercise.number, people[int(one)], int(part), people[int(other)]])
    return sorted(found, key=lambda row: (row[0], -row[2], row[1].casefold(), row[3].casefold()))
