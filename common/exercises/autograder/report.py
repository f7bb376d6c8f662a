#!/usr/bin/env python3
"""report.py RESULTS: what is in a results.json, for GitHub Actions.

Exit status 1 when points are missing; 2 when a test itself broke, or there are no results at all.

A table goes to the file $GITHUB_STEP_SUMMARY (else to stdout), and two notices to stdout: the points as text, and
as the JSON by which GitHub Classroom's own reporter told them.
"""
import html
import json
import os
import pathlib
import sys


def summary(said, tests, points, most):
    lines = [f"## {points} of {most} points", "",
             *[f"{cell(line)}\n" for line in said.splitlines()],
             "| exercise | points | |", "| --- | ---: | --- |"]
    lines += [f"| {cell(test['name'])} | {test['score']} of {test['max_score']} | {cell(kind(test))} |"
              for test in tests]
    for test in tests:
        if test["status"] != "passed":
            lines += ["", f"<details><summary>{cell(test['name'])}</summary>", "",
                      f"<pre>{html.escape(test['output'])}</pre>", "", "</details>"]
    return "\n".join(lines) + "\n"


def kind(test):
    found = test["extra_data"]["kind"]
    return "error" if found == "broken" else found


def cell(text):
    return html.escape(text).replace("|", "&#124;").replace("`", "&#96;")


def main(path):
    try:
        results = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        results = {"output": f"The grader failed, which is no fault of yours: {error}", "tests": []}
    tests = results["tests"]
    points, most = sum(test["score"] for test in tests), sum(test["max_score"] for test in tests)
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    with open(target, "a", encoding="utf-8") if target else os.fdopen(os.dup(1), "w", encoding="utf-8") as file:
        file.write(summary(results["output"], tests, points, most))
    broken = sum(kind(test) == "error" for test in tests)
    if broken or not tests:
        print(f"::error title=Autograding::{broken or 'all'} of the tests broke: these points are "
              "not yet all")
    print(f"::notice title=Autograding complete::Points {points}/{most}")
    print("::notice title=Autograding report::" + json.dumps({"totalPoints": points, "maxPoints": most}))
    return 2 if broken or not tests else 0 if points == most else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    sys.exit(main(sys.argv[1]))
