#!/usr/bin/env python3
"""Computes the tables of README.md and syllabus.md: schedules and hours from what takes time, which is each slide,
as its notes say in the line "Minutes: N", demos and questions included, and each exercise, as exercises/list says;
and the aims from those of the chapters.

schedule.py [--check]

A plan is a comment of such a page, and the table below it is made:

    <!-- plan day 9:00               of a day that begins then
    show 0:1-9 1 ; beside it ...     decks, or slides of them; and what else is to be said
    lab 01-1 01-2 (01-6)             exercises, in brackets those for whoever is fast
    pause 15 ; break                 minutes
    -->
    <!-- plan lectures 50 50         of so many minutes, and of labs of so many, a line each:
    0:1-9 1 ; talks | 01-1 (01-6) | 1 01-3    what is shown, and what else | the lab | read and done at home
    -->

    <!-- plan hours 90 90            the sum of a course by the first plan of README.md with such lectures
    decks ; lectures: {} decks       of the decks, the labs and what is done at home in that plan, or so many hours,
    14 ; {} chapters                 a line each; {} is how many there are
    -->

and so are the tables of the decks, below <!-- plan decks -->, and of what each chapter's README.md says that one will
be able to do, below <!-- plan objectives -->. An error is a lecture that leaves no five minutes for
what is asked, a lab that is too long, or a deck that has other minutes for an exercise. With --check nothing is
written.
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent
sys.path.insert(0, str(TOP / "common/exercises"))
import course  # noqa: E402

PAGES = HERE / "README.md", HERE / "syllabus.md"
PLAN = re.compile(r"(<!-- plan (\w+)(.*?)-->\n)((?:\|[^\n]*\n)*)", re.S)
OBJECTIVES = re.compile(r"\*\*What you will be able to do\*\*\n\n\|.*\n\| --- \| --- \|\n"
                        r"((?:\|.*\n)*)")
FOR_QUESTIONS = 5
WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()


class Mistake(Exception):
    """What is wrong with a plan, in a line."""


def minutes_of_slides(path):
    """What each slide of a deck takes, the first one first."""
    found = []
    for slide in re.split(r"^---$", path.read_text(), flags=re.M)[2:]:
        said = re.findall(r"^Minutes: (\d+(?:\.5)?)$", slide, re.M)
        if len(said) != 1:
            title = re.search(r"^#+ (.*)", slide, re.M)
            raise Mistake(f'{path.name}: "{title[1] if title else ""}" says {len(said)} times how many minutes it takes')
        found.append(float(said[0]))
    return found


def decks():
    return {path.name[1]: path for path in sorted(HERE.glob("0[0-9]-*.md"))}


def chapters():
    """The pages of the chapters: {"1": path}."""
    return {path.parent.name[1]: path for path in sorted(TOP.glob("chapters/0[0-9]-*/README.md"))}


def objectives(page):
    """What a chapter's page says that one will be able to do: pairs with what checks it."""
    table = OBJECTIVES.search(page.read_text())
    lines = table[1].splitlines() if table else []
    rows = [re.fullmatch(r"\| ([^|]+) \| ([^|]+) \|", line) for line in lines]
    if not 3 <= len(rows) <= 5 or not all(rows):
        raise Mistake(f"{page.parent.name}/README.md: there is no table of three to five objectives "
                      "with what checks them")
    return [row.groups() for row in rows]


def hours(took):
    """Of minutes: to the half hour, as 7½."""
    whole, half = divmod(round(took / 30), 2)
    return f"{whole or ''}½" if half else f"{whole}"


def minutes(number):
    """Whole ones, rounded up; "" for none."""
    return str(-int(-number // 1)) if number else ""


class Plan:
    def __init__(self):
        self.slides = {number: minutes_of_slides(path) for number, path in decks().items()}
        self.exercises = {exercise.number: exercise for exercise in course.read_list()}
        self.shown = set()
        for path in decks().values():
            for number, said in re.findall(r"\| (\d\d-\d) \|(?: [^|\d]+ \|)+ (\d+) \|", path.read_text()):
                if int(said) != self.exercises[number].minutes:
                    raise Mistake(f"{path.name}: {number} takes {self.exercises[number].minutes} minutes, not {said}")

    def deck(self, item):
        """The text and the minutes of "1" or "1:2-5,8"."""
        number, _, ranges = item.partition(":")
        if number not in self.slides:
            raise Mistake(f"{item}: there is no such deck")
        every = range(1, len(self.slides[number]) + 1)
        chosen = list(every)
        if ranges:
            pairs = [[int(end) for end in part.split("-")] for part in ranges.split(",")]
            chosen = [slide for pair in pairs for slide in range(pair[0], pair[-1] + 1)]
        for slide in chosen:
            if slide not in every or (number, slide) in self.shown:
                raise Mistake(f"{item}: there is no slide {slide}, or it has been shown already")
            self.shown.add((number, slide))
        link = f"[{number}]({decks()[number].name})"
        name = f"deck {link}" + (f" (slides {ranges.replace('-', ' to ').replace(',', ', ')})" if ranges else "")
        return name, sum(self.slides[number][slide - 1] for slide in chosen)

    def show(self, items):
        found = [self.deck(item) for item in items.split()]
        text = ", ".join(name for name, _ in found)
        return text[:1].upper() + text[1:], sum(took for _, took in found)

    def lab(self, items):
        """The text and the minutes of "01-1 01-2 (01-6)"; what is in brackets takes none, a chapter to read neither."""
        texts, took = [], 0
        for item in items.split():
            name = item.strip("()")
            if name in self.slides:
                texts.append(f"chapter {name}")
                continue
            if name not in self.exercises:
                raise Mistake(f"{item}: there is no such exercise")
            took += self.exercises[name].minutes if name == item else 0
            texts.append(item)
        return ", ".join(texts), took

    def day(self, head, lines):
        hour, minute = map(int, head.strip().split(":"))
        now, rows = 60 * hour + minute, []
        for line in lines:
            line, _, more = (part.strip() for part in line.partition(";"))
            kind, _, rest = line.partition(" ")
            if kind == "pause":
                text, took = "", float(rest)
            elif kind in ("show", "lab"):
                text, took = self.show(rest) if kind == "show" else self.lab(rest)
                text = f"Lab: {text}" if kind == "lab" else text
            else:
                raise Mistake(f'"{line}" is neither show nor lab nor pause')
            begin, now = now, now + 5 * -int(-took // 5)  # a timetable has no 9:37
            rows.append(f"| {begin // 60}:{begin % 60:02} | {now // 60}:{now % 60:02} | {'; '.join(filter(None, (text, more)))} |")
        return ["| from | to | what |", "| --- | --- | --- |", *rows]

    def lectures(self, head, lines):
        longest, lab_longest = map(int, head.split())
        rows = []
        for number, line in enumerate(lines, 1):
            parts = [part.strip() for part in line.split("|")]
            if len(parts) != 3:
                raise Mistake(f'"{line}" has {len(parts)} parts, not three')
            items, _, more = (part.strip() for part in parts[0].partition(";"))
            shown, took = self.show(items)
            shown = "; ".join(filter(None, (shown, more)))
            lab, lab_took = self.lab(parts[1])
            home, home_took = self.lab(parts[2])
            if took > longest - FOR_QUESTIONS or lab_took > lab_longest:
                raise Mistake(f"lecture {number} shows {took:g} minutes of {longest}, and its lab has {lab_took} of {lab_longest}")
            rows.append(f"| {number} | {shown} | {minutes(took)} | {lab} | {minutes(lab_took)} | {home} | {minutes(home_took)} |")
        return ["| | lecture | min | lab | min | at home | min |", "| --- | --- | --: | --- | --: | --- | --: |", *rows]

    def hours(self, head, lines):
        plans = [found[3].split("\n") for found in PLAN.finditer(PAGES[0].read_text())
                 if found[2] == "lectures"]
        plan = next((plan for plan in plans if plan[0].split() == head.split()), None)
        if not plan:
            raise Mistake(f"README.md has no plan of lectures {head.strip()}")
        lectures = [line for line in plan[1:] if line.strip()]
        sources = {"decks": (sum(map(sum, self.slides.values())), len(self.slides)),
                   "labs": (len(lectures) * int(head.split()[1]), len(lectures)),
                   "home": (sum(self.lab(line.split("|")[2])[1] for line in lectures),
                            len(lectures))}
        rows, total = [], 0
        for line in lines:
            source, _, text = (part.strip() for part in line.partition(";"))
            if source not in sources and not re.fullmatch(r"\d+", source):
                raise Mistake(f'"{line}" begins neither with decks, labs nor home, nor with hours')
            took, count = sources.get(source) or (60 * int(source), len(chapters()))
            total += took
            rows.append(f"| {text.replace('{}', WORDS[count])} | {hours(took)} |")
        every = [exercise.minutes for exercise in self.exercises.values()]
        return ["| | hours |", "| --- | --: |", *rows,
                f"| together, without a project | {hours(total)} |",
                f"| all {len(every)} exercises, in labs and at home | {hours(sum(every))} |"]

    def objectives(self, _head, _lines):
        rows = []
        for number, page in chapters().items():
            title = re.search(r"^# (.*)", page.read_text())[1]
            name = f"[{title}](../chapters/{page.parent.name}/)"
            for aim, checked in objectives(page):
                if "](" in aim + checked:
                    raise Mistake(f"chapter {number}: a link among the objectives would lead "
                                  "elsewhere from here")
                rows.append(f"| {name} | {aim} | {checked} |")
                name = ""
        return ["| chapter | they can | checked by |", "| --- | --- | --- |",
                *(row.replace("|  |", "| |") for row in rows)]

    def decks(self, _head, _lines):
        rows = []
        for number, path in decks().items():
            text = path.read_text()
            question = re.search(r"^# .*\n\n(.*)", text, re.M)[1]
            title = re.search(r"^title: (?:\d )?(.*)", text, re.M)[1]
            rows.append(f"| [{number} {title}]({path.name}) | {question} | {len(self.slides[number])} | "
                        f"{minutes(sum(self.slides[number]))} |")
        return ["| deck | question | slides | min |", "| --- | --- | --: | --: |", *rows]


def renewed(text):
    def renew(found):
        comment, kind, rest, _ = found.groups()
        head, *lines = rest.split("\n")
        make = {"day": Plan.day, "lectures": Plan.lectures, "decks": Plan.decks, "hours": Plan.hours,
                "objectives": Plan.objectives}.get(kind)
        if not make:
            raise Mistake(f"there is no plan of {kind}")
        return comment + "\n".join(make(Plan(), head, [line for line in lines if line.strip()])) + "\n"

    return PLAN.sub(renew, text)


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: schedule.py [--check]")
    try:
        pages = [(page, page.read_text(), renewed(page.read_text())) for page in PAGES]
    except (Mistake, ValueError) as mistake:
        sys.exit(f"schedule: {mistake}")
    for page, old, new in pages:
        if new != old and check:
            sys.exit(f"slides/{page.name}: a table differs from what it is computed of: "
                     "make texts")
        if new != old:
            page.write_text(new)
            print(f"renewed slides/{page.name}")


if __name__ == "__main__":
    main()
