#!/usr/bin/env python3
"""quiz.py [OUT]: makes of the quizzes, quiz/*.gift, a page to print: build/slides/quiz.html.

First the questions, each chapter on sheets of its own; then, on other sheets, the answers, with
what is behind each choice. The files are GIFT, which Moodle imports; gift-pegjs reads them, which
npm brings. Of Markdown they have code between backticks, and blocks of it, and no more.
"""
import collections
import html
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common/report"))
import fonts  # noqa: E402  which is there
import paths  # noqa: E402

FILES = sorted((HERE / "quiz").glob("*.gift"))
FOLDER = paths.BUILD / "slides"  # where npm has put the parser
PARSE = """
const {parse} = require("gift-pegjs"), text = require("fs").readFileSync(0, "utf8");
try {
    console.log(JSON.stringify(parse(text)));
} catch (error) {
    console.log(error.location ? error.location.start.line : 0, error.message);
    process.exit(1);
}
"""
STYLE = f"""
@page {{ size: A4; margin: 14mm 18mm; }}
html {{ color: #111; background: #fff; font: 10.5pt/1.35 {fonts.SANS}; }}
body {{ max-width: 174mm; margin: 0 auto; padding: 4mm; }}
h1, h2 {{ border-bottom: 3px solid #0072b2; line-height: 1.2; padding-bottom: 1.5mm; }}
h3 {{ font-size: 10.5pt; margin: 0 0 1mm; }}
p, pre, ol, ul {{ margin: 0 0 1.5mm; }}
code, pre {{ font-family: {fonts.MONO}; font-size: 0.92em; }}
pre {{ border-left: 4px solid #999; padding-left: 3mm; white-space: pre-wrap; }}
ol, ul {{ padding-left: 7mm; }}
li {{ margin-bottom: 0.7mm; }}
.sheet + .sheet {{ break-before: page; }}
.question {{ break-inside: avoid; margin-bottom: 4.5mm; }}
.name {{ margin: 0 0 4mm; }}
.why {{ color: #333; }}
.where {{ border-left: 4px solid #0072b2; padding-left: 3mm; }}
@media print {{ body {{ max-width: none; padding: 0; }} }}
"""
TO_DO = {"MC": "One choice is right.", "TF": "True, or false?", "Numerical": "A number: ________",
         "Matching": "Write the letter of what fits behind each line."}
Choice = collections.namedtuple("Choice", "text right why")


class Mistake(Exception):
    """Why a text is no GIFT, and in which line."""


# ---- reading -------------------------------------------------------------------------------------

def parsed(text):
    """What gift-pegjs makes of a text in GIFT: a list of dictionaries."""
    done = subprocess.run(["node", "-e", PARSE], cwd=FOLDER, input=text, stdout=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        said = " ".join(done.stdout.split())
        raise Mistake(f"line {said}" if said else f"node cannot read it; is {FOLDER} made?")
    return json.loads(done.stdout)


def read(path):
    """The title of a quiz, and its questions. Raises Mistake."""
    try:
        category, *questions = parsed(path.read_text())
    except Mistake as mistake:
        raise Mistake(f"{path.name}: {mistake}") from None
    return category["title"].rpartition("/")[2], questions


def told(words):
    return words["text"] if words else ""


def choices(question):
    """What may be said, whether that is right, and why; not of a question that matches pairs."""
    if question["type"] == "TF":  # the first is for who is wrong, whatever the parser calls it
        why = {False: told(question["trueFeedback"]), True: told(question["falseFeedback"])}
        right = {"true": question["isTrue"], "false": not question["isTrue"]}
        return [Choice(text, right[text], why[right[text]]) for text in right]
    return [Choice(said(choice["text"]), choice["isCorrect"] and choice["weight"] in (None, 100),
                   told(choice["feedback"])) for choice in question["choices"]]


def said(answer):
    if "number" in answer:
        return f"{answer['number']:g}"
    return "anything else" if answer["text"] == "*" else answer["text"]


def ends(question):
    """Of pairs, what there is to choose from, in the order of the alphabet."""
    return sorted({pair["subanswer"] for pair in question["matchPairs"]}, key=str.lower)


# ---- the page ------------------------------------------------------------------------------------

def line(text):
    text = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def paragraphs(text):
    """HTML of a text with blocks of code."""
    parts = re.split(r"^```\n(.*?)^```$", text, flags=re.M | re.S)
    return "".join(f"<pre>{html.escape(part)}</pre>" if place % 2 else f"<p>{line(part)}</p>"
                   for place, part in enumerate(parts) if part.strip())


def items(kind, lines):
    """A list: kind is `ol type="a"`, for example."""
    return f"<{kind}>{''.join(f'<li>{text}</li>' for text in lines)}</{kind.split()[0]}>"


def asked(question):
    made = f"{paragraphs(told(question['stem']))}<p><em>{TO_DO[question['type']]}</em></p>"
    if question["type"] == "MC":
        made += items('ol type="a"', [line(choice.text) for choice in choices(question)])
    elif question["type"] == "Matching":
        begins = [told(pair["subquestion"]) for pair in question["matchPairs"]]
        made += items("ol", [f"{line(text)}: ____" for text in begins])
        made += items('ol type="a"', map(line, ends(question)))
    return made


def paired(pair, all_ends):
    letter = "abcdefghij"[all_ends.index(pair["subanswer"])]
    begin, end = line(told(pair["subquestion"])), line(pair["subanswer"])
    return f"{begin}: <strong>{letter}, {end}</strong>"


def judged(choice):
    text = f"<strong>Right: {line(choice.text)}</strong>" if choice.right else line(choice.text)
    return f'{text}<br><span class="why">{line(choice.why)}</span>'


def answered(question):
    if question["type"] == "Matching":
        made = items("ol", [paired(pair, ends(question)) for pair in question["matchPairs"]])
    else:
        lines = [judged(choice) for choice in choices(question)]
        made = items('ol type="a"' if question["type"] == "MC" else "ul", lines)
    return f'{made}<p class="where">{line(told(question["globalFeedback"]))}</p>'


def sheet(title, above, questions, inside):
    made = [f'<div class="question"><h3>{line(question["title"])}</h3>{inside(question)}</div>'
            for question in questions]
    return f'<div class="sheet"><h2>{html.escape(title)}</h2>{above}{"".join(made)}</div>'


def page(quizzes):
    """Of pairs, a title and its questions, the whole page."""
    name = '<p class="name">Name: ______________________________</p>'
    sheets = [sheet(title, name, questions, asked) for title, questions in quizzes]
    sheets += [sheet(f"{title}: answers", "", questions, answered) for title, questions in quizzes]
    body = (f"<h1>Quizzes</h1><p>From fork to a pool of processes. First the questions of "
            f"{len(quizzes)} chapters, then the answers, on sheets of their own.</p>"
            f"{''.join(sheets)}")
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Quizzes</title>'
            f'<link rel="icon" href="data:,"><style>{STYLE}{fonts.faces(body)}</style></head>'
            f"<body>{body}</body></html>")


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else FOLDER
    try:
        made = page([read(path) for path in FILES])
    except Mistake as mistake:
        sys.exit(f"quiz: {mistake}")
    (out / "quiz.html").write_text(made)
    print(out / "quiz.html")


if __name__ == "__main__":
    main()
