#!/usr/bin/env python3
"""Test of common/book/scene.py, and of the style and the script that go with it: pages of runs that
were kept, in a headless Chromium. What is seen is saved in build/check/handover-*.png.
"""
import json
import pathlib
import shutil
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import browser as chromium  # noqa: E402
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/book"))
import replay  # noqa: E402
import scene  # noqa: E402

RUNS = {path.stem: json.loads(path.read_text())
        for path in sorted((pathlib.Path(__file__).resolve().parent / "runs").glob("*.json"))}
SHOTS = tap.BUILD / "check"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="handover-test-"))
WINDOWS = (360, False), (360, True), (800, False), (1600, True)  # how wide, and whether dark


def page_of(name, pace=20):
    """Writes the page of a run, which plays a step in so many ms."""
    text = scene.page(RUNS[name])
    tap.equal(text.count('data-pace="1600"'), 1)
    (WORK / f"{name}.html").write_text(text.replace('data-pace="1600"', f'data-pace="{pace}"'))
    return f"{name}.html"


def keys_shown(page):
    """The keys of what is there, in the picture that is seen; but of those that always are."""
    keys = set(page.evaluate("""[...document.querySelectorAll("[data-k]:not([display])")]
        .filter(e => e.closest("svg").checkVisibility()).map(e => e.dataset.k)"""))
    return {key for key in keys if key != "network" and not key.startswith("cell ")}


CODES = {" ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}


def press(page, key, on="figure"):
    page.evaluate(f"document.querySelector({json.dumps(on)}).focus()")
    text = {"text": key} if key == " " else {}
    page.call("Input.dispatchKeyEvent", type="keyDown", key=key,
              windowsVirtualKeyCode=CODES[key], **text)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=CODES[key])


def at(page):
    return page.evaluate("document.querySelector('.ho-count').textContent")


def sentence(page):
    return page.evaluate("document.querySelector('.ho-now').textContent")


def data_of(text):
    """The JSON of a figure."""
    data = text.partition('<script type="application/json">')[2].partition("</script>")[0]
    return json.loads(data)


def told(run):
    """The telling step, and the state after it."""
    return replay.steps(run)[replay.telling(run)]


# ---- without a browser ----


def test_the_picture_is_one_moment_with_a_text_for_who_does_not_see_it():
    for name, run in RUNS.items():
        picture = xml.etree.ElementTree.fromstring(scene.picture(run))
        step, state = told(run)
        space = "{http://www.w3.org/2000/svg}"
        tap.expect_in(step.call, picture.find(f"{space}title").text)
        tap.expect_in(state.told(), picture.find(f"{space}desc").text)
        tap.equal((name, picture.findall(".//*[@display]")), (name, []))
        tap.expect("var(" not in scene.picture(run), "a colour that not every viewer knows")


def test_all_that_moves_and_all_that_is_seen_has_a_place():
    for run in RUNS.values():
        text = scene.fragment(run)
        data = data_of(text)
        steps = replay.steps(run)
        tap.equal(len(data["steps"]), len(steps))
        for frame, (step, state) in zip(data["steps"], steps):
            tap.equal({data["keys"][number] for number in frame["on"]}, scene.seen(state))
            tap.equal("from" in frame, step.flight is not None)
            ends = frame.get("from", 0), frame.get("to", 0)
            tap.expect(None not in ends, f"from or to nowhere: {step.flight}")
            hot = {data["keys"][number] for number in frame["hot"]}
            tap.expect({f"cell {name}.{number}" for name, number in step.hot} <= hot, step)
        for key in data["keys"]:  # in the picture for wide pages, and in that for narrow ones
            drawn = text.count(f'data-k="{scene.html.escape(key)}"')
            tap.expect(drawn >= 2, f"{key} is not in both")


def test_what_comes_from_a_run_is_text():
    run = json.loads(json.dumps(RUNS["04"]).replace("worker 1", "worker</script><b> 1"))
    text = scene.fragment(run | {"title": "<b>&"})
    tap.equal((text.count("<script"), text.count("</script>"), "<b> 1" in text), (1, 1, False))
    tap.expect("process worker</script><b> 1" in data_of(text)["keys"], "it is another name")


# ---- in a browser ----


def test_no_page_has_a_fault_at_any_width_in_light_and_in_dark():
    found = []
    for name in RUNS:
        file = page_of(name)
        for width, dark in WINDOWS:
            with BROWSER.open(URL + file, width=width, height=800, dark=dark) as page:
                found += [f"{name} {width}: {fault}" for fault in page.faults()]
                page.screenshot(SHOTS / f"handover-{name}-{width}{'-dark' if dark else ''}.png")
                shown = page.evaluate("""[...document.querySelectorAll(".ho-picture > svg")]
                    .filter(svg => svg.checkVisibility()).map(svg => svg.classList[1])""")
                tap.equal(shown, ["narrow" if width < 600 else "wide"])
    tap.equal(found, [])


def test_keys_and_buttons_go_through_the_steps():
    steps = replay.steps(RUNS["04"])
    last = len(steps)
    with BROWSER.open(URL + page_of("04"), width=1000) as page:
        first = replay.telling(RUNS["04"])
        tap.equal(at(page), f"{first + 1} of {last}")
        for key, number in (("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("ArrowRight", 2),
                            ("ArrowLeft", 1), ("End", last - 1), ("ArrowRight", last - 1)):
            press(page, key)
            tap.equal((key, at(page)), (key, f"{number + 1} of {last}"))
            step, state = steps[number]
            tap.expect_in(step.say, sentence(page))
            tap.equal(keys_shown(page), scene.seen(state))
        for name, number in (("First step", 0), ("Next step", 1), ("One step back", 0),
                             ("Last step", last - 1)):
            page.evaluate(f"document.querySelector('[aria-label=\"{name}\"]').click()")
            tap.equal((name, at(page)), (name, f"{number + 1} of {last}"))
        # On the slider, and with the space on a button, one step is one step.
        press(page, "Home", ".ho-controls input")
        press(page, "ArrowRight", ".ho-controls input")
        tap.equal(at(page), f"2 of {last}")
        press(page, " ", "[aria-label='Next step']")
        tap.equal(at(page), f"3 of {last}")
        tap.equal(page.evaluate("document.querySelector('[aria-label=Pause]')"), None)
        tap.equal(page.evaluate("document.querySelector('.ho-now').ariaLive"), "polite")
        tap.equal(page.faults(), [])


def test_play_goes_on_to_the_last_step_and_ends_there():
    last = len(replay.steps(RUNS["03"]))
    with BROWSER.open(URL + page_of("03"), width=1000) as page:
        seen = page.evaluate("""new Promise(done => {
            const count = document.querySelector(".ho-count"), seen = [];
            const play = document.querySelector("[aria-label=Play]");
            new MutationObserver(() => {
                const [at, , last] = count.textContent.split(" ");
                seen.push(Number(at));
                if (at === last)
                    setTimeout(() => done([seen, play.ariaLabel, count.textContent]), 200);
            }).observe(count, { childList: true });
            document.querySelector("[aria-label='First step']").click();
            play.click();
        })""")
        tap.equal(seen, [list(range(1, last + 1)), "Play", f"{last} of {last}"])
        page.evaluate("""new Promise(done => {  // nothing flies for ever
            const flies = () => document.querySelector(".token") !== null;
            const look = () => flies() ? requestAnimationFrame(look) : done(0);
            look();
        })""")
        tap.equal(page.faults(), [])


def test_space_plays_and_ends_that_and_on_a_button_it_is_the_button_s():
    last = len(replay.steps(RUNS["03"]))
    with BROWSER.open(URL + page_of("03", 600000), width=1000) as page:
        def face():
            return page.evaluate("document.querySelector('.ho-controls :nth-child(3)').ariaLabel")

        for on, wanted in (("figure", "Pause"), ("figure", "Play"), (".ho-controls input", "Pause"),
                           ("[aria-label=Pause]", "Play")):
            press(page, " ", on)
            tap.equal((on, face()), (on, wanted))
        press(page, "End")
        press(page, " ")  # from the end it goes on from the beginning
        tap.equal((at(page), face()), (f"1 of {last}", "Pause"))
        tap.equal(page.faults(), [])


def test_who_wants_no_motion_sees_none():
    with BROWSER.open(URL + page_of("04", 600000), width=1000) as page:
        def flies():
            press(page, "Home")
            press(page, "ArrowRight")
            press(page, "ArrowRight")  # accept4
            return page.evaluate("document.querySelectorAll('.token').length")

        tap.expect(flies() > 0, "nothing flies")
        calm = {"name": "prefers-reduced-motion", "value": "reduce"}
        page.call("Emulation.setEmulatedMedia", features=[calm])
        page.evaluate("document.getAnimations().forEach(each => each.finish())")
        page.evaluate("new Promise(requestAnimationFrame)")
        tap.equal(flies(), 0)


def test_on_paper_there_is_the_telling_moment():
    run = RUNS["07"]
    with BROWSER.open(URL + page_of("07"), width=1000) as page:
        press(page, "Home")
        page.evaluate("""addEventListener("beforeprint", () => {
            window.printed = document.querySelector(".ho-now").textContent; })""")
        page.pdf(WORK / "07.pdf")
        tap.expect_in(told(run)[0].say, page.evaluate("window.printed"))
        tap.expect_in(replay.steps(run)[0][0].say, sentence(page))  # and then where one was


def test_without_scripts_the_picture_stands_and_the_list_of_steps():
    for name, run in RUNS.items():
        file = page_of(name)
        with BROWSER.open("about:blank", width=800) as page:
            page.call("Emulation.setScriptExecutionDisabled", value=True)
            page.browser.events(page.session).clear()
            page.call("Page.navigate", url=URL + file)
            page.browser.wait(page.session, "Page.loadEventFired")
            step, state = told(run)
            tap.equal(keys_shown(page), scene.seen(state))
            tap.expect_in(step.say, sentence(page))
            tap.equal(page.evaluate("document.querySelectorAll('button').length"), 0)
            items = page.evaluate("document.querySelectorAll('details li').length")
            tap.equal(items, len(replay.steps(run)))


def test_the_script_is_small_and_asks_nobody():
    text = (tap.ROOT / "common/book/handover.js").read_text()
    tap.expect(len(text.splitlines()) < 300, "it is to stay small")
    words = "fetch(", "XMLHttp", "import ", "http:", "https:", "eval(", "innerHTML"
    name = "http://www.w3.org/2000/svg"
    tap.equal([word for word in words if word in text.replace(name, "")], [])


SHOTS.mkdir(parents=True, exist_ok=True)
try:
    if any(map(shutil.which, chromium.PROGRAMS)):
        with chromium.serve(WORK) as URL, chromium.Browser() as BROWSER:
            tap.run(vars())
    else:
        tests = {name: test for name, test in vars().items() if name.startswith("test_")}
        tap.run({name: (lambda: "no Chromium is installed")
                 if "BROWSER" in test.__code__.co_names else test for name, test in tests.items()})
finally:
    shutil.rmtree(WORK, ignore_errors=True)
