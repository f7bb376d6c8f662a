#!/usr/bin/env python3
"""Test of common/report/report.py: makes pages and looks at them in a headless Chromium.

The results are made on the spot: tables and plots as the measurements write them, among them some that are
missing, unknown, damaged, very wide, or named badly. Of what there is in mine/results a page is tested too.
What the browser shows is saved in build/check/report-*.png.
"""
import contextlib
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
RESULTS = ROOT / (os.environ.get("MINE") or "mine") / "results"
os.environ["BUILD"] = os.environ["MINE"] = WORK = tempfile.mkdtemp(prefix="report-test-")
sys.path[:0] = [str(ROOT / "common/report"), str(ROOT / "tests")]

import gnuplot  # noqa: E402  after BUILD, which it reads
import paths  # noqa: E402  after BUILD, which it reads
import results  # noqa: E402  after BUILD, which it reads
import browser as chromium  # noqa: E402
import fonts  # noqa: E402
import tap  # noqa: E402
from sections import SECTIONS  # noqa: E402
from tap import equal  # noqa: E402

shutil.copy(BUILD / "servers.tsv", WORK)
REPORT = ROOT / "common/report/report.py"
SHOTS = BUILD / "check"
FONTS = BUILD / "slides/node_modules/@fontsource"  # which `make slides` has npm bring
WINDOWS = [(width, dark) for width in (400, 1600) for dark in (False, True)]
LONG = "a_name_of_a_server_that_is_longer_than_any_telephone_is_wide_and_has_no_place_to_break_" * 2
HOSTILE = '<b>bold</b> &amp; "quoted" <script>alert(1)</script>'


# ---- results to make pages of ----


def plot(name, title="A plot"):
    """A table and its plot, drawn by gnuplot as all are."""
    results.write_table(paths.RESULTS / f"{name}.tsv", ["clients", "first", "second"],
                        [[1, 30, 20], [8, 40, 25], [32, 80, 41]])
    gnuplot.draw(str(ROOT / "tests/report/plot.gp"), paths.RESULTS / f"{name}.tsv", paths.RESULTS / name, title=title)


def table(name, title, columns, rows, notes=()):
    with contextlib.redirect_stdout(io.StringIO()):
        results.show_table(name, title, columns, rows, notes)


def change(name, pattern, to):
    """Changes a result, as if it had been measured elsewhere or were broken."""
    path = paths.RESULTS / name
    text, count = re.subn(pattern, to, path.read_text(), flags=re.S)
    assert count > 0, f"no {pattern} in {name}"
    path.write_text(text)


def make_results():
    """Results of all kinds, in a fresh copy. What each is for is said by the tests."""
    made = paths.BUILD / "made"
    shutil.rmtree(paths.RESULTS, ignore_errors=True)
    if not made.exists():
        measure()
        paths.RESULTS.rename(made)
    shutil.copytree(made, paths.RESULTS)


def measure():
    plot("chapter-01")
    table("chapter-01", "fork, exit and wait, µs", ["memory", "4 KiB pages", "2 MiB pages"],
          [["1 MiB", "70 (68-75)", "69 (67-70)"], ["1024 MiB", "41234 (40000-42000)", "≈ 1.02 (0.98-1.06)"]])
    plot("compare-percentiles")
    plot("compare-cpu")
    rows = [[number, server, clients, 1000, 1000, cost * clients] for number in (1, 2, 3) for clients in (1, 32)
            for server, cost in (("01", 10.0 - number), ("04", 2.0))]
    results.write_table(paths.RESULTS / "compare.tsv",
                        ["round", "server", "clients", "connections", "ok", "server_us"], rows)
    table("compare", "Median and range", ["", *(f"with {n} clients at once" for n in range(1, 13))],
          [["CPU", *[""] * 12], ["fork", *["219 (210-230)"] * 12], [LONG, *["69 (66-71)"] * 12],
           ["latency", *[""] * 12], ["fork", *["1.4 ms"] * 12]], ["A note."])
    plot("timeline-04")
    plot("growth-workers")
    for clients in (32, 8):
        table(f"peers-{clients}", f"{clients} clients", ["", "CPU, µs"], [["a server", "1"]])
    name = "a new & bad%20name"
    plot(f"{name}-{LONG[:60]}", HOSTILE.replace("&amp;", "and"))  # which gnuplot takes for a command of its own
    table(name, HOSTILE, ["who", "what it says", "how often", HOSTILE],
          [[HOSTILE, f"words, and a long one: {LONG}", "−3 %", "1"], ["ü", "", "–", ""]], [HOSTILE, LONG])
    change(f"{name}.table.tsv", "$", "a row that is too short\n")


def make_page(expected=0):
    """Runs report.py; gives the text of the page, and what it said."""
    result = subprocess.run([REPORT], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert result.returncode == expected, f"report.py ended with {result.returncode}: {result.stdout}"
    page = paths.BUILD / "report/index.html"
    return page.read_text() if page.exists() else "", result.stdout


class Pages:
    """The browser, with the folder of pages served."""

    def __init__(self, browser, url):
        self.browser, self.url = browser, url

    def open(self, path="report/index.html", **how):
        return self.browser.open(self.url + path, **how)

    def look(self, name):
        """Looks at the page in each window, by light and by dark, and saves what is seen."""
        faults = []
        for width, dark in WINDOWS:
            with self.open(width=width, dark=dark) as page:
                faults += [f"{width} {'dark' if dark else 'light'}: {fault}" for fault in page.faults()]
                SHOTS.mkdir(parents=True, exist_ok=True)
                page.screenshot(SHOTS / f"{name}-{width}-{'dark' if dark else 'light'}.png")
        equal(faults, [])


# ---- tests ----

pages = None  # of class Pages, while the tests run


def test_nothing_measured_is_said_in_a_line():
    shutil.rmtree(paths.RESULTS, ignore_errors=True)
    _, said = make_page(expected=1)
    equal(said, "report.py: nothing has been measured yet; begin with: make compare\n")
    assert not (paths.BUILD / "report").exists()


def test_page_is_good_in_every_window():
    make_results()
    make_page()
    pages.look("report-fixture")


def test_page_of_the_last_results_is_good_in_every_window():
    if not any(RESULTS.glob("*.[st][vs][gv]")):
        print("# nothing has been measured yet")
        return
    shutil.rmtree(paths.RESULTS, ignore_errors=True)
    shutil.copytree(RESULTS, paths.RESULTS)
    make_page()
    pages.look("report-results")


def test_a_bad_page_is_found_out():
    """What the two tests above rely on: each fault is seen."""
    (paths.BUILD / "bad.html").write_text("""<!DOCTYPE html><html lang="en"><head><title>bad</title></head><body>
        <h1 id="one">bad</h1><h3 id="one">skips</h3>
        <p style="color: #888">grey on white</p>
        <p style="opacity: 0.5">half there</p>
        <p style="width: 3000px">wide</p>
        <p style="width: 300px; white-space: nowrap">words that go on and on and on, and further than the paper goes</p>
        <p style="position: absolute; left: -50px">left of it</p>
        <div style="width: 100px; overflow: hidden; white-space: nowrap">text that is cut off at its end</div>
        <div style="width: 100px; overflow: auto; white-space: nowrap">text that scrolls for a mouse alone</div>
        <img src="none.png" alt="not there"><img src="bad.html">
        <a href="#nowhere">nowhere</a> <a href="none.html">none</a>
        <img src="http://elsewhere.invalid/picture.png" alt="from elsewhere">
        <script>console.error("complains"); alert("hello"); undefined_function()</script>""")
    (paths.BUILD / "favicon.ico").touch()
    with pages.open("bad.html", width=400) as page:
        assert "leads nowhere: none.html" in page.faults()
    with pages.open("bad.html", width=400) as page:  # and is found out on the next page, too
        faults = page.faults()
    for wanted in ("id given twice: one", 'heading skips a level: h3#one "skips"',
                   'contrast of 3.54: p "grey on white"', 'contrast of 3.98: p "half there"',
                   "the page is 3008 wide in a window of 400", 'sticks out of the window, from 8 to 3008: p "wide"',
                   'sticks out of the window, from -50 to .*"left of it"',
                   'text sticks out of the window: p "words that go on .*"', 'text sticks out of .*: p "left of it"',
                   'cuts off what is in it: div "text that is cut off at its end"',
                   'scrolls, but not with the keyboard: div "text that scrolls for a mouse alone"',
                   "picture does not show: none.png", "picture does not show: bad.html", "picture without alt: bad.html",
                   "leads nowhere: #nowhere", "leads nowhere: none.html",
                   "asks another place: http://elsewhere.invalid/picture.png", "console: error: complains",
                   "asks with a dialog: hello",
                   "script: ReferenceError: undefined_function is not defined", "console: error: .* 404 .*none.png"):
        assert any(re.fullmatch(wanted, fault) for fault in faults), f"not found out: {wanted}; only: {faults}"
        faults = [fault for fault in faults if not re.fullmatch(wanted, fault)]
    # The rest follows from these: the same requests, as the console tells them.
    consequence = "picture does not show: http|console: error: Failed to load"
    equal([fault for fault in faults if not re.match(consequence, fault)], [])


def test_html_is_valid():
    make_results()
    make_page()
    result = subprocess.run(["tidy", "-q", "-e", paths.BUILD / "report/index.html"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    equal((result.returncode, result.stdout), (0, ""))


def test_page_needs_nothing_but_its_folder():
    make_results()
    text, _ = make_page()
    assert "<script" not in text
    equal(re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?:[a-z]+:)?//[^"']*""", text), [])
    moved = paths.BUILD / "elsewhere"
    shutil.rmtree(moved, ignore_errors=True)
    (paths.BUILD / "report").rename(moved)
    with pages.open("elsewhere/index.html") as page:
        equal(page.faults(), [])


def test_everything_is_there_in_the_order_of_the_course():
    make_results()
    make_page()
    with pages.open() as page:
        equal(page.evaluate("[...document.querySelectorAll('section')].map(e => e.id)"),
              ["chapter-01", "compare", "timeline", "growth", "peers", "a-new---bad-20name", "missing"])
        equal(page.evaluate("[...document.querySelectorAll('#peers .caption')].map(e => e.textContent)"),
              ["8 clients", "32 clients"])
        equal(page.evaluate("[...document.querySelectorAll('#chapter-01 > *')].map(e => e.tagName + e.className)"),
              ["H3", "Pquestion", "FIGURE", "Pcaption", "DIVtable", "DLsource"])
        equal(page.evaluate("[...document.images].map(e => decodeURIComponent(e.getAttribute('src')))"),
              [f"plots/{name}.svg" for name in ("chapter-01", "compare-percentiles", "compare-cpu", "timeline-04",
                                                "growth-workers", f"a new & bad%20name-{LONG[:60]}")])
        contents = page.evaluate("[...document.querySelectorAll('nav a')].map(e => e.textContent)")
        equal([contents[0], len(contents)], ["1 Fork per connection", 7])
        data = page.evaluate("[...document.querySelectorAll('a[download]')].map(e => e.textContent)")
        # Of a measurement that has nothing but tables these are the data.
        equal(sorted(data), sorted(path.name for path in paths.RESULTS.glob("*.tsv")
                                   if ".table" not in path.name or path.name.startswith("peers")))


def test_what_is_missing_is_listed_with_its_command():
    make_results()
    make_page()
    with pages.open() as page:
        listed = page.evaluate("[...document.querySelectorAll('#missing li')].map(e => e.textContent)")
    there = ("chapter-01", "compare", "timeline", "growth", "peers")
    for section in SECTIONS:
        if section.name not in there:
            assert f"{section.title}: make {section.target}" in listed, f"{section.name} is not in {listed}"
    assert "What grows with what, the plots growth-clients, growth-bytes and growth-memory: make growth" in listed
    assert not any("growth-workers" in line for line in listed)


def test_plots_have_texts():
    make_results()
    make_page()
    with pages.open() as page:
        texts = page.evaluate("[...document.images].map(e => e.alt)")
    assert all(len(text) > 40 for text in texts[:5]), texts
    # One that nobody has described is by the words in it.
    start, *words = re.split(": |; ", texts[5])
    equal(start, "A plot with these words in it")
    equal(set(words), {HOSTILE.replace("&amp;", "and"), "clients", "µs", "first", "second"})


def test_fonts_come_with_the_page():
    make_results()
    text, _ = make_page()
    equal(set(re.findall(r"url\((data:[^;]*|[^)]*)", text)), {"data:font/woff2"})
    with pages.open() as page:
        equal(page.foreign_fonts("body, body *"), [])
        pictures = page.evaluate("[...document.images].map(e => e.src)")
    for picture in pictures:
        with pages.browser.open(picture) as page:
            equal(page.foreign_fonts(), [])


def test_page_is_good_without_them():
    """Where npm has brought none: the system's are taken, and no more is said of it."""
    make_results()
    fonts.FOLDER.unlink()
    try:
        text, said = make_page()
        assert "@font-face" not in text and "report.py: " not in said, said
        with pages.open() as page:
            equal(page.faults(), [])
            assert page.foreign_fonts("body, body *"), "no font of this machine shows"
    finally:
        fonts.FOLDER.symlink_to(FONTS)


def test_texts_are_shown_as_they_are():
    make_results()
    make_page()
    with pages.open() as page:
        cells = page.evaluate("[...document.querySelectorAll('#a-new---bad-20name tbody tr:first-child > *')]"
                              ".map(e => e.textContent)")
        equal(cells, [HOSTILE, f"words, and a long one: {LONG}", "−3 %", "1"])
        equal(page.evaluate("document.querySelector('#a-new---bad-20name .caption').textContent"), HOSTILE)
        equal(page.evaluate("[...document.querySelectorAll('#a-new---bad-20name .notes p')].map(e => e.textContent)"),
              [HOSTILE, LONG])


def test_numbers_stand_to_the_right_and_medians_below_medians():
    make_results()
    make_page()
    with pages.open(width=1600) as page:
        rows = page.evaluate("""[...document.querySelectorAll('#chapter-01 tbody tr')].map(row => [...row.cells].map(
            cell => [cell.textContent, getComputedStyle(cell).textAlign]))""")
        equal(rows[0], [["1 MiB", "left"], ["70", "right"], ["(68–75)", "left"], ["69", "right"], ["(67–70)", "left"]])
        equal(rows[1][3:], [["≈ 1.02", "right"], ["(0.98–1.06)", "left"]])
        widths = page.evaluate("""[...document.querySelectorAll('#compare tr')].map(row => [...row.cells].reduce(
            (sum, cell) => sum + cell.colSpan, 0))""")
        equal(set(widths), {25})
        unit = page.evaluate("""((e, style) => [e.textContent, style(e).textAlign, style(e).fontVariantNumeric])(
            document.querySelector('#compare tbody tr:last-child td'), getComputedStyle)""")
        equal(unit[:2], ["1.4 ms", "right"])
        assert "tabular-nums" in unit[2], unit


def test_wide_tables_scroll_inside_themselves():
    make_results()
    make_page()
    for width in (400, 1600):
        with pages.open(width=width) as page:
            page.evaluate("box = document.querySelector('#compare .table'), 0")
            inner, outer = page.evaluate("[box.scrollWidth, box.clientWidth]")
            assert inner > outer, f"the table is not wider than its box: {inner}, {outer}"
            page.evaluate("box.scrollLeft = 300")  # the names of the rows stay
            equal(page.evaluate("[box, box.querySelector('tr:nth-child(2) th')].map(e => e.getBoundingClientRect().left)"
                                ".reduce((a, b) => b - a)"), 0)


def test_contents_stay_in_a_wide_window():
    make_results()
    make_page()
    with pages.open(width=1600) as page:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        top, bottom = page.evaluate("(e => [e.top, e.bottom])(document.querySelector('nav').getBoundingClientRect())")
        assert 0 <= top and bottom <= 900, (top, bottom)
        assert page.evaluate("scrollY") > 900


def test_main_result_is_said_in_a_sentence():
    make_results()
    make_page()
    with pages.open() as page:
        said = page.evaluate("document.querySelector('.summary').textContent")
        equal(said, "With 32 clients, a connection costs the server 256 µs of CPU time if a process is forked for it, "
                    "and 64 µs if it is handed to a pool of processes: 0.25 times as much (0.22 to 0.29 by round). "
                    "Of 12\u202f000 connections, none was lost.")
    change("compare.tsv", "\t1000\t1000\t", "\t1000\t999\t")
    make_page()
    with pages.open() as page:
        said = page.evaluate("document.querySelector('.summary').textContent")
        assert said.endswith("12 were lost."), said
    change("compare.tsv", "server_us", "other")
    make_page()
    with pages.open() as page:
        equal(page.evaluate("document.querySelector('.summary')"), None)


def test_machine_date_and_command_are_said():
    make_results()
    for path in paths.RESULTS.glob("*.tsv"):
        text = re.sub("# (frequency governor|load average).*\n", "", path.read_text())
        text = re.sub("# date: .*", "# date: 2026-03-01T09:05:00+01:00", text)
        path.write_text(re.sub("# machine: .*", "# machine: A & B, 4 CPUs\n# frequency governor: x; virtualisation: y, z\n"
                               "# load average at the beginning: 0.25 0.50 0.75", text))
    change("chapter-01.tsv", "T09:05:00", "T09:17:00")
    change("chapter-01.tsv", "0.25", "1.75")
    make_page()
    kernel, command = (next(line.partition(": ")[2] for line in results.machine() if line.startswith(fact))
                       for fact in ("kernel", "command"))
    with pages.open() as page:
        equal(page.evaluate("[...document.querySelectorAll('.machine dd')].map(e => e.textContent)"),
              ["A & B, 4 CPUs", kernel, "x", "y, z", "1 March 2026, 09:05 to 09:17 UTC+01:00"])
        equal(page.evaluate("[...document.querySelectorAll('#chapter-01 .source dd')].map(e => e.textContent)"),
              [f"1 March 2026, 09:05 to 09:17 UTC+01:00, on A & B, 4 CPUs ({kernel}); load average before: 0.25 to 1.75",
               "make chapter-01", "chapter-01.tsv"])
        equal(page.evaluate("document.querySelector('.warning')"), None)
        # Of a measurement that is not on the list the command is the one that the results name.
        equal(page.evaluate("document.querySelector('#a-new---bad-20name .source code').textContent"),
              command)


def test_other_machines_and_days_are_said():
    make_results()
    change("growth-workers.tsv", "# date: [^\n]*", "# date: 2020-02-29T12:00:00+00:00")
    make_page()
    with pages.open() as page:
        assert "different days" in page.evaluate("document.querySelector('.warning').textContent")
    change("growth-workers.tsv", "# machine: [^\n]*", "# machine: another one")
    make_page()
    with pages.open() as page:
        lines = page.evaluate("[...document.querySelectorAll('.warning li')].map(e => e.textContent)")
        equal(len(lines), 2)
        assert lines[1].startswith("another one, ") and lines[1].endswith(": What grows with what"), lines
        equal(page.faults(), [])


def test_what_cannot_be_read_is_said_and_the_rest_is_shown():
    make_results()
    plot("knee")
    change("knee.svg", "</svg>.*", "")
    (paths.RESULTS / "chapter-01.table.tsv").write_text("# title: nothing follows\n")
    (paths.RESULTS / "chapter-01.tsv").write_bytes(b"mib\tus\n\xff\t1\n")
    (paths.RESULTS / "compare.part").write_text("not a result")
    _, said = make_page()
    for name in ("knee.svg", "chapter-01.table.tsv", "chapter-01.tsv"):
        assert f"report.py: {name} is left out: " in said, said
    with pages.open() as page:
        equal(page.faults(), [])
        listed = page.evaluate("[...document.querySelectorAll('#missing li')].map(e => e.textContent)")
        for name, command in (("knee.svg", "make knee"), ("chapter-01.tsv", "make chapter-01")):
            assert any(line.startswith(f"{name} cannot be read") and line.endswith(command) for line in listed), listed
        equal(page.evaluate("document.querySelectorAll('#chapter-01 img, #knee img').length"), 1)
        equal(page.evaluate("document.querySelectorAll('#compare img').length"), 2)


def test_page_is_replaced_as_a_whole():
    make_results()
    make_page()
    (paths.BUILD / "report/plots/old.svg").touch()
    (paths.RESULTS / "compare-cpu.svg").unlink()
    make_page()
    plots = {path.name for path in (paths.BUILD / "report/plots").iterdir()}
    equal(plots, {path.name for path in paths.RESULTS.glob("*.svg")})
    equal([path.name for path in paths.BUILD.glob("scratch*") if str(os.getpid()) not in path.name], [])


def test_page_prints():
    make_results()
    make_page()
    with pages.open(width=680, dark=True, media="print") as page:  # a page of A4 within its margins
        equal(page.faults(), [])
        equal(page.evaluate("getComputedStyle(document.querySelector('nav')).display"), "none")
        equal(page.evaluate("getComputedStyle(document.querySelector('img')).filter"), "none")
        paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert min(map(int, re.findall(r"\d+", paper))) > 240, f"prints on {paper}"
    with pages.open() as page:
        page.pdf(SHOTS / "report-fixture.pdf")
    equal((SHOTS / "report-fixture.pdf").read_bytes()[:5], b"%PDF-")


def test_dark_is_dark():
    make_results()
    make_page()
    for dark in (False, True):
        with pages.open(dark=dark) as page:
            paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            equal(max(map(int, re.findall(r"\d+", paper))) < 50, dark)
            equal("invert" in page.evaluate("getComputedStyle(document.querySelector('img')).filter"), dark)


def test_browser_leaves_nothing_behind():
    """However it ends: here by an error, by a kill, and in peace."""
    for end in ("error", "kill", "peace"):
        with contextlib.suppress(chromium.Failure), chromium.Browser() as browser:
            profile = browser.profile
            with browser.open("about:blank") as page:
                if end == "error":
                    page.evaluate("nonsense(")
                elif end == "kill":
                    os.kill(browser.pid, 9)
                    page.evaluate("1")
                    raise AssertionError("a browser that was killed answers")
        assert not profile.exists()
        equal([pid for pid in filter(str.isdigit, os.listdir("/proc"))
               if str(profile) in read(f"/proc/{pid}/cmdline") + read(f"/proc/{pid}/environ")], [])


def read(path):
    with contextlib.suppress(OSError):
        return pathlib.Path(path).read_text(errors="replace")
    return ""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Bail out! terminated"))
    try:
        fonts.FOLDER.parent.mkdir(parents=True)
        fonts.FOLDER.symlink_to(FONTS)
        with chromium.serve(WORK) as url, chromium.Browser() as browser:
            pages = Pages(browser, url)
            tap.run(vars())
    except chromium.Failure as failure:
        sys.exit(f"Bail out! {failure}")
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
