#!/usr/bin/env python3
"""Makes one page of all results there are: build/report/index.html, with its plots and data beside it.

The folder needs nothing else: no script, no server, and the fonts are in it where `make slides` has
had them brought. It can be opened from the disk or copied onto a web server as it is.
"""
import collections
import contextlib
import datetime
import fnmatch
import html
import pathlib
import re
import shlex
import shutil
import sys
import urllib.parse
import xml.etree.ElementTree

import fonts
import mine
import paths
import program
import registry
import results
import stats
import style
import terminal
from plots import Plot
from sections import SECTIONS, Section

# A file of results. The comments at its top are the title, notes, and facts: machine, kernel, date, command, ...
Table = collections.namedtuple("Table", "title notes facts columns rows")
# What there is of a section: plots as pairs of Plot and path, the tables to show, all facts, files of data.
Found = collections.namedtuple("Found", "section plots tables facts data")

SVG = "{http://www.w3.org/2000/svg}"

LOAD = "load average at the beginning"
OTHERWISE = "Other measurements"  # those that no section owns

esc, url = html.escape, urllib.parse.quote


def warn(text):
    terminal.complain(f"{pathlib.Path(sys.argv[0]).name}: {text}")


# ---- reading ----


def read_table(path):
    """Reads tab-separated values behind comments."""
    comments, lines = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and not lines:
            # A line can hold several: "frequency governor: performance; virtualisation: none seen".
            whole = line.startswith(("# title: ", "# note: "))
            for fact in [line[2:]] if whole else re.split("; (?=[a-z ]+: )", line[2:]):
                key, _, value = fact.partition(": ")
                comments.append((key, value.strip()))
        elif line:
            lines.append(line.split("\t"))
    if not lines:
        raise ValueError("there is no table in it")
    width = max(map(len, lines))
    rows = [line + [""] * (width - len(line)) for line in lines]
    facts = {key: value for key, value in comments if key not in ("title", "note")}
    titles = [value for key, value in comments if key == "title"]
    notes = [value for key, value in comments if key == "note"]
    return Table(titles[0] if titles else "", notes, facts, rows[0], rows[1:])


def read_plot(path):
    """Reads a picture, which may have been cut off while it was drawn."""
    svg = xml.etree.ElementTree.parse(path).getroot()
    if svg.tag != SVG + "svg":
        raise ValueError("it is no picture")
    return svg


def owner(name):
    """The section that owns results of this name: of those it could be, the one with the longest name."""
    owners = [s for s in SECTIONS if name == s.name or name.startswith(s.name + "-")]
    return max(owners, key=lambda s: len(s.name), default=None)


def place(section, name):
    """Where a result comes in its section: those that it lists first, then by name, 8 before 32."""
    listed_names = [plot.name for plot in section.plots] + section.tables
    number = next((i for i, pattern in enumerate(listed_names) if fnmatch.fnmatch(name, pattern)), len(listed_names))
    return number, [(not part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)]


def labels(svg):
    """The texts in a plot, for one that nobody has described: its title, axes and legend."""
    texts = ("".join(each.itertext()).strip() for each in svg.iter(SVG + "text"))
    return list(dict.fromkeys(text for text in texts if re.search(r"[^\W\d]{2}", text)))


def gather(results):
    """What there is, by section, in the order of the page; and what could not be read, as lines."""
    files, damaged = {}, []
    for path in sorted(results.glob("*")):
        if path.suffix in (".svg", ".tsv"):
            name = path.name[:-len(path.suffix)]
            name = name[:-len(".table")] if name.endswith(".table") else name
            # Those that nobody knows become sections by the first word of their name.
            first = name.split("-")[0]
            section = owner(name) or Section("", first, "", first.replace("_", " "), "", "", [], [])
            files.setdefault(section.name, (section, []))[1].append((name, path))

    found = []
    known = [section.name for section in SECTIONS]
    for key in sorted(files, key=lambda key: (known.index(key) if key in known else len(known), key)):
        section, paths = files[key]
        one = Found(section, [], [], [], [])
        for name, path in sorted(paths, key=lambda each: (place(section, each[0]), each[1])):
            try:
                if path.suffix == ".svg":
                    svg = read_plot(path)
                    size = [float(value) for value in svg.get("viewBox", "0 0 1200 675").split()[2:]]
                    plot = next((plot for plot in section.plots if fnmatch.fnmatch(name, plot.name)), None)
                    plot = plot or Plot(name, "A plot with these words in it: " + "; ".join(labels(svg)), name)
                    one.plots.append((plot, path, size))
                else:
                    table = read_table(path)
                    one.facts.append(table.facts)
                    (one.tables if path.name.endswith(".table.tsv") else one.data).append((name, path, table))
            except (ValueError, xml.etree.ElementTree.ParseError) as error:
                damaged.append((path.name, section, str(error)))
        if one.plots or one.tables or one.data:
            found.append(one)
    return found, damaged


# ---- words ----


def anchor(name):
    """A name as an id: without spaces and what else has a meaning in a link."""
    return re.sub(r"[^\w.-]", "-", name)


def unique(values):
    return list(dict.fromkeys(value for value in values if value))


def when(facts):
    """The times at which something was measured, in order."""
    times = []
    for fact in facts:
        with contextlib.suppress(ValueError):
            times.append(datetime.datetime.fromisoformat(fact.get("date", "")))
    # Those without a zone cannot be compared with those that have one.
    return sorted(time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc) for time in times)


def day(time):
    return f"{time.day} {time:%B %Y}"


def period(times):
    """The times in words: "3 June 2026, 13:54 to 13:59 UTC"."""
    if not times:
        return "at a time unknown"
    first, last = times[0], times[-1]
    zone = last.strftime("%Z")
    if day(first) != day(last):
        return f"{day(first)}, {first:%H:%M} to {day(last)}, {last:%H:%M} {zone}"
    if f"{first:%H:%M}" != f"{last:%H:%M}":
        return f"{day(first)}, {first:%H:%M} to {last:%H:%M} {zone}"
    return f"{day(first)}, {first:%H:%M} {zone}"


def machines(facts):
    """The machines, each as a pair of its description and its kernel."""
    return unique((fact["machine"], fact.get("kernel", "")) for fact in facts if fact.get("machine"))


def load(facts):
    """How busy the machine was already: the load average of a minute, of that of one, five and fifteen."""
    minutes = [re.match(r"\d+\.\d+", fact.get(LOAD, "")) for fact in facts]
    low, high = (f((float(each[0]) for each in minutes if each), default=None) for f in (min, max))
    return "" if low is None else f"; load average before: {low}" + (f" to {high}" if low < high else "")


def listed(words):
    words = list(words)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def command(section, facts):
    """What measures a section again."""
    return [f"make {section.target}"] if section.target else unique(fact.get("command") for fact in facts)


def heading(section):
    return f"{section.number} {section.title}".strip()


def thousands(number):
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def summary(found):
    """The main result in a sentence: CPU time of fork per connection and of the pool, in the same rounds."""
    by_name = {name: table for one in found for name, _, table in one.data}
    table = by_name.get("compare") or by_name.get(f"chapter-{registry.first('hand-over')}")
    if not table or not {"round", "server", "clients", "connections", "ok", "server_us"} <= set(table.columns):
        return ""
    rows = [dict(zip(table.columns, row)) for row in table.rows]
    most = max(rows, key=lambda row: float(row["clients"]))["clients"]
    cost = {(row["server"], row["round"]): float(row["server_us"]) for row in rows if row["clients"] == most}
    forks, pools = registry.first("rest=0"), registry.first("hand-over")
    rounds = [number for server, number in cost if server == forks and (pools, number) in cost]
    if not rounds:
        return ""
    fork, pool = (stats.median([cost[server, number] for number in rounds]) for server in (forks, pools))
    ratios = [cost[pools, number] / cost[forks, number] for number in rounds]
    connections = sum(float(row["connections"]) for row in rows)
    lost = connections - sum(float(row["ok"]) for row in rows)
    return (f"With {most} clients, a connection costs the server <b>{fork:.0f} µs</b> of CPU time if a process is "
            f"forked for it, and <b>{pool:.0f} µs</b> if it is handed to a pool of processes: "
            f"{stats.median(ratios):.2f} times as much ({min(ratios):.2f} to {max(ratios):.2f} by round). "
            f"Of {thousands(connections)} connections, {thousands(lost) if lost else 'none'} "
            f"{'was' if lost <= 1 else 'were'} lost.")


# ---- writing ----

# Numbers stand to the right, with or without a mark, a unit and a range: "70", "1.4 ms", "≈ 1.02 (0.98-1.06)".
NUMBER = re.compile(r"(?:[?≈~<>≤≥] ?)?[-−+]?[\d.,]*\d(?: ?(?:%|×|µs|ms|s|[kM]|[KMG]i?B))?|\d+ → \d+|[-–—]?")
RANGED = re.compile(rf"({NUMBER.pattern}) (\([^()]*\))")


def form(texts):
    """What a column is: of ranges behind medians, of numbers, or of text."""
    if not all(RANGED.fullmatch(text) or NUMBER.fullmatch(text) for text in texts):
        return "text"
    return "ranged" if any(map(RANGED.fullmatch, texts)) else "number"


def cells(text, of):
    """A cell. One with a range becomes two, so that medians stand below medians."""
    if of == "text":
        return f'<td class="text">{esc(text)}</td>'
    ranged = RANGED.fullmatch(text)
    if of == "ranged":
        middle, behind = (ranged[1], re.sub(r"(?<=\d)-(?=-?\d)", "–", ranged[2])) if ranged else (text, "")
        return f'<td>{esc(middle)}</td><td class="range">{esc(behind)}</td>'
    return f"<td>{esc(text)}</td>"


def write_table(identity, table):
    """A table that scrolls inside itself where it is too wide."""
    full = [row for row in table.rows if any(row[1:])]  # the others are titles for those below them
    forms = [form([row[i] for row in full]) for i in range(1, len(table.columns))]
    heads = {"text": '<th scope="col" class="text">', "number": '<th scope="col">',
             "ranged": '<th scope="colgroup" colspan="2" class="text">'}
    yield f'<p class="caption" id="{identity}">{esc(table.title or identity)}</p>'
    yield f'<div class="table" role="region" tabindex="0" aria-labelledby="{identity}">'
    yield (f'<table aria-labelledby="{identity}">\n<thead><tr><th scope="col" class="text">{esc(table.columns[0])}</th>'
           + "".join(f"{heads[of]}{esc(column)}</th>" for of, column in zip(forms, table.columns[1:]))
           + "</tr></thead>")
    yield "<tbody>"
    for row in table.rows:
        if row in full:
            yield (f'<tr><th scope="row">{esc(row[0])}</th>'
                   + "".join(cells(text, of) for of, text in zip(forms, row[1:])) + "</tr>")
        else:
            width = 1 + len(forms) + forms.count("ranged")
            yield f'<tr class="group"><th scope="rowgroup" colspan="{width}"><span>{esc(row[0])}</span></th></tr>'
    yield "</tbody></table></div>"
    if table.notes:
        yield '<div class="notes">' + "".join(f"<p>{esc(note)}</p>" for note in table.notes) + "</div>"


def write_section(one):
    """A section: question, plots, tables, and where all that comes from."""
    section = one.section
    yield f'<section id="{anchor(section.name)}">'
    number = f'<span class="number">{section.number}</span> ' if section.number else ""
    yield f"<h3>{number}{esc(section.title)}</h3>"
    if section.question:
        yield f'<p class="question">{esc(section.question)}</p>'
    for plot, path, (width, height) in one.plots:
        yield "<figure>"
        yield (f'<div class="plot"><a href="plots/{url(path.name)}"><img src="plots/{url(path.name)}" '
               f'width="{width:.0f}" height="{height:.0f}" alt="{esc(plot.drawn)}"></a></div>')
        yield f"<figcaption>{esc(plot.reading)}</figcaption>"
        yield "</figure>"
        for name, _, table in one.tables:  # the one of this plot below it, the others at the end
            if name == path.stem:
                yield from write_table(f"table-{anchor(name)}", table)
    drawn = {path.stem for _, path, _ in one.plots}
    for name, _, table in one.tables:
        if name not in drawn:
            yield from write_table(f"table-{anchor(name)}", table)
    yield '<dl class="source">'
    where = listed(esc(f"{machine} ({kernel})" if kernel else machine) for machine, kernel in machines(one.facts))
    yield f"<dt>Measured</dt><dd>{period(when(one.facts))}{', on ' + where if where else ''}{load(one.facts)}</dd>"
    again = command(section, one.facts)
    if again:
        yield "<dt>Again</dt><dd>" + ", ".join(f"<code>{esc(each)}</code>" for each in again) + "</dd>"
    files = sorted(path for _, path, _ in one.data or one.tables)
    if files:
        links = (f'<a href="data/{url(path.name)}" download>{esc(path.name)}</a>' for path in files)
        yield f"<dt>Data</dt><dd>{', '.join(links)}</dd>"
    yield "</dl>"
    yield "</section>"


def write_contents(found, missing):
    """The table of contents: a list for each group of sections."""
    groups = {}
    for one in found:
        groups.setdefault(one.section.group or OTHERWISE, []).append(one.section)
    yield '<nav aria-label="Contents">'
    for group, sections in groups.items():
        yield f"<p>{esc(group)}</p><ul>"
        for section in sections:
            yield f'<li><a href="#{anchor(section.name)}">{esc(heading(section))}</a></li>'
        yield "</ul>"
    if missing:
        yield '<p><a href="#missing">Not measured yet</a></p>'
    yield "</nav>"


def write_head(found):
    """What was measured, on what, and when; and whether it can be compared."""
    facts = [fact for one in found for fact in one.facts]
    times = when(facts)
    yield "<header>"
    yield '<p class="course">From fork to a pool of processes</p>'
    yield "<h1>What was measured</h1>"
    with contextlib.suppress(ValueError):  # a table that is not as expected makes no sentence
        sentence = summary(found)
        if sentence:
            yield f'<p class="summary">{sentence}</p>'
    known = machines(facts)
    yield '<dl class="machine">'
    if len(known) == 1:
        yield f"<dt>Machine</dt><dd>{esc(known[0][0])}</dd>"
        yield f"<dt>Kernel</dt><dd>{esc(known[0][1])}</dd>"
        for key in ("frequency governor", "virtualisation"):
            values = unique(fact.get(key) for fact in facts)
            if values:
                yield f"<dt>{key.capitalize()}</dt><dd>{esc(' or '.join(values))}</dd>"
    yield f"<dt>Measured</dt><dd>{period(times)}</dd>"
    yield "</dl>"
    if len(known) > 1:
        yield '<div class="warning"><p>These results come from different machines or kernels. Compare figures only ' \
              "where both come from the same:</p><ul>"
        for machine in known:
            of_it = [f'<a href="#{anchor(one.section.name)}">{esc(heading(one.section))}</a>'
                     for one in found if machine in machines(one.facts)]
            yield f"<li>{esc(machine[0])}, {esc(machine[1])}: {listed(of_it)}</li>"
        yield "</ul></div>"
    elif len({day(time) for time in times}) > 1:
        yield '<p class="warning">These results are from different days. Each section says from when it is; compare ' \
              "figures within a section before you compare across sections.</p>"
    yield "</header>"


def write_missing(found, damaged):
    """What is not on the page, and the command that measures it."""
    plots = {plot.name for one in found for plot, *_ in one.plots}
    there = {one.section.name for one in found}
    items = [f"<li>{esc(section.title)}: <code>make {esc(section.target)}</code></li>"
             for section in SECTIONS if section.name not in there]
    for one in found:
        names = [plot.name for plot in one.section.plots if plot.name not in plots and "*" not in plot.name]
        if names:
            items.append(f"<li>{esc(one.section.title)}, the plot{'s' * (len(names) > 1)} {listed(names)}: "
                         f"<code>make {esc(one.section.target)}</code></li>")
    items += [f"<li>{esc(name)} cannot be read ({esc(error)})"
              + (f": <code>make {esc(section.target)}</code>" if section.target else "") + "</li>"
              for name, section, error in damaged]
    if items:
        yield '<section id="missing"><h2>Not measured yet</h2><ul>'
        yield from items
        yield "</ul></section>"


# The bars of a fork and of a hand-over.
ICON = ("data:image/svg+xml," + url(
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
    f"<path fill='{style.INKS[0]}' d='M2 2h4v12H2z'/><path fill='{style.INKS[1]}' d='M9 10h4v4H9z'/></svg>"))


def write_page(found, damaged):
    missing = list(write_missing(found, damaged))
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield "<title>What was measured: from fork to a pool of processes</title>"
    yield f'<link rel="icon" href="{ICON}">'
    css = (paths.ROOT / "common/report/report.css").read_text(encoding="utf-8")
    yield f"<style>\n:root {{ --accent: {style.INKS[0]}; }}\n{css}"
    body = "\n".join(write_body(found, missing))
    yield f"{fonts.faces(body)}</style>\n</head>\n<body>\n{body}\n</body>\n</html>"


def write_body(found, missing):
    now = datetime.datetime.now().astimezone()
    yield from write_head(found)
    yield from write_contents(found, missing)
    yield "<main>"
    group = None
    for one in found:
        if one.section.group != group:
            group = one.section.group
            yield f'<h2>{esc(group or OTHERWISE)}</h2>'
        yield from write_section(one)
    yield from missing
    yield "</main>"
    yield f"<footer><p>Made by <code>make report</code>, {period([now])}.</p></footer>"


def main():
    if len(sys.argv) > 1:
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name}")
    mine.take_over_unasked()
    found, damaged = gather(paths.RESULTS)
    for name, _, error in damaged:
        warn(f"{name} is left out: {error}")
    if not found:
        raise program.Failure("nothing has been measured yet; begin with: make compare")
    folder, part = paths.BUILD / "report", results.scratch() / "report"
    for sub in ("plots", "data"):
        (part / sub).mkdir(parents=True)
    for one in found:
        for _, path, _ in one.plots:
            drawn = fonts.picture(path.read_text(encoding="utf-8"))
            (part / "plots" / path.name).write_text(drawn, encoding="utf-8")
        for _, path, _ in one.data + one.tables:
            shutil.copyfile(path, part / "data" / path.name)
    (part / "index.html").write_text("\n".join(write_page(found, damaged)) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    print(f"page:      {terminal.shown(folder)}/index.html")
    print(terminal.wrapped(
        "Its folder is complete: open it from here, or copy it onto a web server. If you are here "
        "by ssh, copy it to where your browser is (there, with the name of this machine for HOST), "
        "and open report/index.html:", " " * 11))
    print(f"\n    scp -r HOST:{shlex.quote(str(folder))} .")


if __name__ == "__main__":
    program.main(main)
