#!/usr/bin/env python3
"""Test of common/lab/diff.py, with chapters of this test's own."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

TREE = pathlib.Path(tempfile.mkdtemp(prefix="diff-test-"))
for path, text in {
        "07-one/server.c": "same\nold\n", "07-one/pool.c": "same\nolder\n", "07-one/pool.h": "same\n", "07-one/show.py": "7\n",
        "08-two/tool.c": "no server\n",
        "09-three/server.c": "same\nnew\n", "09-three/pool.c": "same\nnewer\n", "09-three/pool.h": "same\n",
        "09-three/worker.c": "1\n2\n3\n", "09-three/worker.py": "1\n2", "09-three/show.py": "9\n", "09-three/README.md": "\n",
        "10-four/server.c": "same\nnew\n"}.items():
    (TREE / "chapters" / path).parent.mkdir(parents=True, exist_ok=True)
    (TREE / "chapters" / path).write_text(text)


def diff(number):
    result = subprocess.run([tap.ROOT / "common/lab/diff.py", number], cwd=TREE,
                            capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def test_what_changed_is_shown_and_what_is_new_is_named():
    status, out, errors = diff("09")
    tap.equal((status, errors), (0, ""))
    tap.equal([line for line in out.splitlines() if not line.startswith("@@")], [
        "--- chapters/07-one/pool.c", "+++ chapters/09-three/pool.c", " same", "-older", "+newer",
        "--- chapters/07-one/server.c", "+++ chapters/09-three/server.c", " same", "-old", "+new",
        "new: chapters/09-three/worker.c, 3 lines", "new: chapters/09-three/worker.py, 2 lines"])


def test_nothing_that_changed_is_nothing_to_show():
    tap.equal(diff("10"), (0, "", ""))


def test_a_chapter_that_none_with_a_server_came_before_is_one_clear_line():
    tap.equal(diff("07"), (2, "", "diff: chapter 07 has the first server; say one of: 09 10\n"))
    tap.equal(diff("08"), (2, "", "diff: chapter 08 has no server; say one of: 09 10\n"))


try:
    tap.run(vars())
finally:
    shutil.rmtree(TREE, ignore_errors=True)
