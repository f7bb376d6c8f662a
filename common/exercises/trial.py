"""Builds and tests what somebody made of an exercise, in the sandbox of supervise.c."""
import ast
import dataclasses
import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import course
import handin

SUPERVISE = course.BUILD / "common/exercises/supervise"
LIBRARY = course.BUILD / "common/common.a"
HEADERS = ["common", *course.CHAPTERS]
LESSON = course.TOP / "tests/exercises/lesson.py"
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
              "-fno-omit-frame-pointer"]

# What a build, and a test with all programs under it, may use: see `supervise -h`.
BUILD_LIMITS = ["-t", "120", "-c", "60", "-p", "64", "-m", "1024", "-f", "64", "-s", "128", "-o", "64"]
TEST_LIMITS = ["-c", "60", "-p", "128", "-m", "1024", "-f", "32", "-s", "64", "-o", "64", "-d", "1024"]
PASSED_ON = ["PATH", "LESSON_PATIENCE", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"]
MET_LIMIT, NO_SANDBOX, CANNOT_EXECUTE, NOT_FOUND = 124, 125, 126, 127

running = set()  # the supervisors under way, in all threads
starting = threading.Lock()  # held while one is born, who is then among them
stopped = threading.Event()  # and no other is born after this
strict = False   # refuse to run anything where the kernel does not separate it from the machine


def stop_all():
    """Ends what runs in other threads, and keeps them from starting more."""
    with starting:
        stopped.set()
        for process in list(running):
            process.terminate()


@dataclasses.dataclass
class Outcome:
    exercise: course.Exercise
    kind: str      # "passed", "not yet", "does not compile", "missing" or "broken" (the test itself)
    words: str     # all that there is to say, for the learner
    warnings: str = ""
    seconds: float = 0.0
    found: str = ""  # in a few words, what is wrong
    steps: tuple = (0, 1)  # of the test: how many were passed, and how many it has

    @property
    def passed(self):
        return self.kind == "passed"


def try_out(exercise, source, keep=False, color=False, flags=(), patience=None):
    """Builds and tests what lies in the folder `source`, or is a handin.Answer. With `keep` the
    programs are left in exercise.built.

    `flags` come after all others of the compiler. `patience` is in seconds: how long the test waits for
    what must become true, by default LESSON_PATIENCE, or 10.
    """
    began = time.monotonic()
    flags = [*(["-fdiagnostics-color=always"] if color else []), *flags]
    patience = patience or course.seconds("LESSON_PATIENCE", 10)
    if not isinstance(source, handin.Answer):
        source = handin.folder_of(source, exercise, shown(source))
    with Stage(exercise, source, flags, patience) as stage:
        outcome = stage.missing() or stage.build() or stage.test()
        if keep:
            stage.keep()
    outcome.warnings = stage.warnings
    outcome.seconds = time.monotonic() - began
    return outcome


class Stage:
    """A folder with all that is needed and nothing else: besides the system's programs, the sandbox
    shows only this."""

    def __init__(self, exercise, answer, flags, patience):
        self.exercise, self.answer, self.flags = exercise, answer, flags
        self.patience = patience
        self.warnings = ""

    def __enter__(self):
        # What is handed in is nobody else's business: the outer folder stays closed, if the sandbox
        # has a way of its own into the inner one. Whoever is interrupted here leaves none behind.
        closed = os.geteuid() != 0 or isolated()
        self.work = None
        self.outside = pathlib.Path(tempfile.mkdtemp(prefix="exercise-", dir=temporary_folder()))
        try:
            self.outside = self.outside.resolve()
            self.outside.chmod(0o700 if closed else 0o755)
            self.top = self.outside / "stage"
            self.tests = self.top / "tests" / self.exercise.name
            for folder in "source", "programs", "include", self.tests:
                (self.top / folder).mkdir(parents=True)
            for folder in (self.top, *self.top.rglob("*")):
                folder.chmod(0o755)  # the sandbox may run as another user
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        # Folders may be deeper than Python recurses, and not writable: both is rm's daily bread.
        outside = str(self.outside)
        if subprocess.run(["rm", "-rf", outside], stderr=subprocess.DEVNULL,
                          check=False).returncode:
            subprocess.run(["chmod", "-R", "u+rwx", outside], stderr=subprocess.DEVNULL,
                           check=False)
            subprocess.run(["rm", "-rf", outside], check=False)

    def outcome(self, kind, words, found):
        return Outcome(self.exercise, kind, words.rstrip() + "\n", found=found)

    def say(self, kind, happened, look=""):
        return self.outcome(kind, report(f"{self.exercise.name}: {kind}", Happened=happened, Look_at=look), happened)

    # ---- what is handed in ----

    def missing(self):
        """Lays out the learner's files; tells what is missing among them."""
        if self.answer.problem:
            return self.say("missing", self.answer.problem)
        for name, content in self.answer.files.items():
            path = self.top / "source" / name
            path.write_bytes(content)
            path.chmod(0o644)
        back = f"make reset-{self.exercise.number}: it brings the starter back"
        for name in self.exercise.files():
            if name not in self.answer.files:
                return self.say("missing", f"{name} is not there", back)
            if not self.answer.files[name].strip():
                return self.say("does not compile", f"{name} is empty", back)
        return None

    # ---- building ----

    def build(self):
        """Compiles all programs of the exercise to programs/."""
        exercise = self.exercise
        for folder in HEADERS:
            for header in (course.TOP / folder).glob("*.h"):
                copy(header, self.top / "include" / header.name)
        known = course.modules()
        modules = [course.BUILD / file for module in exercise.uses for file in known[module]]
        for file in dict.fromkeys([*modules, LIBRARY]):
            copy(file, self.top / "include" / file.name)
        compiled = [program for program in exercise.programs if "." not in program]
        for program in set(exercise.programs) - set(compiled):
            copy(self.top / "source" / program, self.top / "programs" / program, 0o755)
        for program in compiled + exercise.drivers:
            sources = sorted((self.top / "source").glob("*.c"))
            if len(compiled) > 1 or program in exercise.drivers:
                sources = [file for file in sources if file.stem == program or file.stem not in compiled]
            if program in exercise.drivers:
                copy(exercise.driver, self.top / "include/driver.c")
                sources.append(self.top / "include/driver.c")
            problem = self.link(program, sources, [file.name for file in modules])
            if problem:
                return problem
        return None

    def link(self, program, sources, modules):
        include = self.top / "include"
        objects = [str(include / name) for name in dict.fromkeys([*modules, LIBRARY.name])]
        # What the compiler and the debugger call a file is where the learner has it.
        command = [*compiler(),
                   f"-ffile-prefix-map={self.top}/source={course.TOP / self.answer.shown}",
                   f"-ffile-prefix-map={include}={course.TOP}/common", *self.flags,
                   f"-I{self.top}/source", f"-I{include}", *map(str, sources), *objects,
                   *course.words("LDFLAGS"), "-lm", "-o", program]
        status, output, reason = self.supervise(BUILD_LIMITS + ["-k", program], command)
        output = output.replace(f"{self.top}/source/", self.answer.shown).replace(f"{include}/", "")
        built = self.work / program
        if status == 0 and built.is_file() and not built.is_symlink():
            self.warnings += folded(output)
            copy(built, self.top / "programs" / program, 0o755)
            return None
        if reason:
            return self.say("does not compile", f"the compiler was stopped: {reason}",
                            "what the source asks of it: #include of what has no end, or very large arrays")
        first = next((line for line in output.splitlines() if "error" in line or "undefined" in line), "")
        first = re.sub(r"\x1b\[[0-9;]*[mK]", "", first).replace(self.answer.shown, "").strip()
        return self.outcome("does not compile", f"{folded(output)}{self.exercise.name}: does not compile", first)

    # ---- testing ----

    def test(self):
        for file in [LESSON, *self.exercise.tests.iterdir()]:
            if file.is_file():
                copy(file, self.tests / file.name)
        reader, writer = os.pipe()
        # -E -s -B: no module and no setting but ours.
        command = [interpreter()[0], "-E", "-s", "-B", str(self.tests / "test.py"),
                   str(self.top / "programs")]
        try:
            status, output, reason = self.supervise(
                ["-t", str(int(60 + 4 * self.patience)), "-r", str(writer), *TEST_LIMITS], command,
                environment={"LESSON_VERDICT": str(writer), "LESSON_PATIENCE": str(self.patience)},
                pass_fds=[writer])
            os.close(writer)
            writer = None
            verdict = os.read(reader, 4096)  # see _verdict in lesson.py
        finally:
            os.close(reader)
            if writer is not None:
                os.close(writer)
        if reason:
            return self.say("not yet", f"your program was stopped: {reason}",
                            "a loop that does not end; for each fork, malloc, open and write: what ends it?")
        if status == 0 and verdict == b"passed\n":
            return self.outcome("passed", output, "")
        if status == 1 and verdict.startswith(b"not yet "):
            passed, _, happened = verdict.decode(errors="replace").removeprefix("not yet ").partition(" ")
            outcome = self.outcome("not yet", output, printable(happened).strip())
            outcome.steps = int(passed), steps_of((self.tests / "test.py").read_text())
            return outcome
        if status < 0:  # where no namespace hides the supervisor
            return self.say("not yet", "the sandbox was ended by a signal, which your program must have sent",
                            "every kill and killpg: to whom does it go?")
        if status > 128 and not verdict:
            name = signal.Signals(status - 128).name
            return self.say("not yet", f"the test was ended by {name}, which your program must have sent",
                            "every kill and killpg: to whom does it go? -1 means every process there is: kill(2)")
        return self.outcome("broken", output + f"{self.exercise.name}: the test itself broke, with status {status}; "
                            "this is no fault of yours", "the test itself broke")

    def keep(self):
        """Copies the programs to where the learner can start them."""
        self.exercise.built.mkdir(parents=True, exist_ok=True)
        for file in (self.top / "programs").iterdir():
            # Not into the old file, which may be running.
            copy(file, self.exercise.built / f".{file.name}", 0o755)
            (self.exercise.built / f".{file.name}").replace(self.exercise.built / file.name)

    # ---- the sandbox ----

    def supervise(self, limits, command, environment=None, pass_fds=()):
        """Runs a command in the sandbox. Gives its status, its output, and the limit that it met, if any."""
        work = self.work = pathlib.Path(tempfile.mkdtemp(prefix="work-", dir=self.top))
        show = [word for folder in [self.top, *interpreter()[1]] for word in ("-y", str(folder))]
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with starting:
            if stopped.is_set():
                raise course.Mistake("interrupted")
            process = subprocess.Popen(
                [str(SUPERVISE), "-w", str(work), *show, *limits, *bounds(), "--", *command],
                env={**passed_on, "LANG": "C.UTF-8", "HOME": str(work), "TMPDIR": str(work), **(environment or {})},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=pass_fds)
            running.add(process)
        try:
            output, errors = process.communicate()
        except BaseException:
            process.terminate()
            process.communicate()
            raise
        finally:
            running.discard(process)
        errors = errors.decode(errors="replace").strip()
        if process.returncode in (NO_SANDBOX, CANNOT_EXECUTE, NOT_FOUND) and errors:
            raise course.Mistake(errors.splitlines()[-1])
        reason = ""
        if process.returncode == MET_LIMIT and errors:
            reason = errors.splitlines()[-1].partition("stopped: ")[2]
        elif errors:
            print(errors, file=sys.stderr)
        return process.returncode, printable(output.decode(errors="replace")), reason


def compiler():
    return course.words("COMPILE", "cc -std=c17 -D_GNU_SOURCE -Wall -Wextra -O2 -g")


def open_to_all(path):
    """Whether another user gets to a path."""
    return all(os.stat(part).st_mode & 0o001 for part in [path, *pathlib.Path(path).parents])


def temporary_folder():
    """TMPDIR, or /tmp if the sandbox's user cannot get there."""
    folder = os.path.realpath(tempfile.gettempdir())
    return folder if os.geteuid() != 0 or open_to_all(folder) else "/tmp"


def bounds():
    """What else the sandbox is told."""
    return [*([] if strict else ["-u"]), *course.words("SUPERVISE")]


@functools.lru_cache(maxsize=None)
def isolation():
    """In words, what separates a program here from the rest of the machine."""
    with tempfile.TemporaryDirectory(prefix="exercise-", dir=temporary_folder()) as folder:
        ran = subprocess.run([str(SUPERVISE), "-v", "-u", *course.words("SUPERVISE"), "-w", folder,
                              "--", "true"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, check=False)
    said_last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
    if ran.returncode:
        raise course.Mistake(said_last[0])
    return said_last[0].partition(": ")[2]


def isolated():
    """Whether a program has its own processes, files, memory and network, and cannot reach those of
    others."""
    return isolation().startswith("namespaces: process, mount, IPC, network")


SYSTEM = ("/usr/bin/", "/usr/local/bin/", "/bin/", "/nix/store/",
          "/gnu/store/")  # see system_paths in sandbox.c


@functools.lru_cache(maxsize=None)
def interpreter():
    """A Python that the sandbox's user sees and can execute, and the folders that must be shown for
    it."""
    candidates = [sys.executable, *(os.path.join(folder, "python3") for folder in [*os.get_exec_path(), "/usr/bin"])]
    for path in map(os.path.realpath, candidates):
        if path.startswith(SYSTEM) and os.path.isfile(path) and open_to_all(path):
            return path, []
    if os.geteuid() != 0:
        return sys.executable, sorted({os.path.realpath(sys.prefix),
                                       os.path.realpath(sys.base_prefix)})
    raise course.Mistake(f"{sys.executable}: tests run as another user than root, who cannot execute this; "
                         "install python3 in /usr/bin")


def steps_of(test):
    """How many steps the text of a test has."""
    calls = [node for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Call)]
    return sum(isinstance(call.func, ast.Name) and call.func.id == "step" for call in calls)


def copy(source, target, mode=0o644):
    shutil.copyfile(source, target)
    target.chmod(mode)


def shown(folder):
    """A folder as the learner would write it, with a slash."""
    path = pathlib.Path(os.path.abspath(folder))
    return f"{path.relative_to(course.TOP) if path.is_relative_to(course.TOP) else path}/"


def folded(output):
    """What the compiler says, in 80 columns. The lines of the source that it shows stay as they are, and what it has
    marked below them in its place: -fmessage-length would fold these, too."""
    lines = []
    for line in output.splitlines():
        if re.match(r"(\x1b\[[0-9;]*[mK])*[^\s|]+:", line):
            first, *words = line.split(" ")
            lines.append(first)
            for word in words:
                if len(re.sub(r"\x1b\[[0-9;]*[mK]", "", f"{lines[-1]} {word}")) > 80:
                    lines.append("   ")
                lines[-1] += f" {word}"
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def printable(text):
    """Nothing that a terminal acts on, but for colours and ends of lines."""
    return re.sub(r"(?!\x1b\[[0-9;]*[mK])[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text)


def report(first, **lines):
    """The form in which lesson.py reports."""
    text = [first]
    for label, value in lines.items():
        if value:
            wrapped = textwrap.wrap(value, 65, break_long_words=False, break_on_hyphens=False)
            text += [f"  {label.replace('_', ' ') if i == 0 else '':<11}{line}" for i, line in enumerate(wrapped)]
    return "\n".join(text)
