#!/usr/bin/env python3
"""The exam: its questions, the public ones and those of the overlay that is an example, and the
papers that are made of them. npm's packages must be there: make exam.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("slides", "tests")]
sys.dont_write_bytecode = True
import browser  # noqa: E402
import exam  # noqa: E402
import tap  # noqa: E402

OVERLAY = ROOT / "common/exercises/autograder/overlay"
FOLDERS = exam.PUBLIC, OVERLAY / "exam"
COLUMNS = 120
HEADERS = ["stdbool", "stdio", "stdlib", "string", "errno", "fcntl", "pthread", "signal", "unistd",
           *(f"sys/{name}" for name in ("mman", "select", "socket", "wait"))]
QUESTION = """---
chapter: 2
kind: draw
minutes: 10
points: 8
objective: find the copy that keeps end-of-file away
vary: count 3 4
---

# Ends

Draw @count@ *ends*.

1. `a < b`
2. **Why?**
"""
ANSWER = "There are @count@.\n\n## Marks\n\n- 5: all @count@\n- 3: why,\n  and when\n"


def both():
    """The questions of each folder."""
    return [exam.read_all([folder]) for folder in FOLDERS]


def text_of(html):
    """What is to be read on a page, with one blank between words, and without asterisks."""
    body = re.sub(r"</?(?:code|em|strong)>|\*", "", html.partition("<body>")[2])
    body = re.sub(r"<[^>]*>", " ", body)
    for sign, meant in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"),
                        ("&amp;", "&")):
        body = body.replace(sign, meant)
    return " ".join(body.split())


def sentences(answer):
    """Those of a model answer, as a page shows them, that are long enough to be nobody else's."""
    answer = re.sub(r"\s*<!--.*?-->", "", answer, flags=re.S)
    for block in re.split(r"\n\n|\n(?=- |\d\. |\|)", answer):
        block = " ".join(re.sub(r"^(- |\d+\. )|[`*]", "", block).split())
        yield from (part for part in re.split(r"(?<=[.:;?]) ", block)
                    if len(part) > 30 and "@" not in part)


def folder_of(files):
    """A folder with these files."""
    folder = tempfile.TemporaryDirectory()
    for name, text in files.items():
        (pathlib.Path(folder.name) / name).write_text(text)
    return folder


def refused(files):
    with folder_of(files) as name:
        def make():
            exam.choose(exam.read_all([pathlib.Path(name)]), [], 1)

        said = tap.raises((exam.Mistake, exam.schedule.Mistake), make)
    tap.expect("\n" not in said, f"more than a line: {said}")
    return said


# ---- the questions -------------------------------------------------------------------------------

def test_nothing_is_wrong_with_them_and_each_chapter_has_two_at_least():
    for questions in both():
        exam.by_objective(questions)
        for chapter in exam.schedule.chapters():
            count = sum(str(question.chapter) == chapter for question in questions)
            tap.expect(count >= 2, f"chapter {chapter} has {count}")
            tap.equal([question.path.name for question in questions
                       if question.path.name[0] != str(question.chapter)], [])


def test_their_lines_are_not_too_long():
    tap.equal([f"{path.name}:{number}" for folder in FOLDERS for path in sorted(folder.iterdir())
               for number, line in enumerate(path.read_text().splitlines(), 1)
               if len(line) > COLUMNS], [])


def test_no_marks_of_markdown_are_left_on_a_page():
    for questions in both():
        made = [page for seed in range(8) for page in exam.pages(questions, [], seed).values()]
        for page in made:
            body = re.sub(r"<(pre|code)>.*?</\1>", "", page.partition("<body>")[2], flags=re.S)
            tap.equal(re.findall(r".{,30}(?:`|\*\*|<!--|@|\]\().{,30}", body), [])


def test_the_page_about_them_names_each_under_its_kind():
    page = (ROOT / "slides/exam.md").read_text()
    rows = {row[0]: row[1:] for row in re.findall(r"^\| ([a-z ]+)( \(.*)$", page, re.M)}
    public = both()[0]
    for kind, name in exam.KINDS.items():
        named = re.findall(r"\[(\d)\]\(exam/([\w-]+)\.md\)", "".join(rows[name.lower()]))
        tap.equal(named, [(str(question.chapter), question.path.stem) for question in public
                          if question.kind == kind])


def test_the_paper_that_is_its_example_has_every_kind_and_adds_up():
    page = (ROOT / "slides/exam.md").read_text()
    rows = re.findall(r"^\| \[(\d) (.*)\]\(exam/(.*)\.md\) \| (.*) \| (\d+) \|$", page, re.M)
    known = {question.path.stem: question for question in both()[0]}
    for chapter, title, name, kind, points in rows:
        question = known[name]
        tap.equal((chapter, title, kind, int(points), int(points)),
                  (str(question.chapter), question.title, exam.KINDS[question.kind].lower(),
                   question.points, question.minutes))
    tap.equal([row[0] for row in rows], sorted(exam.schedule.chapters()))
    tap.equal({row[3] for row in rows}, {name.lower() for name in exam.KINDS.values()})
    total = sum(int(row[4]) for row in rows)
    tap.expect_in(f"| together | | {total} |", page)
    tap.equal(total + exam.TO_READ, 90)


def code(path):
    return re.findall(r"^```c\n(.*?)^```$", path.read_text(), re.M | re.S)


def compiled(folder, text):
    """Compiles what a question shows, as it is: what is included is left out there."""
    source, made = folder / "shown.c", folder / "shown"
    program = "int main(" in text
    before = "".join(f"#include <{name}.h>\n" for name in HEADERS)
    source.write_text(f'{before}#include "echo.h"\n#include "fdpass.h"\n{text}')
    passing = ROOT / "chapters/03-descriptor-passing"
    command = [os.environ.get("CC") or "cc", "-std=c17", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra",
               "-Werror", "-Wno-unused-result", f"-I{ROOT}/common", f"-I{passing}", source,
               *([passing / "fdpass.c"] if program else ["-c"]), "-o", made]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    tap.equal((done.returncode, done.stderr), (0, ""))
    return made if program else None


def test_code_compiles_and_prints_what_the_answer_says():
    compiled_ones, run = 0, 0
    with tempfile.TemporaryDirectory() as name:
        for path in (path for folder in FOLDERS for path in sorted(folder.iterdir())):
            for text in code(path):
                program = compiled(pathlib.Path(name), text)
                compiled_ones += 1
                if not program:
                    continue
                printed = subprocess.run([program], stdin=subprocess.DEVNULL, check=False,
                                         stdout=subprocess.PIPE, text=True, timeout=tap.PATIENCE)
                answer = path.with_suffix(".answer.md").read_text()
                wanted = re.search(r"^```text\n(.*?)^```$", answer, re.M | re.S)[1]
                tap.equal(printed.stdout, wanted)
                run += 1
    tap.expect(compiled_ones > 10 and run > 1, f"{compiled_ones} compiled, {run} run")


# ---- the papers ----------------------------------------------------------------------------------

def test_no_paper_has_a_model_answer_in_it_and_each_sheet_has_all():
    for questions in both():
        answers = {question.title: list(sentences(exam.answer_of(question)[0]))
                   for question in questions}
        for seed in range(8):
            made = {name: text_of(page) for name, page in exam.pages(questions, [], seed).items()}
            for name in "A", "B":
                paper, sheet = made[f"paper-{name}"], made[f"marking-{name}"]
                for title, parts in answers.items():
                    tap.equal([part for part in parts if part in paper], [])
                    if title in sheet:
                        tap.equal([part for part in parts if part not in sheet], [])
        tap.expect(sum(map(len, answers.values())) > 100, "hardly any sentences were looked for")


def test_a_paper_does_not_depend_on_the_answers():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "exam"
        shutil.copytree(OVERLAY / "exam", folder)
        before = exam.pages(exam.read_all([folder]), [], 3)
        for path in folder.glob("*.answer.md"):
            question = exam.read(path.with_name(path.name.replace(".answer", "")))
            used = " ".join(f"@{name}@" for name in question.vary)
            path.write_text(f"Otherwise. {used}\n\n## Marks\n\n- {question.points}: all\n")
        after = exam.pages(exam.read_all([folder]), [], 3)
    for name, page in before.items():
        tap.expect((after[name] == page) == name.startswith("paper"), f"{name} has changed, or not")


def test_both_papers_are_worth_the_same_and_differ_in_every_question():
    for questions in both():
        seen = set()
        for seed in range(40):
            pairs = list(zip(*exam.choose(questions, [], seed)))
            for a, b in pairs:
                tap.equal((a.chapter, a.objective, a.points, a.minutes),
                          (b.chapter, b.objective, b.points, b.minutes))
                texts = [exam.filled(question, question.text, place)
                         for place, question in enumerate((a, b))]
                tap.expect(texts[0] != texts[1], f"{a.path.name} is the same in A and B")
                seen |= {a.path, b.path}
            tap.equal([a.chapter for a, _ in pairs], sorted({q.chapter for q in questions}))
        tap.equal(seen, {question.path for question in questions})


def test_numbers_vary_and_points_and_minutes_add_up():
    other = QUESTION.replace("chapter: 2", "chapter: 1").replace("points: 8", "points: 9").replace(
        "find the copy that keeps end-of-file away", "say what a fork costs, and of what")
    with folder_of({"2-ends.md": QUESTION, "2-ends.answer.md": ANSWER, "1-ends.md": other,
                    "1-ends.answer.md": ANSWER.replace("- 5", "- 6")}) as name:
        questions = exam.read_all([pathlib.Path(name)])
        made = {key: text_of(page) for key, page in exam.pages(questions, [], 1).items()}
        part = text_of(exam.pages(questions, [2], 1)["paper-A"])
    for place, count in ("A", 3), ("B", 4):
        tap.expect_in(f"Draw {count} ends. a < b Why?", made[f"paper-{place}"])
        tap.expect_in(f"There are {count}.", made[f"marking-{place}"])
        tap.expect_in(f"5 all {count} 3 why, and when", made[f"marking-{place}"])
        for page in "paper", "marking":
            tap.expect_in("together 26 17", made[f"{page}-{place}"])
            tap.expect_in("Draw, 8 points, 10 minutes", made[f"{page}-{place}"])
    tap.expect_in("together 16 8", part)


def test_the_same_seed_makes_the_same_papers_and_others_others():
    for questions in both():
        made = [exam.pages(questions, [], seed)["paper-A"] for seed in (1, 1, 2, 3, 4)]
        tap.equal(made[0], made[1])
        tap.expect(len(set(made)) > 2, "the seed does not matter")


# ---- what is refused -----------------------------------------------------------------------------

BAD = [  # in the question: what is replaced, by what, and what is said
    ("chapter: 2\n", "", "2-ends.md: its head says no chapter"),
    ("chapter: 2\n", "chapter: 12\n", "there is no chapter 12"),
    ("kind: draw", "kind: paint", "choose, race, and not paint"),
    ("minutes: 10", "minutes: ten", "minutes: ten is no number from 1 to 99"),
    ("points: 8", "points: 0", "points: 0 is no number from 1 to 99"),
    ("points: 8", "points: 9", "2-ends.answer.md gives 8 points, and the question 9"),
    ("points: 8", "points: 8\npoints: 8", "its head says something twice"),
    ("points: 8", "points: 8\nlevel: 3", 'its head says "level", and there is no such word'),
    ("find the copy", "lose the copy", 'chapter 2 has no objective "lose the copy that'),
    ("chapter: 2", "chapter: 3", 'chapter 3 has no objective "find the copy'),
    ("vary: count 3 4", "vary: count 3", 'vary: "count 3" is no name in small letters'),
    ("vary: count 3 4\n", "", "@count@ stands in the text or behind vary, and not in both"),
    ("count 3 4", "count 3 4, size 1 2", "@size@ stands in the text or behind vary"),
    ("---\n\n# Ends", "\n# Ends", "it does not begin with a head"),
    ("# Ends\n", "Ends\n", "it does not begin with a head"),
]
BAD_ANSWERS = [
    ("- 5", "- 4", "gives 7 points, and the question 8"),
    ("- 5: ", "- five: ", 'has no answer, and below "## Marks" lines such as'),
    ("## Marks", "## Scheme", 'has no answer, and below "## Marks" lines such as'),
    ("There are @count@.\n", "", 'has no answer, and below "## Marks" lines such as'),
    ("  and when\n", "and when\n", 'has no answer, and below "## Marks" lines such as'),
]


def test_a_bad_question_is_refused_in_a_line():
    for text, bad in (QUESTION, BAD), (ANSWER, BAD_ANSWERS):
        for before, after, wanted in bad:
            tap.expect(before in text, f"nothing is replaced: {before}")
            changed = text.replace(before, after)
            question, answer = (changed, ANSWER) if text is QUESTION else (QUESTION, changed)
            said = refused({"2-ends.md": question, "2-ends.answer.md": answer})
            tap.expect_in(wanted, said)
            tap.expect(said.startswith("2-ends"), f"it does not name the file: {said}")


def test_questions_that_do_not_go_together_are_refused():
    same = QUESTION.replace("@count@", "three").replace("vary: count 3 4\n", "")
    plain = ANSWER.replace("@count@", "three")
    tap.expect_in("2-ends.md: would be the same in A and B",
                  refused({"2-ends.md": same, "2-ends.answer.md": plain}))
    tap.expect_in("2-other.md: has other points or minutes than 2-ends.md", refused({
        "2-ends.md": same, "2-ends.answer.md": plain, "2-other.answer.md": plain,
        "2-other.md": same.replace("minutes: 10", "minutes: 11")}))
    tap.expect_in("2-ends.md: there is no 2-ends.answer.md", refused({"2-ends.md": QUESTION}))
    tap.expect_in("2-ends.answer.md: it answers no question", refused({"2-ends.answer.md": ANSWER}))
    tap.expect_in("there are no questions in ", refused({}))


def ran(*arguments, **environment):
    """The status of the command, and what it says."""
    with tempfile.TemporaryDirectory() as folder:
        known = {name: text for name, text in os.environ.items()
                 if name not in ("OVERLAY", "PUBLIC", "CHAPTERS", "SEED")}
        done = subprocess.run([ROOT / "slides/exam.py", *arguments], check=False, text=True,
                              env=known | {"RESULTS": folder} | environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.strip()


def test_a_bad_command_is_refused_in_a_line():
    with folder_of({"2-ends.md": QUESTION, "2-ends.answer.md": ANSWER}) as name:
        for environment, wanted in [
                ({"CHAPTERS": "1 x"}, "CHAPTERS: x is no chapter"),
                ({"CHAPTERS": "9"}, "there is no question on chapter 9"),
                ({"SEED": "many"}, "SEED=many: say a number, such as SEED=7"),
                ({"OVERLAY": name}, f"{name}/exam: no such folder")]:
            status, said = ran(**environment)
            tap.equal((status, said.count("\n")), (1, 0))
            tap.expect_in(f"exam: {wanted}", said)
        tap.equal(ran("/no/such"), (1, "exam: /no/such: no such folder"))


# ---- as a whole ----------------------------------------------------------------------------------

def test_make_takes_any_name_of_a_folder_and_the_pages_look_right():
    with tempfile.TemporaryDirectory() as name:
        top = pathlib.Path(name)
        overlay, out = top / "it's $(HOME) \"a\" $$x `id`", top / "out $(PWD) 'b'"
        shutil.copytree(OVERLAY / "exam", overlay / "exam")
        done = subprocess.run(
            ["make", "-s", "exam", f"OVERLAY={overlay}", f"RESULTS={out}", "SEED=5"], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        tap.equal((done.returncode, done.stdout),
                  (0, f"{out}: papers A and B, 84 points, 84 minutes and 6 to read; SEED=5\n"))
        names = [f"{page}-{place}" for page in ("marking", "paper") for place in "AB"]
        tap.equal(sorted(path.name for path in out.iterdir()),
                  [f"{name}.{kind}" for name in names for kind in ("html", "pdf")])
        tap.equal(out.stat().st_mode & 0o077, 0)
        for name in names:
            tap.equal((out / f"{name}.pdf").read_bytes()[:5], b"%PDF-")
        wanted = exam.pages(exam.read_all([overlay / "exam"]), [], 5)
        with browser.serve(out) as url, browser.Browser() as opened:
            for name in names:
                tap.expect((out / f"{name}.html").read_text() == wanted[name], f"another {name}")
                with opened.open(f"{url}{name}.html", width=794, media="print") as page:
                    tap.equal(page.faults() + page.foreign_fonts(), [])


def test_the_overlay_alone_or_with_the_public_ones():
    taken = []
    for public in "", "1":
        old = dict(os.environ)
        os.environ["PUBLIC"] = public
        try:
            exam.course.OVERLAY, sys.argv[1:] = OVERLAY, []
            taken.append(exam.asked_for()[0])
        finally:
            os.environ.clear()
            os.environ.update(old)
            exam.course.OVERLAY = None
    tap.equal(taken, [[OVERLAY / "exam"], [OVERLAY / "exam", exam.PUBLIC]])
    tap.equal(exam.asked_for()[0], [exam.PUBLIC])
    exam.by_objective(exam.read_all(taken[1]))


if __name__ == "__main__":
    tap.run(vars())
