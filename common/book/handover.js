/*
 * Makes a figure of a hand-over (scene.py) one that can be gone through, step by step.
 *
 * The figure has two pictures, for wide and for narrow pages, of which one is seen. In both, each
 * thing that comes and goes has a key in data-k. The figure's JSON has the keys, and of each step
 * those that are there, those to light up, and what moves from where to where. Its sentences are
 * those of the list.
 */
"use strict";

(() => {
    const SHAPES = {
        first: "M4 4h3v16H4zM20 4v16L8 12z", back: "M18 4v16L6 12z", play: "M6 4v16l14-8z",
        pause: "M5 4h5v16H5zM14 4h5v16h-5z", next: "M6 4v16l12-8z",
        last: "M17 4h3v16h-3zM4 4v16l12-8z",
    };
    const SVG = "http://www.w3.org/2000/svg";
    const calm = matchMedia("(prefers-reduced-motion: reduce)");

    function make(name, attributes, ...inside) {
        const element = document.createElement(name);
        Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
        element.append(...inside);
        return element;
    }

    function shape(name) {
        const svg = document.createElementNS(SVG, "svg");
        const path = document.createElementNS(SVG, "path");
        svg.setAttribute("viewBox", "0 0 24 24");
        svg.setAttribute("aria-hidden", "true");
        path.setAttribute("d", SHAPES[name]);
        svg.append(path);
        return svg;
    }

    class Figure {
        constructor(figure) {
            this.figure = figure;
            this.data = JSON.parse(figure.querySelector("script").textContent);
            this.items = [...figure.querySelectorAll("ol > li")];
            this.sentence = figure.querySelector(".ho-now");
            this.pictures = [...figure.querySelectorAll(".ho-picture > svg")].map(svg => {
                const found = new Map();
                for (const element of svg.querySelectorAll("[data-k]")) {
                    const key = element.dataset.k;
                    found.set(key, [...(found.get(key) || []), element]);
                }
                return { svg, found };
            });
            this.fixed = new Set(this.data.fixed);
            this.last = this.data.steps.length - 1;
            this.timer = 0;
            this.controls();
            figure.classList.add("live");
            figure.tabIndex = 0;
            figure.addEventListener("keydown", event => this.key(event));
            // On paper there is the moment with most in it.
            addEventListener("beforeprint", () => {
                this.before = this.at;
                this.go(this.data.at);
            });
            addEventListener("afterprint", () => this.go(this.before));
            this.show(this.data.at);
            this.sentence.setAttribute("aria-live", "polite");
        }

        controls() {
            const button = (name, label, act) => {
                const attributes = { type: "button", "aria-label": label, title: label };
                const made = make("button", attributes, shape(name));
                made.addEventListener("click", act);
                return made;
            };
            this.buttons = {
                first: button("first", "First step", () => this.go(0)),
                back: button("back", "One step back", () => this.go(this.at - 1)),
                play: button("play", "Play", () => this.toggle()),
                next: button("next", "Next step", () => this.go(this.at + 1)),
                last: button("last", "Last step", () => this.go(this.last)),
            };
            this.slider = make("input", { type: "range", min: 1, max: this.last + 1 });
            this.slider.setAttribute("aria-label", "Step");
            this.slider.addEventListener("input", () => this.go(this.slider.value - 1));
            this.count = make("span", { class: "ho-count" });
            const hint = "Keys: \u2190 and \u2192, Home and End; space plays.";
            const group = { class: "ho-controls", role: "group", "aria-label": "Steps" };
            this.figure.querySelector(".ho-picture").after(make("div", group,
                ...Object.values(this.buttons), this.slider, this.count,
                make("span", { class: "ho-keys" }, hint)));
        }

        key(event) {
            const on = event.target;
            if (event.altKey || event.ctrlKey || event.metaKey || on.closest("summary, a"))
                return;
            const acts = {
                ArrowRight: () => this.go(this.at + 1), ArrowLeft: () => this.go(this.at - 1),
                Home: () => this.go(0), End: () => this.go(this.last), " ": () => this.toggle(),
            };
            if (!acts[event.key] || (event.key === " " && on.localName === "button"))
                return; // a button has the space for itself
            event.preventDefault();
            acts[event.key]();
        }

        /* To a step, by the reader's hand. */
        go(at) {
            this.stop();
            this.show(at);
        }

        toggle() {
            if (this.timer)
                return this.stop();
            if (this.at === this.last)
                this.show(0);
            this.sentence.setAttribute("aria-live", "off"); // too much to be read out
            this.face("pause", "Pause");
            this.tick();
        }

        tick() {
            this.timer = setTimeout(() => {
                this.show(this.at + 1);
                if (this.at === this.last)
                    this.stop();
                else
                    this.tick();
            }, Number(this.figure.dataset.pace));
        }

        stop() {
            clearTimeout(this.timer);
            this.timer = 0;
            this.sentence.setAttribute("aria-live", "polite");
            this.face("play", "Play");
        }

        face(name, label) {
            const { play } = this.buttons;
            play.replaceChildren(shape(name));
            play.title = label;
            play.setAttribute("aria-label", label);
        }

        show(at) {
            at = Math.max(0, Math.min(this.last, at));
            const step = this.data.steps[at], forward = this.at !== undefined && at === this.at + 1;
            const moves = forward && !calm.matches && step.from !== undefined;
            const from = this.pictures.map(picture => moves && this.middle(picture, step.from));
            const on = new Set(step.on), hot = new Set(step.hot);
            this.at = at;
            const item = this.items[at], part = name => item.querySelector(name).textContent;
            for (const picture of this.pictures) {
                this.data.keys.forEach((key, number) => {
                    for (const element of picture.found.get(key) || []) {
                        if (on.has(number) || this.fixed.has(number))
                            element.removeAttribute("display");
                        else
                            element.setAttribute("display", "none");
                        element.classList.toggle("hot", hot.has(number));
                    }
                });
                picture.svg.querySelector("title").textContent = `${part("b")}, ${part("code")}`;
                picture.svg.querySelector("desc").textContent = `${part("span")} ${step.told}`;
            }
            this.items.forEach(each => each.removeAttribute("aria-current"));
            item.setAttribute("aria-current", "step");
            this.sentence.replaceChildren(...item.cloneNode(true).childNodes);
            this.slider.value = at + 1;
            this.slider.setAttribute("aria-valuetext", `step ${at + 1} of ${this.last + 1}`);
            this.count.textContent = `${at + 1} of ${this.last + 1}`;
            // Not disabled: that would take the focus away, and the keys with it.
            for (const name of ["first", "back"])
                this.buttons[name].setAttribute("aria-disabled", at === 0);
            for (const name of ["next", "last"])
                this.buttons[name].setAttribute("aria-disabled", at === this.last);
            this.pictures.forEach((picture, number) => {
                if (moves)
                    this.fly(picture, from[number], this.middle(picture, step.to), step.colour);
            });
        }

        /* Where a key is drawn; nothing where it is not seen. */
        middle(picture, number) {
            const elements = picture.found.get(this.data.keys[number]) || [];
            const boxes = elements.map(element => element.getBBox()).filter(box => box.width > 0);
            const least = boxes.sort((a, b) => a.width * a.height - b.width * b.height)[0];
            return least && { x: least.x + least.width / 2, y: least.y + least.height / 2 };
        }

        fly(picture, from, to, colour) {
            if (!from || !to)
                return;
            const token = document.createElementNS(SVG, "circle");
            token.setAttribute("class", "token");
            token.setAttribute("r", picture.svg.viewBox.baseVal.width / 70 + 3);
            token.style.color = colour;
            picture.svg.append(token);
            const at = point => `translate(${point.x}px, ${point.y}px)`;
            token.animate([{ transform: at(from) }, { transform: at(to) }],
                { duration: Number(this.figure.dataset.pace) / 2.4, easing: "ease-in-out" })
                .finished.finally(() => token.remove());
        }
    }

    document.querySelectorAll("figure.handover").forEach(figure => new Figure(figure));
})();
