"""What the texts of the repository become in the book: the Markdown that a host shows, as MyST reads it.

Nothing is written twice: a Book takes every page as it stands, and what differs between a site, an EPUB
and a PDF is where a link leads, and what a click can do.
"""
import difflib
import html
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("common/book", "common/exercises", "common/text", "common/report", "slides")]
import course  # noqa: E402  these are there
import excerpt  # noqa: E402
import fonts  # noqa: E402
import quiz  # noqa: E402
import translate  # noqa: E402

GLOSSARY = "chapters/glossary.md"
FACTS = "chapters/facts.md"
NOT_THERE = ("common/exercises/autograder/overlay/", "slides/exam/", "common/book/locale/")  # what is to be copied, or filled in
# Of an EPUB and a PDF: what is read, not what the course is taught and looked after with.
READ = re.compile(r"README\.md|(chapters|exercises|solutions)/(?!.*\.\w\w\.md).*")
DECK = re.compile(r"slides/\d\d-[\w-]+\.md")
FENCE = re.compile(r"(?:^<!-- (excerpt|sketch)(?: (\S+) (.*?))? -->\n)?^( *)```([^\n]*)\n(.*?)^\4```$", re.M | re.S)
CODE = r"(`+)(?:(?!\1).)+?\1"
LINK = re.compile(CODE + r"|(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)", re.S)
# The paragraph where the hand-over of a server can be gone through.
STEPS = re.compile(r"^<!-- hand-over of (\S+) -->\n(?:.+\n)+", re.M)
COMMENT = re.compile(r" ?<!-- (?!hand-over of )(?:fact: ([\w-]+)|.*?) -->", re.S)
DESCRIBED = re.compile(r"^ *(accTitle|accDescr): (.*)$", re.M)
# The table at the top of a chapter.
OBJECTIVES = re.compile(r"^\*\*What you will be able to do\*\*\n\n(?:\|.*\n)+", re.M)
# Where no term becomes a link: in code, links and their definitions, tags and headings.
OTHER = re.compile(CODE + r"|!?\[(?:[^\[\]]|\[[^\]]*\])*\](?:\([^)]*\)|\[[^\]]*\])?|<[^>]+>|^#[^\n]*$|^\[[^\n]*$", re.M | re.S)
KINDS = {"README.md": ("Exercise", "Solution"), "README.ko.md": ("연습", "풀이")}  # an exercise's two pages
ARCHIVE = "course.tar.gz"  # of all that is tracked, beside the front page of a site
REPORT = """# The last report

All tables and plots that were measured where this book was made.

<iframe class="report" src="_static/report/index.html" title="The report" loading="lazy"></iframe>

<p><a href="_static/report/index.html">The report alone</a></p>
"""
LANGUAGES = excerpt.LANGUAGES | {".gp": "gnuplot"}


class Mistake(Exception):
    """What is wrong with a page, in a line."""


def tracked():
    """The files of the repository, or where git knows nothing of it all but what is made."""
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")
            if path.is_file() and path.relative_to(ROOT).parts[0] not in ("build", "mine", ".git")]


def folded(summary, text):
    return f"\n<details><summary>{html.escape(summary)}</summary>\n\n{text}\n\n</details>\n"


def block(made):
    """HTML as a block of Markdown, which a blank line would end; and as XML, for an EPUB."""
    return made.replace("\n\n", "\n&#10;").replace("<br>", "<br/>")


class Book:
    """The pages of one kind, "html", "epub" or "pdf", below a folder that Sphinx then reads."""

    def __init__(self, kind, out, drawn, handed, imprint="", home=""):
        """`drawn` gives of the text of a picture in Mermaid the SVG, `handed` of the name of a server the HTML of
        its hand-over, step by step, and the SVG of one moment of it. `home` is the address of the repository, where it
        has one."""
        self.kind, self.out, self.drawn, self.handed, self.imprint = kind, out, drawn, handed, imprint
        self.home = home
        files = tracked()
        self.files = set(files)
        texts = [name for name in files if name.endswith(".md") and not name.startswith(NOT_THERE)]
        self.pages = [name for name in texts if kind == "html" or READ.fullmatch(name)]
        self.decks = [name for name in self.pages if DECK.fullmatch(name)]
        self.sources = {}  # of each that a page leads to: its number, for ids
        self.pictures = 0
        glossary = (ROOT / GLOSSARY).read_text()  # below its title, each heading is a term
        self.tasks = {exercise.number: exercise for exercise in course.read_list()}
        self.terms = dict(zip(re.findall(r"^#+ (.*)$", glossary, re.M)[1:], translate.slugs(glossary)[1:]))

    # ---- where a link leads ----

    def document(self, name):
        """What Sphinx calls the page that is made of this text: the front page is called index. In a PDF all
        is one page, below a title that is nobody's."""
        if name == "README.md" and self.kind == "pdf":
            return "front"
        return re.sub(r"(^|/)README", r"\1index", name.removesuffix(".md"))

    def source(self, name):
        """What it calls the page that shows this file."""
        self.sources.setdefault(name, len(self.sources) + 1)
        return f"source/{name.replace('.', '-')}"

    def href(self, here, document, at):
        """For an <a> in the page `here`: to an id of another."""
        if self.kind == "pdf":
            return f"#{at}"
        suffix = {"html": ".html", "epub": ".xhtml"}[self.kind]
        return f"{os.path.relpath(document, os.path.dirname(self.document(here)) or '.')}{suffix}#{at}"

    def line(self, here, name, number):
        return self.href(here, self.source(name), f"f{self.sources[name]}-{number}")

    def target(self, here, to):
        """Where a link of the page `here` leads in the book: a path; or None, if that is not in it."""
        name, hash_, at = to.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(here), name)) if name else here
        if (ROOT / path).is_dir():
            path = os.path.normpath(os.path.join(path, "README.md"))
        if path in self.pages:
            there = self.document(path) + ".md"
        elif path in self.files and pathlib.Path(path).suffix in LANGUAGES:
            there, hash_, at = self.source(path) + ".md", "", ""
        elif path in self.files and pathlib.Path(path).suffix in (".svg", ".png"):
            there = self.picture(path)
        else:
            return None
        return os.path.relpath(there, os.path.dirname(self.document(here)) or ".") + hash_ + at

    def picture(self, name):
        """Copies a picture, with its fonts in it."""
        data = (ROOT / name).read_bytes()
        self.write(name, fonts.picture(data.decode()) if name.endswith(".svg") else data)
        return name

    def write(self, name, data):
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    # ---- a page ----

    def links(self, here, text):
        def led(found):
            _, picture, words, to = found.groups()
            if words is None or re.match(r"\w+:", to):
                return found[0]
            there = self.target(here, to)
            if there is None:
                return words
            return f"{picture}[{words}]({there})"
        return LINK.sub(led, text)

    def comments(self, here, text):
        """Of a claim that can be tried, a link to the experiment; of any other comment, nothing."""
        def made(found):
            if not found[1]:
                return ""
            to = self.href(here, self.document(FACTS), f"fact-{found[1]}")
            return f'<a class="fact" href="{to}" title="make fact-{found[1]}">tried</a>'
        return COMMENT.sub(made, text)

    def fence(self, here, found):
        kind, path, what, indent, info, body = found.groups()
        language = (info.split() or [""])[0]
        if language == "mermaid":
            return indent + self.mermaid(here, body)
        block = f"{indent}```{language or 'text'}\n{body}{indent}```"
        if kind != "excerpt":
            return block
        try:
            first, lines = excerpt.place(path, what)
        except excerpt.Mistake as mistake:
            raise Mistake(f"{here}: {path}: {mistake}") from None
        to = self.line(here, path, first)
        until = f" to {first + len(lines) - 1}" if len(lines) > 1 else ""
        return f'{block}\n\n<p class="from"><a href="{to}">{path}, line {first}{until}</a></p>\n'

    def mermaid(self, here, text):
        said = dict(DESCRIBED.findall(text))
        if "accDescr" not in said:
            raise Mistake(f"{here}: a picture in Mermaid has no accDescr, for those who do not see it")
        self.pictures += 1
        name = f"drawn/{self.pictures}.svg"
        self.write(name, fonts.picture(self.drawn(text)))
        words = re.sub(r"[\[\]]", "", said["accDescr"])
        return f"![{words}]({os.path.relpath(name, os.path.dirname(self.document(here)) or '.')})"

    def words(self, here, text, linked):
        """Text between blocks of code, with a link from the first use of each term of the glossary."""
        text = self.links(here, self.comments(here, text))
        if here == GLOSSARY or not READ.fullmatch(here) or re.search(r"\.\w\w\.md$", here):
            return text
        for term, at in sorted(self.terms.items(), key=lambda pair: len(pair[0]), reverse=True):
            if at in linked:
                continue
            place = self.first(term, text)
            if place:
                linked.add(at)
                to = self.target(here, os.path.relpath(GLOSSARY, os.path.dirname(here) or ".") + f"#{at}")
                text = text[:place.start()] + f"[{place[0]}]({to})" + text[place.end():]
        return text

    @staticmethod
    def first(term, text):
        """Where the term stands first, alone or as plural, and not in something else that is marked up."""
        word = re.compile(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", re.I)
        begin = 0
        for other in [*OTHER.finditer(text), None]:
            found = word.search(text, begin, other.start() if other else len(text))
            if found or not other:
                return found
            begin = other.end()
        return None

    def steps(self, here, name):
        figure, svg = self.handed(name)
        if self.kind == "html":
            return f"A real run, call by call:\n\n{block(figure)}\n"
        file = f"drawn/hand-over-{name}.svg"
        self.write(file, fonts.picture(svg))
        words = re.search(r"<desc[^>]*>(.*?)</desc>", svg, re.S)[1]
        return (f"One moment of a real run:\n\n![{html.unescape(words)}]"
                f"({os.path.relpath(file, os.path.dirname(self.document(here)) or '.')})\n")

    def objectives(self, here, table):
        """With links to the exercises and the questions of the quiz that it names."""
        top, chapter = os.path.relpath(".", os.path.dirname(here)), os.path.basename(os.path.dirname(here))

        def led(found):
            task = self.tasks.get(found[1])
            return f"[{found[1]}]({top}/exercises/{task.name}/index.md)" if task else found[0]
        table = re.sub(r"(?<![\w`/-])(\d\d-\d)(?![\w-])", led, table)
        return re.sub(r"\*(\d+\.\d+)\*", rf"[*\1*]({top}/quiz/{chapter}.md)", table)

    def front(self, text):
        """The front page, with where all that it speaks of is to be had: a site brings it along."""
        where = self.home and f"It lies at <{self.home}>"
        if self.kind == "html":
            archive = f'<a href="{ARCHIVE}">one archive</a>'
            where = f"{where}, and whole in {archive}" if where else f"All of it, texts, code and tests, is in {archive}"
        return re.sub(r"(?m)^## ", f"{where}.\n\n## ", text, count=1) if where else text

    def page(self, here):
        text = (ROOT / here).read_text()
        if self.kind != "html":  # a page in other languages is not beside it
            text = re.sub(r"^English · .*\n\n", "", text, flags=re.M)
        linked = set(re.findall(r"glossary\.md#([\w-]+)", text))
        made, end = [], 0
        for found in FENCE.finditer(text):
            made += [self.words(here, text[end:found.start()], linked), self.fence(here, found)]
            end = found.end()
        made.append(self.words(here, text[end:], linked))
        # Last, so that nothing in it is taken for a text.
        text = STEPS.sub(lambda found: self.steps(here, found[1]), "".join(made))
        if self.kind == "pdf":
            text = text.replace("<details>", "<details open>")
        text = OBJECTIVES.sub(lambda found: self.objectives(here, found[0]), text)
        if here == "README.md":
            text = self.front(text)
        if here == FACTS:
            text = re.sub(r"^- `([\w-]+)`:", r'- <span id="fact-\1"></span>`\1`:', text, flags=re.M)
        return text

    # ---- what is beside the pages ----

    def exercise(self, of):
        """Behind the page of an exercise: its hints, one after the other, and its solution. On paper nothing can be
        folded: there the hints stand with the solution."""
        name, text = of.name, "\n\n## Hints, and the solution\n"
        if self.kind != "html":
            return f"\n\n*Hints and the solution: [Solution {of.number}](../../solutions/{name}/index.md)*\n"
        starters = [path for path in sorted(self.files) if re.fullmatch(rf"exercises/{name}/[^/]*", path)
                    and pathlib.Path(path).suffix in LANGUAGES and not path.endswith(".md")]
        if starters:
            text = "\n\nThe starter: " + ", ".join(
                f"[{pathlib.Path(path).name}](../../{self.source(path)}.md)" for path in starters) + "." + text
        for number, words in enumerate(of.hints, 1):
            text += folded(f"Hint {number}", words)
        if f"solutions/{name}/README.md" in self.pages:
            text += folded("The solution", f"[What was wrong, and what is not enough](../../solutions/{name}/index.md)")
            text += f"\n```{{toctree}}\n:hidden:\n\nThe solution </solutions/{name}/index>\n```\n"
        return text

    def solution(self, of):
        """Behind the page of a solution: what differs from the starter."""
        name, text = of.name, "\n\n## What changed\n"
        if self.kind != "html":
            text = "\n\n## The hints\n\n" + "".join(f"1. {words}\n" for words in of.hints) + text
        for path in sorted((ROOT / "solutions" / name).iterdir()):
            starter = ROOT / "exercises" / name / path.name
            if path.suffix not in LANGUAGES:
                continue
            old = starter.read_text().splitlines() if starter.exists() else []
            diff = list(difflib.unified_diff(old, path.read_text().splitlines(), f"exercises/{name}/{path.name}",
                                             f"solutions/{name}/{path.name}", lineterm=""))
            if diff:
                text += "\n```diff\n" + "\n".join(diff) + "\n```\n"
        return text

    def quiz(self, path):
        answers = ""  # where nothing can be folded, behind all questions
        title, questions = quiz.read(path)
        text = f"# Quiz: {title}\n\n"
        if self.kind == "html":
            text += "Choose, and see what is behind your choice. Nothing is sent anywhere.\n"
        for number, question in enumerate(questions, 1):
            text += f"\n## {' '.join(question['title'].split())}\n\n"
            answer = f'<div class="answer">{block(quiz.answered(question))}</div>'
            if self.kind == "html":
                text += f'<div class="question">{block(self.asked(question, number))}</div>\n'
                text += folded("The answer", answer)
            else:
                text += f'<div class="question">{block(quiz.asked(question))}</div>\n'
                answers += f"**{' '.join(question['title'].split())}**\n\n{answer}\n\n"
        return text + (f"\n## The answers\n\n{answers}" if answers else "")

    @staticmethod
    def asked(question, number):
        """The question with something to click, where there are choices: book.js answers."""
        if question["type"] not in ("MC", "TF"):
            return quiz.asked(question)
        lines = []
        for choice in quiz.choices(question):
            right = "right" if choice.right else "wrong"
            why = f'<span class="why" hidden><b>{"Right." if choice.right else "No."}</b> {quiz.line(choice.why)}</span>'
            lines.append(f'<label class="{right}"><input type="radio" name="q{number}"> {quiz.line(choice.text)}</label>{why}')
        legend = f'<legend>{quiz.TO_DO[question["type"]]}</legend>'
        return (f"{quiz.paragraphs(quiz.told(question['stem']))}<fieldset>{legend}"
                f"{quiz.items('ul', lines)}</fieldset>")

    def deck(self, name):
        text = (ROOT / name).read_text()
        title = re.search(r"^# (.*)$", text, re.M)[1]
        stem = pathlib.Path(name).stem
        to = f"../_static/slides/{stem}"
        return (f"# Deck: {title}\n\n"
                f'<iframe class="deck" src="{to}.html" title="The slides: {html.escape(title)}" loading="lazy"></iframe>\n\n'
                f'<p><a href="{to}.html">The slides alone</a> (<kbd>f</kbd> is full screen, <kbd>p</kbd> the presenter’s view)'
                + "".join(f' · <a href="{to}{end}.pdf">{words}</a>'
                          for end, words in (("", "as PDF"), ("-handout", "handout"), ("-notes", "with notes"))
                          if (self.slides / f"{stem}{end}.pdf").exists()) + "</p>\n")

    def listing(self, name):
        """A page that shows a file, with an id at each line."""
        from pygments import highlight, lexers, formatters  # pylint: disable=import-outside-toplevel

        number, text = self.sources[name], (ROOT / name).read_text()
        language = LANGUAGES[pathlib.Path(name).suffix]
        code = highlight(text, lexers.get_lexer_by_name(language, stripnl=False),
                         formatters.HtmlFormatter(nowrap=True))
        lines = "".join(f'<span class="line" id="f{number}-{at}"><span class="number">{at:4} </span>{line}</span>\n'
                        for at, line in enumerate(code.rstrip("\n").split("\n"), 1))
        return f'# {name}\n\n<div class="highlight listing"><pre>{lines}</pre></div>\n'.replace("\n\n</", "\n</")

    # ---- all of it ----

    @staticmethod
    def toctree(caption, entries, how="hidden:"):
        return f"\n```{{toctree}}\n:{how}\n:caption: {caption}\n\n" + "\n".join(entries) + "\n```\n" if entries else ""

    def quizzes(self):
        return ["/quiz/index"] if self.kind == "html" else [f"/quiz/{path.stem}" for path in quiz.FILES]

    def contents(self):
        """What stands where: the order of the book, and of a site's menu."""
        def those(pattern):
            return [f"/{self.document(name)}" for name in self.pages if re.fullmatch(pattern, name)]

        chapters = those(r"chapters/\d\d-[^/]+/README\.md")
        front = ["/front"] if self.kind == "pdf" else []
        text = self.toctree("The course", front + chapters + those(r"chapters/part-\w+\.md"))
        inner = those(r"exercises/\d.*/README\.md") if self.kind != "html" else []  # else they are below that page
        text += self.toctree("To do", those("exercises/README.md") + inner + those("exercises/project-http/README.md") + self.quizzes())
        if self.kind != "html":
            text += self.toctree("Solutions", those(r"solutions/.*/README\.md"))
        text += self.toctree("To look up", those("chapters/(glossary|debugging|facts).md") + ["/source/index"])
        if self.kind == "html":
            text += self.toctree("To teach", those("slides/(README|syllabus|prerequisites|talk|exam).md") + ["/slides/decks"])
            text += self.toctree("Measured here", ["/report"] if self.reported else [])
            text += self.toctree("To look after", those(r"\.github/.*|(common|tests)/.*"))
        return text + self.toctree("한국어", those(r"(.*/)?[\w-]+\.ko\.md"))

    def make(self, slides, report):
        """Writes all pages. `slides` and `report` are the folders where make has put those."""
        self.slides, self.reported = slides, (report / "index.html").exists()
        tasks = {exercise.name: exercise for exercise in self.tasks.values()}
        for here in self.pages:
            folder = os.path.dirname(here)
            name = os.path.basename(folder)
            if here in self.decks:
                text = self.deck(here)
            else:
                text = self.page(here)
            kinds = KINDS.get(here.removeprefix(folder + "/"))
            if name in tasks and kinds:  # two pages of one title: a search shows both in a list behind the chapters
                kind = kinds[folder.startswith("solutions/")]
                text = re.sub(r"\A# ", f"# {kind} {tasks[name].number}: ", text)
            if folder == f"exercises/{name}" and name in tasks and here.endswith("/README.md"):
                text += self.exercise(tasks[name])
            elif here == "exercises/README.md" and self.kind == "html":
                names = [each for each in tasks if f"exercises/{each}/README.md" in self.pages]
                text += "\n## All of them\n" + self.toctree("Exercises", [f"/exercises/{each}/index" for each in names], "maxdepth: 1")
            elif here == "exercises/project-http/README.md" and self.kind == "html":
                text += self.toctree("Solution", ["/solutions/project-http/index"])
            elif folder == f"solutions/{name}" and name in tasks and here.endswith("/README.md"):
                text += self.solution(tasks[name])
            elif here == "README.md" and self.kind != "pdf":
                text += self.contents()
            self.write(self.document(here) + ".md", text)
        for path in quiz.FILES:
            self.write(f"quiz/{path.stem}.md", self.quiz(path))
        if self.kind == "pdf":
            title = re.match("# .*", (ROOT / "README.md").read_text())[0]
            self.write("index.md", f"{title}\n\nA course in C for Linux\n\n{self.imprint}\n{self.contents()}")
        if self.kind == "html":
            self.write("quiz/index.md", "# Quizzes\n\nTen questions on each chapter. Each wrong choice is what somebody believes.\n\n"
                       "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(path.stem for path in quiz.FILES) + "\n```\n")
            self.write("slides/decks.md", "# Decks\n\n```{toctree}\n:maxdepth: 1\n\n"
                       + "\n".join(f"/{self.document(name)}" for name in self.decks) + "\n```\n")
            if self.reported:
                self.write("report.md", REPORT)
        # No more than what is led to is shown: so these come last.
        self.write("source/index.md", "# The code\n\nThe files that the pages speak of, as they are.\n\n```{toctree}\n:maxdepth: 1\n\n"
                   + "\n".join(f"/{self.source(name)}" for name in sorted(self.sources)) + "\n```\n")
        for name in self.sources:
            self.write(self.source(name) + ".md", self.listing(name))
