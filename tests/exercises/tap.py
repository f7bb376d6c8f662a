"""What the tests of the framework share: cases that run side by side and print TAP, and a proof that all is over."""
import concurrent.futures
import ctypes
import fnmatch
import os
import pathlib
import signal
import sys
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("BUILD", "build")
sys.path.insert(0, str(TOP / "common/exercises"))
sys.dont_write_bytecode = True
PATIENCE = float(os.environ.get("TEST_PATIENCE") or 60)

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """What a case wanted, and what it got."""


def expect(ok, what):
    if not ok:
        raise Failed(what)


def expect_in(part, text):
    """White space is equal to any other: texts are wrapped."""
    expect(" ".join(part.split()) in " ".join(text.split()), f"wanted: {part}\ngot: {text}")


def adopt_orphans():
    """From here on, what is left behind by whatever we start becomes our child: see no_child_left."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def no_child_left():
    """Fails when anything that we started still lives, however deep, or becomes a zombie without parent."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)  # the kernel ends a namespace; or it lives
        except ChildProcessError:
            return
    living = [pid for pid in os.listdir("/proc") if pid.isdigit() and parent(pid) == os.getpid()]
    names = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in living]
    for pid in living:
        os.kill(int(pid), signal.SIGKILL)
    raise Failed(f"still there: {names}")


def parent(pid):
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def run(cases, together=4, seconds=300, last=(), proofs=()):
    """Runs cases [(name, function)] side by side, then `last` one by one, and in any case `proofs`. Prints TAP, exits.

    TEST_ONLY is a pattern of names; TEST_SECONDS bounds the whole.
    """
    only = os.environ.get("TEST_ONLY") or "*"
    cases, last = ([case for case in some if fnmatch.fnmatch(case[0], only)] for some in (cases, last))
    if not cases and not last:
        sys.exit(f"{os.path.basename(sys.argv[0])}: TEST_ONLY={only}: no test has such a name")
    last += proofs
    bound = int(os.environ.get("TEST_SECONDS") or seconds)
    signal.signal(signal.SIGALRM, lambda *_: out_of_time(bound))
    for number in signal.SIGINT, signal.SIGTERM:  # the first is ignored where a shell starts us in the background
        signal.signal(number, signal.default_int_handler)
    signal.alarm(bound)
    failed = 0
    print(f"1..{len(cases) + len(last)}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(together) as pool:
        futures = [pool.submit(verdict, function) for _, function in cases]
        try:
            for number, ((name, _), future) in enumerate(zip(cases, futures), 1):
                failed += say(number, name, future.result())
        except BaseException:
            for future in futures:
                future.cancel()
            stop_trials()
            raise
    for number, (name, function) in enumerate(last, len(cases) + 1):
        failed += say(number, name, verdict(function))
    sys.exit(1 if failed else 0)


def verdict(function):
    """None when all was well, "skip: why", or the reason of the failure."""
    try:
        why = function()
        return f"skip: {why}" if why else None
    except Failed as failed:
        return str(failed)
    except Exception:  # pylint: disable=broad-except
        return traceback.format_exc()


def say(number, name, problem):
    skipped = problem and problem.startswith("skip: ")
    print(f"{'ok' if not problem or skipped else 'not ok'} {number} - {name}"
          + (f" # SKIP {problem[6:]}" if skipped else ""))
    if problem and not skipped:  # on stderr, for prove shows no more of the rest than its number
        print("\n".join(f"#   {line}" for line in problem.splitlines()), file=sys.stderr, flush=True)
    sys.stdout.flush()
    return 1 if problem and not skipped else 0


def stop_trials():
    if "trial" in sys.modules:
        sys.modules["trial"].stop_all()


def out_of_time(bound):
    print(f"Bail out! not over after {bound} seconds", flush=True)
    raise KeyboardInterrupt
