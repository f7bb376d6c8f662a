#!/usr/bin/env python3
"""exam.py [FOLDER ...]: makes an exam of a folder of questions: two papers, A and B, and for each a
sheet by which it is marked; as HTML, and where there is a Chromium as PDF.

Without a folder the questions are those of OVERLAY/exam, and the public ones, slides/exam, if there
is no OVERLAY or PUBLIC=1 asks for them. A paper has a question of each chapter, or of those in
CHAPTERS='1 2'; SEED=NUMBER chooses which, and the same SEED the same ones. All goes to the folder
RESULTS, or else to build/exam.

A question is a file, NAME.md. Its head, between lines of ---, says

    chapter: 4
    kind: race                    one of KINDS
    minutes: 12
    points: 12
    objective: keep overload in the backlog            one that stands in that chapter's README.md
    vary: clients 5 7, idle 3 5   if at all: @clients@ is 5 in paper A, and 7 in B

and then come a title, "# ...", and the text. NAME.answer.md, which no paper is made of, has the
model answer, and below "## Marks" what gives how many points, "- 4: ...", as many as the question
in all. If an objective has several questions, all have the same points and minutes, and B gets
another one than A; if it has one, something must vary in it.
"""
import collections
import contextlib
import html
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("common/report", "common/exercises")]
import build  # noqa: E402  which prints
import course  # noqa: E402
import fonts  # noqa: E402
import paths  # noqa: E402
import quiz  # noqa: E402  whose page it resembles
import schedule  # noqa: E402  which knows the objectives

KINDS = {"read": "Read code", "trace": "Read a trace", "draw": "Draw", "estimate": "Estimate",
         "choose": "Choose", "race": "Find the race"}
TO_READ = 6  # minutes, to look through the paper first
PUBLIC = HERE / "exam"
HEAD = re.compile(r"---\n(.*?)\n---\n+# ([^\n]+)\n+(.*)", re.S)
MARKS = re.compile(r"(.*?)\n## Marks\n\n(.*)", re.S)
MARK = re.compile(r"- (\d+): (.*(?:\n  .*)*)\n?")
BLOCKS = re.compile(r"^```\w*\n(?:.*\n)*?```$|(?:^(?!```).+\n?)+", re.M)
STYLE = quiz.STYLE + """
table { border-collapse: collapse; margin: 0 0 2mm; max-width: calc(100% - 1px); }
th, td { border: 1px solid #999; padding: 0.7mm 2.5mm; text-align: left; vertical-align: top; }
.number, .box { text-align: right; white-space: nowrap; }
.box { min-width: 14mm; }
h2 small { color: #333; float: right; font-size: 10.5pt; font-weight: 400; padding-top: 1mm; }
.sheet pre { break-inside: avoid; }
"""
Question = collections.namedtuple(
    "Question", "path chapter kind minutes points objective vary title text")


class Mistake(Exception):
    """What is wrong with a question, in a line."""


# ---- reading -------------------------------------------------------------------------------------

def head(text):
    """What stands in a head, as a dictionary of texts."""
    pairs = [line.partition(":") for line in text.splitlines()]
    found = {key.strip(): value.strip() for key, _, value in pairs}
    for key in ("chapter", "kind", "minutes", "points", "objective"):
        if not found.get(key):
            raise Mistake(f"its head says no {key}")
    for key in found:
        if key not in Question._fields[1:7]:
            raise Mistake(f'its head says "{key}", and there is no such word')
    if len(found) < len(pairs):
        raise Mistake("its head says something twice")
    for key in ("minutes", "points"):
        if not re.fullmatch(r"[1-9]\d?", found[key]):
            raise Mistake(f"{key}: {found[key]} is no number from 1 to 99")
    if found["kind"] not in KINDS:
        raise Mistake(f"kind: say {', '.join(KINDS)}, and not {found['kind']}")
    page = schedule.chapters().get(found["chapter"])
    if not page:
        raise Mistake(f"there is no chapter {found['chapter']}")
    if found["objective"] not in [aim for aim, _ in schedule.objectives(page)]:
        raise Mistake(f'chapter {found["chapter"]} has no objective "{found["objective"]}"')
    return found


def varied(text):
    """{name: (in A, in B)}"""
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        words = part.split()
        if len(words) != 3 or not re.fullmatch(r"[a-z]+", words[0]):
            raise Mistake(f'vary: "{part}" is no name in small letters, value for A, value for B')
        found[words[0]] = words[1:]
    return found


def answer_of(question):
    """The model answer, and what gives how many points: pairs of number and text."""
    path = question.path.with_suffix(".answer.md")
    if not path.is_file():
        raise Mistake(f"there is no {path.name}")
    found = MARKS.fullmatch(path.read_text())
    marks = MARK.findall(found[2]) if found else []
    if not marks or MARK.sub("", found[2]).strip() or not found[1].strip():
        raise Mistake(f'{path.name} has no answer, and below "## Marks" lines such as "- 4: ..." '
                      "and nothing else")
    total = sum(int(number) for number, _ in marks)
    if total != question.points:
        raise Mistake(f"{path.name} gives {total} points, and the question {question.points}")
    return found[1], [(int(number), text) for number, text in marks]


def read(path):
    """A question, whose answer is looked at and forgotten."""
    found = HEAD.fullmatch(path.read_text())
    if not found:
        raise Mistake("it does not begin with a head between lines of ---, a title and a text")
    said = head(found[1])
    numbers = {key: int(said[key]) for key in ("chapter", "minutes", "points")}
    question = Question(path, kind=said["kind"], objective=said["objective"], title=found[2],
                        text=found[3], vary=varied(said.get("vary", "")), **numbers)
    answer, marks = answer_of(question)
    every = " ".join([question.text, answer, *(text for _, text in marks)])
    used = set(re.findall(r"@([a-z]+)@", every))
    for name in used ^ set(question.vary):
        raise Mistake(f"@{name}@ stands in the text or behind vary, and not in both")
    return question


def read_all(folders):
    """All questions, checked; those of a folder in the order of their names."""
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise Mistake(f"{folder}: no such folder")
        names = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
        for path in names:
            try:
                if path.name.endswith(".answer.md"):
                    if path.with_name(path.name.replace(".answer.md", ".md")) not in names:
                        raise Mistake("it answers no question")
                else:
                    found.append(read(path))
            except Mistake as mistake:
                raise Mistake(f"{path.name}: {mistake}") from None
    if not found:
        raise Mistake(f"there are no questions in {', '.join(map(str, folders))}")
    return found


# ---- choosing ------------------------------------------------------------------------------------

def by_objective(questions):
    """{chapter: {objective: its questions}}, all of which are alike in points and minutes."""
    found = {}
    for question in questions:
        found.setdefault(question.chapter, {}).setdefault(question.objective, []).append(question)
    for group in (group for aims in found.values() for group in aims.values()):
        first = group[0]
        for other in group[1:]:
            if (other.points, other.minutes) != (first.points, first.minutes):
                raise Mistake(f"{other.path.name}: has other points or minutes than "
                              f"{first.path.name}, of the same objective")
        if len(group) == 1 and not first.vary:
            raise Mistake(f"{first.path.name}: would be the same in A and B: let something vary "
                          "in it, or add another question of its objective")
    return found


def choose(questions, chapters, seed):
    """The questions of A, and those of B: of each chapter one, in both for the same objective."""
    groups, luck = by_objective(questions), random.Random(seed)
    for chapter in chapters:
        if chapter not in groups:
            raise Mistake(f"there is no question on chapter {chapter}")
    pairs = []
    for chapter in chapters or sorted(groups):
        group = groups[chapter][luck.choice(sorted(groups[chapter]))]
        pairs.append(luck.sample(group, 2) if len(group) > 1 else group * 2)
    return [[pair[place] for pair in pairs] for place in (0, 1)]


# ---- the pages -----------------------------------------------------------------------------------

def filled(question, text, place):
    """A text with the numbers of paper A (place 0) or B (1), and without comments."""
    text = re.sub(r"\s*<!--.*?-->", "", text, flags=re.S)
    return re.sub(r"@([a-z]+)@", lambda found: question.vary[found[1]][place], text)


def line(text):
    """HTML of a line: of Markdown it has code, *words* and **words**."""
    parts = re.split(r"(<code>.*?</code>)", quiz.line(text))
    for place in range(0, len(parts), 2):  # what is no code
        parts[place] = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", parts[place])
        parts[place] = re.sub(r"\*(\S.*?)\*", r"<em>\1</em>", parts[place])
    return "".join(parts)


def table(rows):
    cells = [[f"<td>{line(cell)}</td>" for cell in row.strip()[1:-1].split("|")] for row in rows]
    return f"<table>{''.join(f'<tr>{chr(10).join(row)}</tr>' for row in cells)}</table>"


def markdown(text):
    """HTML of paragraphs, lists, tables, and blocks of code."""
    made = []
    for block in BLOCKS.findall(text):
        block = block.strip("\n")
        rows = block.split("\n")
        if block.startswith("```"):
            made.append(f"<pre>{html.escape(chr(10).join(rows[1:-1]))}</pre>")
        elif block.startswith("|"):
            made.append(table([row for row in rows if "---" not in row]))
        elif re.match(r"- |\d+\. ", block):
            items = [item.split(" ", 1)[1] for item in re.split(r"\n(?=- |\d+\. )", block)]
            made.append(quiz.items("ul" if block[0] == "-" else "ol", map(line, items)))
        else:
            made.append(f"<p>{line(block)}</p>")
    return "".join(made)


def sums(questions):
    """Points and minutes."""
    return [sum(getattr(question, name) for question in questions)
            for name in ("points", "minutes")]


def page(title, body):
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            f'<title>{title}</title><link rel="icon" href="data:,">'
            f"<style>{STYLE}{fonts.faces(title + body)}</style></head>"
            f"<body><h1>{title}</h1>{body}</body></html>")


def row(*cells, kind="td"):
    """Of a table; numbers to the right."""
    made = [f'<{kind} class="number">{cell}</{kind}>' if isinstance(cell, int)
            else f"<{kind}>{cell}</{kind}>" for cell in cells]
    return f'<tr>{"".join(made)}<td class="box"></td></tr>'


def overview(questions):
    points, minutes = sums(questions)
    rows = [row(f"{number} {line(question.title)}", question.minutes, question.points)
            for number, question in enumerate(questions, 1)]
    return ("<table><tr><th>question</th><th>minutes</th><th>points</th><th>reached</th></tr>"
            f'{row("to look through all of them first", TO_READ, "")}{"".join(rows)}'
            f'{row("together", minutes + TO_READ, points, kind="th")}</table>')


def section(number, question, inside):
    return (f'<div class="question"><h2>{number} {line(question.title)}'
            f"<small>{KINDS[question.kind]}, {question.points} points, {question.minutes} minutes"
            f"</small></h2>{inside}</div>")


def paper(questions, place):
    """A page of questions. No answer gets here."""
    asked = "".join(section(number, question, markdown(filled(question, question.text, place)))
                    for number, question in enumerate(questions, 1))
    return page(f"From fork to a pool of processes: exam, paper {'AB'[place]}",
                '<p class="name">Name: ______________________________ &emsp; '
                "Number: ______________</p>"
                "<p>Answer on sheets of your own, each with your name and the number of its "
                "question. Give reasons: most points are for these. What is not said is as in the "
                "course: Linux, and every call works unless the question says otherwise.</p>"
                f"{overview(questions)}{asked}")


def marking(questions, place, seed):
    """A page of answers, and what gives how many points."""
    made = []
    for number, question in enumerate(questions, 1):
        answer, marks = answer_of(question)
        rows = [row(points, line(filled(question, text, place))) for points, text in marks]
        made.append(section(number, question, (
            f'<p class="why">Chapter {question.chapter}: {line(question.objective)} '
            f"({html.escape(question.path.stem)})</p>{markdown(filled(question, answer, place))}"
            "<table><tr><th>points</th><th>for</th><th>reached</th></tr>"
            f"{''.join(rows)}</table>")))
    return page(f"From fork to a pool of processes: how to mark paper {'AB'[place]}",
                f'<p class="name">Of: ______________________________ &emsp; SEED={seed}</p>'
                f"{overview(questions)}{''.join(made)}")


def pages(questions, chapters, seed):
    """{name: page} of all four."""
    found = {}
    for place, chosen in enumerate(choose(questions, chapters, seed)):
        found[f"paper-{'AB'[place]}"] = paper(chosen, place)
        found[f"marking-{'AB'[place]}"] = marking(chosen, place, seed)
    return found


def number(name, otherwise=None):
    text = os.environ.get(name) or str(otherwise)
    if not re.fullmatch(r"\d{1,9}", text):
        raise Mistake(f"{name}={text}: say a number, such as {name}=7")
    return int(text)


def asked_for():
    """The folders, chapters and seed of arguments and environment."""
    folders = [pathlib.Path(name) for name in sys.argv[1:]]
    if not folders:
        folders = [course.OVERLAY / "exam"] if course.OVERLAY else []
        folders += [PUBLIC] if not folders or course.flag("PUBLIC") else []
    words = os.environ.get("CHAPTERS", "").replace(",", " ").split()
    for word in words:
        if not re.fullmatch(r"0?[1-9]", word):
            raise Mistake(f"CHAPTERS: {word} is no chapter; say some, such as CHAPTERS='1 2'")
    return folders, sorted({int(word) for word in words}), number("SEED", random.randrange(10000))


def main():
    out = pathlib.Path(os.environ.get("RESULTS") or paths.BUILD / "exam").absolute()
    try:
        folders, chapters, seed = asked_for()
        questions = read_all(folders)
        points, minutes = sums(choose(questions, chapters, seed)[0])
        made = pages(questions, chapters, seed)
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in made.items():
            (out / f"{name}.html").write_text(text)
            (out / f"{name}.pdf").unlink(missing_ok=True)
    except (Mistake, course.Mistake, schedule.Mistake, OSError, UnicodeError) as mistake:
        sys.exit(f"exam: {mistake}")
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        for name in made if chromium else []:
            build.print_page(chromium, out / f"{name}.html", out / f"{name}.pdf",
                             pathlib.Path(temporary))
    if not chromium:
        print("exam: without chromium no PDF is made", file=sys.stderr)
    with contextlib.suppress(ValueError):
        out = out.relative_to(course.TOP)
    print(f"{out}: papers A and B, {points} points, {minutes} minutes and {TO_READ} to read; "
          f"SEED={seed}")


if __name__ == "__main__":
    main()
