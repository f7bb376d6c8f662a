// The quizzes answer: a choice shows what is behind it. Without scripts the answers stand folded below.
document.addEventListener("change", event => {
    const fieldset = event.target.closest(".question fieldset");
    if (!fieldset)
        return;
    for (const why of fieldset.querySelectorAll(".why"))
        why.hidden = true;
    event.target.closest("label").nextElementSibling.hidden = false;
});
for (const why of document.querySelectorAll(".question .why"))
    why.setAttribute("role", "status");
// What scrolls sideways scrolls by the keyboard, too.
function reachable() {
    for (const box of document.querySelectorAll("div.highlight pre, .table-wrapper"))
        if (box.scrollWidth > box.clientWidth)
            box.tabIndex = 0;
}
addEventListener("load", reachable);
addEventListener("resize", reachable);
// A search leads to a page, and marks there what was looked for: the first mark is the place. Sphinx
// marks 10 ms after the page is ready, which may be after its load: a timer that is set later ends later.
addEventListener("load", () => setTimeout(() => {
    if (!location.hash)
        document.querySelector("article .highlighted")?.scrollIntoView({ behavior: "instant", block: "center" });
}, 10));
