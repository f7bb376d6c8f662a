#!/usr/bin/env python3
"""Opens every deck in headless Chromium: no slide overflows, no picture is missing, each arrow has its head, the last
row can read the smallest letter, nothing is said on the console, and all is shown in the fonts that the deck has in
it, so that it is so on every machine.

slides.py FOLDER: where `make slides` has put the decks. Prints TAP.
"""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import browser

# What is wrong with the slide that is shown: a section of 1280 by 720, scaled to the window.
FAULTS = """
(() => {
    const slide = document.querySelector('.bespoke-marp-active section'), faults = [];
    const say = what => faults.push(`"${(slide.querySelector('h1, h2') || {}).textContent}": ${what}`);
    const frame = slide.getBoundingClientRect(), scale = frame.width / 1280, style = getComputedStyle(slide);
    const right = frame.right - parseFloat(style.paddingRight) * scale + 1;
    const bottom = frame.bottom - 54 * scale;  // where the footer stands
    for (const element of slide.querySelectorAll(':scope > :not(footer):not(header)')) {
        const box = element.getBoundingClientRect(), wider = element.scrollWidth - element.clientWidth;
        if (box.bottom > bottom) say(`<${element.localName}> reaches ${Math.round((box.bottom - bottom) / scale)} px too far down`);
        if (box.right > right) say(`<${element.localName}> reaches beyond the right edge`);
        if (wider > 1) say(`what is in <${element.localName}> is ${wider} px too wide`);
    }
    for (const element of slide.querySelectorAll('*')) {
        const words = [...element.childNodes].filter(e => e.nodeType == Node.TEXT_NODE).map(e => e.data.trim()).join(' ').trim();
        const size = parseFloat(getComputedStyle(element).fontSize), least = element.closest('pre') ? 22 : 20;
        if (words && size < least) say(`${size} px are too small to be read from the last row: ${words.slice(0, 40)}`);
    }
    for (const picture of slide.querySelectorAll('img')) {
        if (!picture.naturalWidth) say('a picture is missing');
        if (!picture.alt) say('a picture has no text');
    }
    return JSON.stringify(faults);
})()
"""
# The pictures of the slide that is shown, and how large a unit of each is there.
SIZES = """
(() => {
    const slide = document.querySelector('.bespoke-marp-active section'), scale = slide.getBoundingClientRect().width / 1280;
    return JSON.stringify([...slide.querySelectorAll('img')].filter(e => e.src.startsWith('data:image/svg+xml')).map(e => {
        const box = e.getBoundingClientRect();
        return [e.src, Math.min(box.width / e.naturalWidth, box.height / e.naturalHeight) / scale, e.naturalWidth];
    }));
})()
"""
# What is wrong with a picture that is open by itself: letters that are small where a unit is so large, and
# arrows without a head. They are looked for as drawn: where a path begins or ends with a marker the picture differs
# from the same picture without markers. (A path of several lines has its marker at the last.)
PICTURE_FAULTS = """
(async (unit, width) => {
    const faults = [], root = document.documentElement;
    const view = (root.viewBox.baseVal && root.viewBox.baseVal.width) || width, toView = root.getScreenCTM().inverse();
    const small = {};
    for (const element of root.querySelectorAll('text, tspan')) {
        const words = [...element.childNodes].filter(e => e.nodeType == Node.TEXT_NODE).map(e => e.data.trim()).join(' ').trim();
        const matrix = toView.multiply((element.closest('text')).getScreenCTM());
        const size = parseFloat(getComputedStyle(element).fontSize) * Math.hypot(matrix.a, matrix.b) * unit * width / view;
        if (words && size < 19.95) small[words] = size;
    }
    const found = Object.keys(small);
    if (found.length) faults.push(`letters of ${Math.min(...Object.values(small)).toFixed(1)} px: ${found.slice(0, 6).join(', ')}`);

    const ends = [];
    for (const element of root.querySelectorAll('path, line, polyline')) {
        const style = getComputedStyle(element);
        if (element.closest('defs, marker') || (style.markerStart == 'none' && style.markerEnd == 'none')) continue;
        const parts = element.localName == 'path' ? element.getAttribute('d').split(/(?=M)/).filter(e => e.trim()) : [null];
        for (const part of parts) {
            const line = element.cloneNode();
            if (part) line.setAttribute('d', part);
            element.parentNode.append(line);
            const matrix = toView.multiply(line.getScreenCTM()), length = line.getTotalLength();
            if (style.markerEnd != 'none') ends.push([line.getPointAtLength(length).matrixTransform(matrix), part]);
            if (style.markerStart != 'none') ends.push([line.getPointAtLength(0).matrixTransform(matrix), part]);
            line.remove();
        }
    }
    if (!ends.length) return JSON.stringify(faults);
    const box = root.viewBox.baseVal, pixels = 2;
    const drawn = async (css) => {
        const copy = root.cloneNode(true), rule = document.createElementNS('http://www.w3.org/2000/svg', 'style');
        rule.textContent = css;
        copy.append(rule);
        copy.setAttribute('width', box.width * pixels);
        copy.setAttribute('height', box.height * pixels);
        const image = new Image();
        image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(new XMLSerializer().serializeToString(copy));
        await image.decode();
        const canvas = document.createElementNS('http://www.w3.org/1999/xhtml', 'canvas');
        [canvas.width, canvas.height] = [box.width * pixels, box.height * pixels];
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        return context;
    };
    const radius = 16 * pixels;
    const [whole, bare] = [await drawn(''), await drawn('* { marker: none !important }')];
    for (const [point, part] of ends) {
        const area = [(point.x - box.x) * pixels - radius, (point.y - box.y) * pixels - radius, 2 * radius, 2 * radius];
        const [a, b] = [whole.getImageData(...area).data, bare.getImageData(...area).data];
        if (a.filter((value, i) => Math.abs(value - b[i]) > 64).length < 60)
            faults.push(`no arrowhead is drawn at ${Math.round(point.x)}, ${Math.round(point.y)}, of ${part}`);
    }
    return JSON.stringify(faults);
})
"""
LANGUAGE = "document.documentElement.lang"
COUNT = "document.querySelectorAll('section').length"
# A browser loads a font when a slide needs it, and lays the slide out again: nothing may be measured
# in between.
LOADED = "Promise.all([...document.fonts].map(face => face.load())).then(() => 0)"
SHOWN = ".bespoke-marp-active section, .bespoke-marp-active section *"
NOTES = "document.querySelectorAll('.bespoke-marp-note').length"


def faults_on_paper(deck, count):
    """The PDFs, where they have been made: a page a slide, three slides to a page, and notes for all; no icons of notes."""
    pages = {}
    for kind in "", "-handout", "-notes":
        printed = deck.with_name(f"{deck.stem}{kind}.pdf")
        if printed.exists():
            data = printed.read_bytes()
            pages[kind] = len(re.findall(rb"/Type /Page\b(?!s)", data))
            if b"/Subtype /Text" in data:
                yield f"{printed.name} has icons of notes"
    if pages and (pages.get("") != count or pages.get("-handout") != -(-count // 3)
                  or not count / 4 < pages.get("-notes", 0) < count):
        yield f"the PDFs have so many pages, of {count} slides: {pages}"


def faults_of(opened, url, deck):
    with opened.open(url + deck.name, width=1280, height=720) as page:
        count, notes = page.evaluate(COUNT), page.evaluate(NOTES)
        page.evaluate(LOADED)
        found, pictures = [], {}
        for number in range(1, count + 1):
            page.evaluate(f"new Promise(done => {{ location.hash = '#{number}'; requestAnimationFrame(() => requestAnimationFrame(done)); }})")
            found += json.loads(page.evaluate(FAULTS)) + page.foreign_fonts(SHOWN)
            pictures.update({picture: (number, unit, width) for picture, unit, width in json.loads(page.evaluate(SIZES))})
        if not 15 <= count <= 25:
            found.append(f"it has {count} slides; a deck has 15 to 25")
        if notes < count:
            found.append(f"{count - notes} of {count} slides have no speaker notes")
        if page.evaluate(LANGUAGE) != "en":  # and not that of whoever made it
            found.append(f"its language is {page.evaluate(LANGUAGE)}")
        found += faults_on_paper(deck, count)
        for picture, (number, unit, width) in pictures.items():  # each is a document with fonts of its own
            with opened.open(picture) as alone:
                faults = json.loads(alone.evaluate(f"({PICTURE_FAULTS})({unit}, {width})")) + alone.foreign_fonts()
                found += [f"picture of slide {number}: {fault}" for fault in faults]
        found += [f"on the console: {event}" for name, event in opened.events(page.session)
                  if name == "Runtime.exceptionThrown"
                  or (name == "Log.entryAdded" and event["entry"]["level"] == "error"
                      and not event["entry"].get("url", "").endswith("/favicon.ico"))  # which browsers ask for by themselves
                  or (name == "Runtime.consoleAPICalled" and event["type"] in ("error", "assert"))]
        return found


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: slides.py FOLDER")
    folder = pathlib.Path(sys.argv[1])
    decks = sorted(folder.glob("[0-9]*.html"))
    failed = not decks
    with browser.serve(folder) as url, browser.Browser() as opened:
        for number, deck in enumerate(decks, 1):
            found = faults_of(opened, url, deck)
            print("not ok" if found else "ok", number, "-", deck.stem)
            for fault in found:
                print("#", fault)
                failed = True
    print(f"1..{len(decks)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
