"""A headless Chromium for tests of pages, driven through a pipe; and what every page must keep.

    with serve(folder) as url, Browser() as browser:
        with browser.open(url + "index.html", width=400, dark=True) as page:
            page.faults()                   # what is wrong with it, in a list of lines: [] is good
            page.evaluate("document.title")
            page.screenshot("page.png")

The protocol is Chromium's own (https://chromedevtools.github.io/devtools-protocol/): JSON messages,
each with a NUL behind it, on descriptors 3 (to the browser) and 4 (from it). When they close, it ends.
"""
import base64
import contextlib
import ctypes
import fcntl
import functools
import http.server
import json
import os
import pathlib
import select
import shutil
import signal
import tempfile
import threading
import time

from tap import PATIENCE  # seconds, for anything that must come

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check",
    # The pages are our own, from this machine; the sandbox starts neither as root nor in most containers.
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
    # Nothing goes out, whatever a page or the browser would like.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-breakpad", "--disable-crash-reporter", "--hide-scrollbars", "--force-color-profile=srgb",
)
PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    """The browser is not there, or did not do what it was told; the text is one line."""


@contextlib.contextmanager
def serve(folder):
    """Serves a folder on a free port of the loopback interface; gives its address, with a slash at the end."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


class Browser:
    """A Chromium with a profile of its own. To be used in a `with`; at its end no process is left."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise Failure(f"no browser: none of {', '.join(PROGRAMS)} is installed")
        # What the browser starts and leaves behind becomes a child of this process, which can wait for it.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.profile = pathlib.Path(tempfile.mkdtemp(prefix="browser-"))
        self._buffer, self._last, self._events = b"", 0, {}
        self.there = {}  # what links have been found to lead to, by origin: a menu is on every page
        with contextlib.ExitStack() as stack:
            def beyond_4(end):  # so that no end stands where another is to go
                high = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 5)
                os.close(end)
                return high

            theirs_in, self._to = map(beyond_4, os.pipe())
            stack.callback(os.close, theirs_in)
            self._from, theirs_out = map(beyond_4, os.pipe())
            stack.callback(os.close, theirs_out)
            log = os.open(self.profile / "log", os.O_WRONLY | os.O_CREAT, 0o600)
            stack.callback(os.close, log)
            self.pid = os.posix_spawn(
                program, [program, *OPTIONS, f"--user-data-dir={self.profile}", "about:blank"],
                dict(os.environ, HOME=str(self.profile), TMPDIR=str(self.profile)), setpgroup=0, file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2),
                    (os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._to)
        os.close(self._from)
        others = list(self._others())
        for kill, number in [(os.killpg, self.pid), *((os.kill, pid) for pid in others)]:
            with contextlib.suppress(ProcessLookupError):
                kill(number, signal.SIGKILL)
        for number in (-self.pid, *others):
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(number, 0)
        shutil.rmtree(self.profile)

    def _others(self):
        """The processes that the browser has started in groups of their own. They have its HOME."""
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):  # it has ended, or is not ours
                environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if f"HOME={self.profile}".encode() in environment and os.getpgid(pid) != self.pid:
                    yield pid

    def call(self, method, session=None, **parameters):
        """Has the browser do something and gives its answer, a dictionary."""
        number = self._send(method, session, parameters)
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._receive(method, deadline)
            if answer.get("id") == number:
                break
        if "error" in answer:
            raise Failure(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def wait(self, session, event):
        """Waits until the page has told of the event; it may have done so already."""
        deadline = time.monotonic() + PATIENCE
        while not any(name == event for name, _ in self.events(session)):
            self._receive(event, deadline)

    def events(self, session):
        """What a page has told so far: pairs of name and dictionary."""
        return self._events.setdefault(session, [])

    def _send(self, method, session, parameters):
        """Gives the number that the answer will have."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        try:
            os.write(self._to, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise self._ended() from None
        return self._last

    def _receive(self, what, deadline):
        """The next message, which is kept among the events if it is one."""
        while b"\0" not in self._buffer:
            if not select.select([self._from], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failure(f"{what}: the browser did not answer in {PATIENCE:.0f} s")
            read = os.read(self._from, 1 << 20)
            if not read:
                raise self._ended()
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self.events(message.get("sessionId")).append((message["method"], message["params"]))
            if message["method"] == "Page.javascriptDialogOpening":  # nobody is there to close it
                self._send("Page.handleJavaScriptDialog", message["sessionId"], {"accept": False})
        return message

    def _ended(self):
        lines = [line for line in (self.profile / "log").read_text(errors="replace").splitlines() if line.strip()]
        return Failure(f"the browser ended by itself; the last it said: {lines[-1] if lines else 'nothing'}")

    @contextlib.contextmanager
    def open(self, url, width=1280, height=900, dark=False, media=""):
        """Opens a page in a window of this size, in light or dark, for the screen or for media "print"."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        try:
            yield Page(self, session, url, width, height, dark, media)
        finally:
            self.call("Target.closeTarget", targetId=target)
            self._events.pop(session, None)


class Page:
    """A page that has been loaded: with its pictures, fonts and scripts."""

    def __init__(self, browser, session, url, width, height, dark, media):
        self.browser, self.session, self.url = browser, session, url
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Network.setCacheDisabled", cacheDisabled=True)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        error = self.call("Page.navigate", url=url).get("errorText")
        if error:
            raise Failure(f"{url}: {error}")
        browser.wait(session, "Page.loadEventFired")
        self.evaluate("document.fonts.ready.then(() => Promise.all([...document.images].map("
                      "image => image.decode().catch(() => 0)))).then(() => 0)")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression):
        """The value of a JavaScript expression; of a promise, what it promised."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failure(f"script: {details.get('exception', {}).get('description', details.get('text'))}")
        return answer["result"].get("value")

    def screenshot(self, path, whole=True):
        """Saves a picture, of the whole page or of what the window shows, as PNG."""
        area = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            # Beyond 16384 pixels a texture ends; a page that is longer is shown smaller.
            area = {"captureBeyondViewport": True, "clip": {
                "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": min(1, 16000 / size["height"])}}
        data = self.call("Page.captureScreenshot", format="png", **area)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def pdf(self, path):
        """Prints the page on A4."""
        data = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def foreign_fonts(self, selector="*"):
        """What of these elements is in a font that did not come with the page, a line each."""
        found = self.evaluate(f"({FIRST_FONTS})({json.dumps(selector)})")
        for domain in ("DOM", "CSS"):
            self.call(f"{domain}.enable")
        root = self.call("DOM.getDocument", depth=0)["root"]["nodeId"]
        for node in self.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]:
            for font in self.call("CSS.getPlatformFontsForNode", nodeId=node)["fonts"]:
                if not font["isCustomFont"]:
                    element = self.call("DOM.resolveNode", nodeId=node)["object"]["objectId"]
                    text = self.call("Runtime.callFunctionOn", objectId=element, returnByValue=True,
                                     functionDeclaration=TEXT)["result"]["value"]
                    found.append(f"{font['familyName']} of this machine shows "
                                 f"{font['glyphCount']:.0f} characters of: {text[:60]}")
        return found

    def faults(self):
        """What is wrong, a line each: errors on the console, requests that fail or go elsewhere, pictures that do
        not show or have no text, what sticks out of the window or is cut, text of a contrast below 4.5 to 1,
        links that lead nowhere, ids given twice, headings that skip a level."""
        origin = "/".join(self.url.split("/")[:3]) + "/"
        known = self.browser.there.get(origin, [])
        found, self.browser.there[origin] = self.evaluate(f"({FAULTS})({json.dumps(known)})")
        self.call("Runtime.evaluate", expression="0")  # and with this answer every event before it is here
        for name, event in self.browser.events(self.session):
            if name == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
                text = " ".join(str(each.get("value", each.get("description"))) for each in event["args"])
                found.append(f"console: {event['type']}: {text}")
            elif name == "Runtime.exceptionThrown":
                details = event["exceptionDetails"]
                found.append(f"script: {details.get('exception', {}).get('description', details['text'])}")
            elif name == "Page.javascriptDialogOpening":
                found.append(f"asks with a dialog: {event['message']}")
            elif name == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
                entry = event["entry"]
                found.append(f"console: {entry['level']}: {entry['text']} {entry.get('url', '')}")
            elif name == "Network.requestWillBeSent":
                url = event["request"]["url"]
                if not url.startswith((origin, "data:", "about:")):
                    found.append(f"asks another place: {url}")
        return [fault.split("\n")[0].strip() for fault in found]


TEXT = "function() { return this.textContent.trim() }"

# The first font of an element makes its lines as high as they are, even where nothing is written in it.
FIRST_FONTS = """
selector => {
    const bare = name => name.trim().replaceAll('"', "");
    const ours = new Set([...document.fonts].map(face => bare(face.family)));
    return [...document.querySelectorAll(selector)]
        .filter(e => e instanceof HTMLElement && document.body.contains(e) && e.checkVisibility())
        .map(e => [e.localName, bare(getComputedStyle(e).fontFamily.split(",")[0])])
        .filter(([, first]) => !ours.has(first))
        .map(([name, first]) => `the first font of <${name}> is ${first}`);
}
"""

# Runs in the page, with the paths that are known to be there. Gives a list of lines, and the paths known then.
# An element is named as in CSS, with the beginning of its text.
FAULTS = r"""
(async known => {
    const faults = [], root = document.documentElement, all = [...document.body.querySelectorAll("*")];
    const name = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + [...e.classList].map(c => "." + c).join("")
        + ` "${(e.getAttribute("alt") || e.textContent).trim().replace(/\s+/g, " ").slice(0, 40)}"`;
    const shown = e => e.checkVisibility() && getComputedStyle(e).visibility === "visible";

    // ---- pictures ----
    for (const image of document.images) {
        if (shown(image) && !(image.complete && image.naturalWidth > 0 && image.getBoundingClientRect().width > 0))
            faults.push(`picture does not show: ${image.getAttribute("src").slice(0, 100)}`);
        if (!image.hasAttribute("alt"))
            faults.push(`picture without alt: ${image.getAttribute("src").slice(0, 100)}`);
    }

    // ---- what sticks out ----
    const width = root.clientWidth;
    if (root.scrollWidth > width)
        faults.push(`the page is ${root.scrollWidth} wide in a window of ${width}`);
    const scrolls = e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
    const cuts = e => ["hidden", "clip"].includes(getComputedStyle(e).overflowX);
    const outside = (box, holder) => {  // and nothing that holds it scrolls
        while (holder && !scrolls(holder) && !cuts(holder))
            holder = holder.parentElement;
        return !holder && box.width > 0 && (box.right > width + 0.5 || box.left < -0.5);
    };
    for (const e of all.filter(shown)) {
        const box = e.getBoundingClientRect();
        if (outside(box, e.parentElement))
            faults.push(`sticks out of the window, from ${box.left.toFixed()} to ${box.right.toFixed()}: ${name(e)}`);
        if (cuts(e) && e.scrollWidth > e.clientWidth)
            faults.push(`cuts off what is in it: ${name(e)}`);
        if (scrolls(e) && e.scrollWidth > e.clientWidth && e.tabIndex < 0
            && !e.querySelector("a[href], button, [tabindex='0']"))
            faults.push(`scrolls, but not with the keyboard: ${name(e)}`);
    }

    // ---- contrast, as WCAG 2 defines it ----
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const colours = new Map();
    const rgba = text => {
        if (!colours.has(text)) {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = text;
            canvas.fillRect(0, 0, 1, 1);
            const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
            colours.set(text, [r, g, b, a / 255]);
        }
        return colours.get(text);
    };
    const over = (top, below, opacity = 1) =>
        [0, 1, 2].map(i => top[i] * top[3] * opacity + below[i] * (1 - top[3] * opacity)).concat(1);
    const paper = matchMedia("(prefers-color-scheme: dark)").matches
        && getComputedStyle(root).colorScheme.includes("dark") ? [18, 18, 18, 1] : [255, 255, 255, 1];
    const ground = e =>
        over(rgba(getComputedStyle(e).backgroundColor), e.parentElement ? ground(e.parentElement) : paper);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const low = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const e = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !shown(e) || e.closest("script, style, noscript"))
            continue;
        const range = document.createRange();
        range.selectNode(walker.currentNode);
        if (outside(range.getBoundingClientRect(), e))
            faults.push(`text sticks out of the window: ${name(e)}`);
        if (low.has(e))
            continue;
        let opacity = 1;
        for (let up = e; up; up = up.parentElement)
            opacity *= getComputedStyle(up).opacity;
        const below = ground(e), text = over(rgba(getComputedStyle(e).color), below, opacity);
        const [a, b] = [light(text), light(below)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) {
            low.add(e);
            faults.push(`contrast of ${ratio.toFixed(2)}: ${name(e)}`);
        }
    }

    // ---- structure ----
    const ids = new Set();
    for (const e of document.querySelectorAll("[id]")) {
        if (ids.has(e.id))
            faults.push(`id given twice: ${e.id}`);
        ids.add(e.id);
    }
    let level = 0;
    for (const e of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
        if (+e.tagName[1] > level + 1)
            faults.push(`heading skips a level: ${name(e)}`);
        level = +e.tagName[1];
    }
    const asked = new Map(known.map(path => [path, 200]));
    for (const a of document.querySelectorAll("a[href]")) {
        const to = new URL(a.href), here = to.href.split("#")[0] === location.href.split("#")[0];
        if (here && to.hash && !document.getElementById(decodeURIComponent(to.hash.slice(1))))
            faults.push(`leads nowhere: ${a.getAttribute("href")}`);
        else if (!here && to.origin === location.origin && !asked.has(to.pathname)) {
            asked.set(to.pathname, (await fetch(to.pathname, {method: "HEAD"})).status);
            if (asked.get(to.pathname) !== 200)
                faults.push(`leads nowhere: ${a.getAttribute("href")}`);
        }
    }
    return [faults, [...asked.keys()].filter(path => asked.get(path) === 200)];
})
"""
