"""Tests in Python, told in TAP as prove wants them. TEST_ONLY is a pattern of names, as for the tests in C."""
import fnmatch
import os
import pathlib
import sys
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(tests):
    """Runs the functions of a module, TESTS = vars(), whose names begin with "test_"; ends the program."""
    pattern = os.environ.get("TEST_ONLY") or "*"
    functions = {name[5:]: function for name, function in tests.items() if name.startswith("test_")}
    chosen = {name: function for name, function in functions.items() if fnmatch.fnmatchcase(name, pattern)}
    if not chosen:
        sys.exit(f"{os.path.basename(sys.argv[0])}: TEST_ONLY={pattern}: no test has such a name")
    print(f"1..{len(chosen)}")
    failed = 0
    for number, (name, function) in enumerate(chosen.items(), 1):
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            print("".join("# " + line for line in traceback.format_exc().splitlines(True)), file=sys.stderr, flush=True)
    sys.exit(failed > 0)


def equal(got, wanted):
    assert got == wanted, f"wanted {wanted!r}, got {got!r}"


def raises(kind, function, *arguments):
    """Gives the text of the exception."""
    try:
        function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")
