"""Pictures in Mermaid, drawn once, by a headless Chromium, as SVG that needs no script.

What was drawn is kept by its text: a book in which no picture has changed starts no browser.
"""
import hashlib
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Text as SVG, and not as HTML inside of it, which neither an EPUB nor a maker of PDF shows. White paper below, so
# that a picture is as readable in the dark. Colours and letters are those of the decks.
SETTINGS = {
    "startOnLoad": False, "securityLevel": "strict", "htmlLabels": False, "theme": "base", "deterministicIds": True,
    "flowchart": {"htmlLabels": False, "useMaxWidth": False}, "sequence": {"useMaxWidth": False, "mirrorActors": False},
    "themeCSS": ".edgeLabel rect, .labelBkg { opacity: 1 !important; fill: #fff !important; }",
    "themeVariables": {
        "fontFamily": "IBM Plex Sans", "fontSize": "16px", "background": "#ffffff", "primaryColor": "#eaf3fa",
        "primaryBorderColor": "#0072b2", "primaryTextColor": "#111111", "lineColor": "#444444",
        "clusterBkg": "#f7f7f4", "clusterBorder": "#888888", "edgeLabelBackground": "#ffffff",
        "actorBkg": "#eaf3fa", "actorBorder": "#0072b2", "signalColor": "#444444", "signalTextColor": "#111111"},
}
PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>FACES</style><body><script src="SCRIPT"></script><script>
(async () => {
    const made = [];
    try {
        await Promise.all([...document.fonts].map(face => face.load()));
        mermaid.initialize(SETTINGS);
        for (const [number, text] of TEXTS.entries()) {
            await mermaid.render("drawn" + number, text);
            const {svg} = await mermaid.render("drawn" + number, text);
            const at = document.createElement("div");
            at.innerHTML = svg;
            document.body.append(at);
            const picture = at.querySelector("svg");
            const box = picture.viewBox.baseVal;
            picture.setAttribute("width", Math.ceil(box.width));
            picture.setAttribute("height", Math.ceil(box.height));
            picture.removeAttribute("style");
            picture.setAttribute("role", "img");
            // What the standard does not know, and nobody sees.
            picture.querySelectorAll("rect:not([width])").forEach(rect => rect.remove());
            picture.querySelectorAll("[name]").forEach(each => each.removeAttribute("name"));
            made.push(new XMLSerializer().serializeToString(picture));
        }
        document.body.innerHTML = "";
        document.body.append(Object.assign(document.createElement("pre"), {textContent: JSON.stringify(made)}));
    } catch (error) {
        document.body.innerHTML = "";
        document.body.append(Object.assign(document.createElement("pre"), {textContent: JSON.stringify(String(error))}));
    }
})();
</script>
"""


class Mistake(Exception):
    """Why there are no pictures, in a line."""


def browse(options, page):
    """What Chromium says of a page of ours, with these options."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        raise Mistake("there is no Chromium, which draws the pictures and makes the PDF")
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        # The page and its scripts are ours; the sandbox starts neither as root nor in most containers.
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
                   "--disable-background-networking", "--allow-file-access-from-files", f"--user-data-dir={folder}/profile",
                   *options, page.resolve().as_uri()]
        try:
            done = subprocess.run(command, env=os.environ | {"HOME": folder, "TMPDIR": folder}, timeout=600,
                                  capture_output=True, text=True, check=False)
        except subprocess.TimeoutExpired:
            raise Mistake("Chromium is not ready after 600 seconds") from None
    if done.returncode != 0:
        raise Mistake(f"Chromium ended with status {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}")
    return done.stdout


def drawn(texts, script, faces):
    """The SVG of each text. `script` is Mermaid's file, `faces` the rules of CSS for the fonts."""
    with tempfile.TemporaryDirectory(prefix="drawing-") as folder:
        page = pathlib.Path(folder, "page.html")
        text = PAGE.replace("FACES", faces).replace("SCRIPT", script.resolve().as_uri())
        page.write_text(text.replace("SETTINGS", json.dumps(SETTINGS)).replace(
            "TEXTS", json.dumps(texts).replace("</", "<\\/")))
        said = browse(["--virtual-time-budget=120000", "--dump-dom"], page)
    found = re.search(r"<pre>(.*?)</pre>", said, re.S)
    answer = json.loads(html.unescape(found[1])) if found else "the browser said nothing"
    if isinstance(answer, str):
        raise Mistake(f"Mermaid: {answer.splitlines()[0]}")
    return answer


class Drawer:
    """Draws texts; those that it has drawn already it finds in its folder."""

    def __init__(self, folder, script, faces):
        self.folder, self.script, self.faces = folder, script, faces
        folder.mkdir(parents=True, exist_ok=True)

    def kept(self, text):
        name = hashlib.sha256(json.dumps([text, SETTINGS, PAGE, self.script.stat().st_size]).encode()).hexdigest()[:16]
        return self.folder / f"{name}.svg"

    def draw(self, texts):
        new = [text for text in dict.fromkeys(texts) if not self.kept(text).exists()]
        if new:
            for text, svg in zip(new, drawn(new, self.script, self.faces)):
                self.kept(text).write_text(svg)

    def __call__(self, text):
        return self.kept(text).read_text()
