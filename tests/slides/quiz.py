#!/usr/bin/env python3
"""The quizzes: Moodle can read them, what they say of the course is there, nothing gives the right
choice away; the page that is made of them; and that syllabus and talk leave no exercise out. npm's
packages must be there: make quiz.
"""
import collections
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in
                ("slides", "tests", "tests/texts", "tests/facts", "common/exercises")]
sys.dont_write_bytecode = True
import browser  # noqa: E402
import course  # noqa: E402
import experiment  # noqa: E402
import facts  # noqa: E402, F401  # brings the experiments
import links  # noqa: E402
import quiz  # noqa: E402
import tap  # noqa: E402

COLUMNS = 110
HTML = re.compile(r"<[a-zA-Z/!]|&\w+;")
# What Markdown takes for a list, a heading or a link.
MARKDOWN = re.compile(r"^\s*(?:[-+*>|] |\d+[.)] |\[)|[*_]{2}|\]\(", re.M)
WHERE = re.compile(r"[Cc]hapter \d|[Ee]xercises? \d|`make ")


def chapters_and_sections(text):
    """What is named as `Chapter 3, "Sending" and "Receiving"`, in pairs."""
    for number, names in re.findall(r'[Cc]hapter (\d)((?:[^;."]|"[^"]*")*)', text):
        for name in re.findall(r'"([^"]*)"', names):
            yield number, name


def headings(number):
    page, = (ROOT / "chapters").glob(f"{int(number):02}-*/README.md")
    return re.findall(r"^#+ (.*)|^\*\*(.*?)\*\*", page.read_text(), re.M)


def faults_of_question(question, chapter, number):
    kind, title = question["type"], question["title"] or ""
    texts = [quiz.told(question["stem"]), quiz.told(question["globalFeedback"])]
    if not title.startswith(f"{chapter}.{number} "):
        yield f"the title does not begin with {chapter}.{number}"
    if question["stem"]["format"] != "markdown":
        yield "the text is not marked as [markdown]"
    if kind == "Matching":
        pairs = question["matchPairs"]
        begins = [quiz.told(pair["subquestion"]) for pair in pairs]
        texts += begins + [pair["subanswer"] for pair in pairs]
        if len(pairs) < 3 or len(set(begins)) < len(pairs) or len(quiz.ends(question)) < len(pairs):
            yield "a match has three pairs at least, and none is there twice"
    elif kind in ("MC", "TF", "Numerical"):
        choices = quiz.choices(question)
        texts += [text for choice in choices for text in (choice.text, choice.why)]
        if sum(choice.right for choice in choices) != 1:
            yield "not just one choice is right"
        if kind == "MC" and len({choice.text for choice in choices}) != 4:
            yield "there are not four different choices"
        if kind == "Numerical" and choices[-1].text != "anything else":
            yield "nothing is said to another number"
        yield from (f'nothing is said to "{choice.text}"' for choice in choices if not choice.why)
    else:
        yield f"no such kind is known: {kind}"
    for text in texts:
        bare = re.sub(r"^```\n.*?^```$|`[^`\n]*`", "", text, flags=re.M | re.S)
        if "`" in bare or "`" in "".join(re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)):
            yield f"marks of code that are not closed: {text}"
        if HTML.search(bare) or MARKDOWN.search(bare):
            yield f"HTML, or Markdown that is no code: {text}"
    if not WHERE.search(texts[1]):
        yield "the general feedback does not say where to look"
    for number_, name in chapters_and_sections(texts[1]):
        if not any(name in pair for pair in headings(number_)):
            yield f'chapter {number_} has no section "{name}"'
    for name in re.findall(r"make fact-([\w-]+)", " ".join(texts)):
        if name not in experiment.FACTS:
            yield f"there is no fact {name}"
    for name in re.findall(r"\b\d\d-\d+\b", " ".join(texts)):
        if not list((ROOT / "exercises").glob(f"{name}-*")):
            yield f"there is no exercise {name}"


def given_away(questions):
    """Whether the place or the length of the right choice tells it, over a whole chapter."""
    choices = [quiz.choices(question) for question in questions if question["type"] == "MC"]
    choices = [some for some in choices if sum(choice.right for choice in some) == 1]
    places = [[choice.right for choice in some].index(True) for some in choices]
    lengths = [[[len(choice.text) for choice in some if choice.right == right]
                for right in (True, False)] for some in choices]
    if set(places) != {0, 1, 2, 3} or max(collections.Counter(places).values()) > len(choices) / 2:
        yield f"the right choices stand at {places}"
    longest = sum(max(right) > max(wrong) for right, wrong in lengths)
    shortest = sum(min(right) < min(wrong) for right, wrong in lengths)
    for name, count in [("longest", longest), ("shortest", shortest)]:
        if count > len(choices) / 2:
            yield f"{count} of {len(choices)} right choices are the {name} ones"


def faults(text, chapter):
    """What is wrong with a quiz, in lines."""
    try:
        category, *questions = quiz.parsed(text)
    except quiz.Mistake as mistake:
        return [str(mistake)]
    found = [f"line {number} has more than {COLUMNS} columns"
             for number, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS]
    if category["type"] != "Category":
        found.append("it does not begin with a category")
    if len(questions) != 10 or sum(question["type"] == "MC" for question in questions) < 6:
        found.append("it has not ten questions, six of them with a choice")
    for number, question in enumerate(questions, 1):
        found += [f"{question['title']}: {fault}"
                  for fault in faults_of_question(question, chapter, number)]
    if "\n//" in text.partition("\n\n")[2]:
        found.append("Moodle leaves out a line that begins with //, in a question, too")
    return found + list(given_away(questions))


def of_chapters():
    return [(path, path.name[1]) for path in quiz.FILES]


def test_every_chapter_has_a_quiz():
    names = [path.name for path in sorted((ROOT / "chapters").glob("[0-9]*"))]
    tap.equal([path.stem for path in quiz.FILES], names)


def test_nothing_is_wrong_with_them():
    tap.equal([(path.name, fault) for path, chapter in of_chapters()
               for fault in faults(path.read_text(), chapter)], [])


def test_no_title_is_there_twice():
    titles = [question["title"] for path in quiz.FILES for question in quiz.read(path)[1]]
    tap.equal([title for title, count in collections.Counter(titles).items() if count > 1], [])


def test_what_they_name_is_there():
    tap.equal([problem for path in quiz.FILES for problem in links.unknown(path)], [])


def test_what_they_claim_has_something_behind_it():
    done = subprocess.run([ROOT / "tests/facts/claims.py", *quiz.FILES], stderr=subprocess.PIPE,
                          text=True, check=False)
    tap.equal((done.returncode, done.stderr), (0, ""))


def numbers(name):
    """Of the exercises that a page of slides/ names."""
    return re.findall(r"\b\d\d-\d+\b", (ROOT / "slides" / name).read_text())


def test_every_exercise_checks_an_aim_of_the_syllabus_and_has_its_question_in_the_talk():
    there = sorted(exercise.number for exercise in course.read_list())
    tap.equal(sorted(set(numbers("syllabus.md"))), there)
    tap.equal(sorted(numbers("talk.md")), there)


def test_the_syllabus_names_questions_that_are_there():
    titles = [question["title"].split()[0]
              for path in quiz.FILES for question in quiz.read(path)[1]]
    named = re.findall(r"\*(\d\.\d+)\*", (ROOT / "slides/syllabus.md").read_text())
    tap.equal([number for number in named if number not in titles], [])
    tap.expect(len(named) > len(quiz.FILES), f"found {len(named)} numbers of questions")


# Of the first chapter: what is replaced once, by what, and what must be said then.
MADE = [
    (r"::\[markdown\]", "::", "the text is not marked as [markdown]"),
    (r"::1\.2 ", "::1.3 ", "the title does not begin with 1.2"),
    (r"\n=", r"\n~", "not just one choice is right"),
    (r"\n~", r"\n=", "not just one choice is right"),
    (r"\n~[^#]*\n  #[^~=#]*(?=\n[~=])", "", "there are not four different choices"),
    (r"(\n~[^#]*)\n  #[^~=]*\n(?=[~=])", r"\1\n", 'nothing is said to "'),
    (r"\n~\n  #[^\n]*", "", "nothing is said to another number"),
    (r"FALSE\n  #[^#]*", r"FALSE\n", 'nothing is said to "false"'),
    (r"####(.|\n)*?\}", r"####Think.\n}", "the general feedback does not say where to look"),
    (r'####Chapter 1, "The code"', '####Chapter 1, "The coda"', 'has no section "The coda"'),
    (r"make fact-", "make fact-no-", "there is no fact no-"),
    (r"exercise 01-2", "exercise 01-9", "there is no exercise 01-9"),
    (r"`SIGCHLD`", "`SIGCHLD", "marks of code that are not closed"),
    (r"What does it\s", "What does <b>it</b> ", "HTML, or Markdown that is no code"),
    (r"What does it\s", r"\n1. What does it ", "HTML, or Markdown that is no code"),
    (r"A server forks", "A server" + " that" * 20 + " forks", "more than 110 columns"),
    (r"No echo\\:", "No echo:", 'line 14 Expected'),
    (r"A server forks", "A server forks: it", "line 6 Expected"),
    (r"What does it\s", r"\n// What does it ", "Moodle leaves out a line that begins with //"),
    (r"#Bytes go to", "#a = b, so bytes go to", "there are not four different choices"),
    (r"\n\n::1\.10 (.|\n)*", r"\n", "it has not ten questions"),
    (r"\$CATEGORY: [^\n]*\n", "", "it does not begin with a category"),
]


def test_faults_are_seen():
    path, chapter = of_chapters()[0]
    text = path.read_text()
    for before, after, wanted in MADE:
        changed = re.sub(before, after, text, count=1)
        tap.expect(changed != text, f"nothing is replaced: {before}")
        found = "\n".join(faults(changed, chapter))
        tap.expect(wanted in found, f"{before}, then {after}\nwanted: {wanted}\ngot: {found}")


def test_a_right_choice_that_gives_itself_away_is_seen():
    path, chapter = of_chapters()[0]
    text, right = path.read_text(), r"\n=((?![%\d])[^#]*)\n  #"
    longer = re.sub(right, rf"\n=\1{' indeed' * 9}\n  #", text)
    tap.expect_in("right choices are the longest ones", "\n".join(faults(longer, chapter)))
    shorter = re.sub(right, r"\n=So\n  #", text)
    tap.expect_in("right choices are the shortest ones", "\n".join(faults(shorter, chapter)))
    first = re.sub(r"\{\n((?:~[^#]*#[^~=]*?)+)(=[^#]*#[^~#]*\n)", r"{\n\2\1", text)
    tap.expect_in("the right choices stand at", "\n".join(faults(first, chapter)))


def sheets_of(folder):
    """The texts of the sheets of a page that nothing is wrong with."""
    script = "[...document.querySelectorAll('.sheet')].map(sheet => sheet.innerText)"
    with browser.serve(folder) as url, browser.Browser() as opened:
        for media in "print", "":
            with opened.open(url + "quiz.html", width=794, media=media) as page:
                tap.equal(page.faults() + page.foreign_fonts(), [])
                sheets = page.evaluate(script)
    return [" ".join(sheet.split()) for sheet in sheets]


def test_the_page_shows_every_question_and_its_answer_apart():
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run([ROOT / "slides/quiz.py", folder], stdout=subprocess.PIPE, text=True,
                              check=True)
        tap.equal(made.stdout, f"{folder}/quiz.html\n")
        sheets = sheets_of(folder)
    quizzes = [quiz.read(path)[1] for path in quiz.FILES]
    tap.equal(len(sheets), 2 * len(quizzes))
    for questions, asked, answered in zip(quizzes, sheets, sheets[len(quizzes):]):
        tap.expect("`" not in asked + answered, "marks of code are shown as they are")
        for question in questions:
            tap.expect_in(question["title"], asked)
            tap.expect_in(question["title"], answered)
            if question["type"] == "Matching":
                continue
            right, = [choice for choice in quiz.choices(question) if choice.right]
            why = " ".join(right.why.replace("`", "").split())
            tap.expect_in(why, answered)
            tap.expect(why not in asked, f"answered beside the question: {why}")


if __name__ == "__main__":
    tap.run(vars())
