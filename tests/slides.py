#!/usr/bin/env python3
"""Opens every deck in headless Chromium: no slide overflows, no picture is missing, nothing is said on the console,
and all is shown in the fonts that the deck has in it, so that it is so on every machine.

slides.py FOLDER: where `make slides` has put the decks. Prints TAP.
"""
import json
import pathlib
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
    for (const picture of slide.querySelectorAll('img')) {
        if (!picture.naturalWidth) say('a picture is missing');
        if (!picture.alt) say('a picture has no text');
    }
    return JSON.stringify(faults);
})()
"""
COUNT = "document.querySelectorAll('section').length"
# A browser loads a font when a slide needs it, and lays the slide out again: nothing may be measured
# in between.
LOADED = "Promise.all([...document.fonts].map(face => face.load())).then(() => 0)"
PICTURES = """[...new Set([...document.images].map(e => e.src))]
    .filter(e => e.startsWith('data:image/svg+xml'))"""
SHOWN = ".bespoke-marp-active section, .bespoke-marp-active section *"
NOTES = "document.querySelectorAll('.bespoke-marp-note').length"


def faults_of(opened, url):
    with opened.open(url, width=1280, height=720) as page:
        count, notes = page.evaluate(COUNT), page.evaluate(NOTES)
        page.evaluate(LOADED)
        found = []
        for number in range(1, count + 1):
            page.evaluate(f"new Promise(done => {{ location.hash = '#{number}'; requestAnimationFrame(() => requestAnimationFrame(done)); }})")
            found += json.loads(page.evaluate(FAULTS)) + page.foreign_fonts(SHOWN)
        if not 15 <= count <= 25:
            found.append(f"it has {count} slides; a deck has 15 to 25")
        if notes < count:
            found.append(f"{count - notes} of {count} slides have no speaker notes")
        for picture in page.evaluate(PICTURES):  # each is a document with fonts of its own
            with opened.open(picture) as alone:
                found += alone.foreign_fonts()
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
            found = faults_of(opened, url + deck.name)
            print("not ok" if found else "ok", number, "-", deck.stem)
            for fault in found:
                print("#", fault)
                failed = True
    print(f"1..{len(decks)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
