"""Answers that are kept as patches, and the commands of whoever looks after the exercises.

A patch has a head, then what git(1) shows as the difference:

    Of: solution                  what it is to be applied to: solution, starter, or a file
    Says: 1 zombie                a phrase of what the test says of it; a solution.patch has none

    diff --git a/server.c b/server.c
    ...

More lines may stand in the head. Of an exercise there are, in tests/exercises/NAME,

    wrong/WHAT.patch   a wrong answer, of the solution or of the starter
    passes/WHAT.patch  another answer that passes, perhaps with a remark
    starter.patch      what makes the starter of the solution: the fault
    solution.patch     what makes the solution of a file in a chapter, if it began with one

Files are {name: content} here. They become real in a folder of their own, for git to work on.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

import course
from course import Mistake

CONFLICT = re.compile(rb"^<<<<<<< ", re.MULTILINE)


# ---- one patch -----------------------------------------------------------------------------------

def answers(exercise, *kinds):
    """The patches of the answers that are kept, of these kinds, or of all."""
    return [patch for kind in kinds or ("wrong", "passes")
            for patch in sorted((exercise.tests / kind).glob("*.patch"))]


def parts(patch):
    """The head of a patch, a text, and the difference below it, bytes; that may be empty."""
    if not patch.is_file():
        raise Mistake(f"{shown(patch)}: not there")
    head, first, rest = re.split(rb"(^diff --git |\Z)", patch.read_bytes(), 1, re.MULTILINE)
    return head.decode(errors="replace"), first + rest


def fact(patch, key):
    """What the head of a patch says behind "Of:" or "Says:"."""
    found = re.search(rf"^{key}: *(\S.*)", parts(patch)[0], re.MULTILINE)
    if not found:
        raise Mistake(f"{shown(patch)}: there is no line \"{key}: ...\" in its head")
    return found[1].strip()


def write(patch, head, difference):
    patch.parent.mkdir(parents=True, exist_ok=True)
    text = head.strip() + "\n" + ("\n" if difference else "")
    if not patch.is_file() or patch.read_bytes() != text.encode() + difference:
        patch.write_bytes(text.encode() + difference)


def origin(exercise, patch, top=course.TOP):
    """The files that a patch is to be applied to; `top` is another place where the course lies."""
    of = fact(patch, "Of")
    if of in ("solution", "starter"):
        folder = exercise.solution if of == "solution" else exercise.starter
        return files_in(top / folder.relative_to(course.TOP))
    return base_of(exercise, top / of)


def base_of(exercise, path):
    """A file of a chapter, under the name that it has in the exercise."""
    names = [file.name for file in course.files_of(exercise.solution)]
    if not path.is_file():
        raise Mistake(f"{shown(path)}: not there; the solution of {exercise.name} is made of it")
    if len(names) != 1:
        raise Mistake(f"{exercise.name}: its solution has several files, so it is not made of one")
    return {names[0]: path.read_bytes()}


def applied(exercise, patch, top=course.TOP):
    """The files that a patch makes."""
    difference = parts(patch)[1]
    with folder_of(origin(exercise, patch, top)) as folder:
        if difference:  # git takes an empty one for a mistake
            (folder.parent / "patch").write_bytes(difference)
            ran = git(folder, "apply", "--whitespace=nowarn", "../patch")
            if ran.returncode:
                reason = "; ".join(ran.stderr.decode(errors="replace").splitlines())
                raise Mistake(f"{shown(patch)} does not apply to {fact(patch, 'Of')}: {reason}")
        return files_in(folder)


@contextlib.contextmanager
def staged(exercise, patch):
    """A folder with the files that a patch makes, for as long as the block lasts."""
    with folder_of(applied(exercise, patch)) as folder:
        yield folder


# ---- files, and git ------------------------------------------------------------------------------

def files_in(folder):
    return {path.name: path.read_bytes() for path in course.files_of(folder)}


@contextlib.contextmanager
def folder_of(files, name="files"):
    """A folder with these files, for as long as the block lasts, in a folder that is ours, too."""
    with tempfile.TemporaryDirectory(prefix="patch-") as above:
        folder = pathlib.Path(above).resolve() / name
        fill(folder, files)
        yield folder


def fill(folder, files):
    """Makes files the only ones in a folder, but for its text."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in course.files_of(folder):
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != content:
            (folder / name).write_bytes(content)


def git(folder, *arguments):
    """Runs git on loose files: the same in every repository, and whatever its user has set.

    Inside of one `git apply` would look for the files at its top, and patch nothing, silently.
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False,
                              env={**plain, "GIT_DIR": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull,
                                   "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"})
    except FileNotFoundError:
        raise Mistake("git is not installed, which applies patches") from None


def difference_of(old, new):
    """What makes the files `new` of the files `old`, as a patch has it."""
    with folder_of(old, "a") as folder:
        fill(folder.parent / "b", new)
        ran = git(folder.parent, "diff", "--no-index", "--no-prefix", "--no-renames", "--text",
                  "a", "b")
    if ran.returncode not in (0, 1):
        raise Mistake(f"git diff: {ran.stderr.decode(errors='replace').strip()}")
    # Git's numbers of the contents are of no use without a repository.
    return re.sub(rb"^index .*\n", b"", ran.stdout, flags=re.MULTILINE)


def merged(files, old, new):
    """Files that were made of the files `old`, made of `new`. git-merge-file(1) marks conflicts."""
    result = {}
    for name in files.keys() | new.keys():
        ours, theirs, base = files.get(name), new.get(name), old.get(name)
        if ours == base or theirs == base or ours == theirs:
            content = theirs if ours == base else ours
        else:
            three = {"ours": ours or b"", "old": base or b"", "new": theirs or b""}
            with folder_of(three) as folder:
                ran = git(folder, "merge-file", "-p", "-L", "this answer", "-L", "before",
                          "-L", "now", "ours", "old", "new")
            if not 0 <= ran.returncode < 128:
                raise Mistake(f"git merge-file: {ran.stderr.decode(errors='replace').strip()}")
            content = ran.stdout
        if content is not None:
            result[name] = content
    return result


def conflicts(files):
    return any(CONFLICT.search(content) for content in files.values())


def shown(path):
    return str(path.relative_to(course.TOP) if path.is_relative_to(course.TOP) else path)


# ---- commands ------------------------------------------------------------------------------------

def keep_answer(kind, number, name, folder, phrase=None):
    """Keeps what is in a folder as an answer of a kind: of solution or starter, whichever is nearer."""
    exercise = course.find(number)
    if not pathlib.Path(folder).is_dir():
        raise Mistake(f"{folder}: no such folder")
    patch = exercise.tests / kind / f"{name}.patch"
    head = parts(patch)[0] if patch.is_file() else "Of:\nSays:"
    if phrase:
        head = re.sub(r"^Says:.*", lambda _: f"Says: {phrase}", head, flags=re.MULTILINE)
    elif not patch.is_file():
        raise Mistake(f"{shown(patch)} is new: say in a phrase, too, what the test must say of it")
    answer, differences = files_in(pathlib.Path(folder)), {}
    for of, other in ("solution", exercise.solution), ("starter", exercise.starter):
        differences[of] = difference_of(files_in(other), answer)
        if not differences[of]:
            raise Mistake(f"{folder} has what the {of} has")
    of = min(differences, key=lambda of: len(differences[of].splitlines()))
    write(patch, re.sub(r"^Of:.*", f"Of: {of}", head, flags=re.MULTILINE), differences[of])
    print(f"{shown(patch)}: of the {of}")


def note_starters():
    """Notes what the starters are: their digests, and how each differs from its solution."""
    exercises = course.read_list()
    paths = [path for exercise in exercises for path in course.files_of(exercise.starter)]
    course.write(course.STARTERS, "".join(f"{course.file_digest(path)}  {shown(path)}\n"
                                          for path in sorted(paths)))
    for exercise in exercises:
        patch = exercise.tests / "starter.patch"
        head = parts(patch)[0] if patch.is_file() else "Of: solution\nSays:"
        write(patch, head, difference_of(files_in(exercise.solution), files_in(exercise.starter)))


def rebase(number, base=None):
    """Makes anew what is made of something that has changed since a commit: the solution of its
    file, the starter of the solution, the other answers of both. Tells the conflicts, and gives
    whether there are none.
    """
    since = os.environ.get("SINCE") or "HEAD"
    exercises = [one for one in course.read_list()
                 if number in (one.number.split("-")[0], one.number, one.name)]
    if not exercises:
        raise Mistake(f"there is no exercise and no chapter \"{number}\" in exercises/list")
    if base:
        base = shown(pathlib.Path(base).resolve())
    with the_course_at(since) as old:
        told = [line for exercise in exercises for line in rebase_one(exercise, base, old)]
    if told:
        told.append("Mend them, and run this again.")
    else:
        note_starters()
    print("\n".join(told) or f"{number}: all is well")
    return not told


@contextlib.contextmanager
def the_course_at(commit):
    """A folder with all files as they were at a commit."""
    ran = subprocess.run(["git", "-C", str(course.TOP), "archive", commit], capture_output=True,
                         check=False)
    if ran.returncode:
        raise Mistake(f"git does not have {commit}: {ran.stderr.decode(errors='replace').strip()}")
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        subprocess.run(["tar", "-x", "-C", folder], input=ran.stdout, check=True)
        yield pathlib.Path(folder).resolve()


def rebase_one(exercise, base, old):
    """Gives the conflicts of one exercise, in words. `old` is where the course lies as it was."""
    def was(path):
        return old / path.relative_to(course.TOP)

    def follow(folder, origin_was, origin_is):
        """Changes what is in a folder as what it is made of has changed. Gives its conflicts."""
        files = files_in(folder)
        if not conflicts(files):
            result = merged(files, origin_was, origin_is)
            if conflicts(result) and files != files_in(was(folder)):
                print(f"{shown(folder)}: left as it was edited")
            else:
                fill(folder, result)
                files = result
        return [f"conflict: {shown(folder / name)}" for name in sorted(files)
                if conflicts({name: files[name]})]

    patch = exercise.tests / "solution.patch"
    if base or patch.is_file():
        head = parts(patch)[0] if patch.is_file() else "Of:"
        is_base = base_of(exercise, course.TOP / (base or fact(patch, "Of")))
        if was(patch).is_file():
            expect_in_step(exercise, was(patch), was(exercise.solution), old)
            told = follow(exercise.solution, origin(exercise, was(patch), old), is_base)
            if told:
                return told
        head = re.sub(r"^Of:.*", f"Of: {base or fact(patch, 'Of')}", head, flags=re.MULTILINE)
        write(patch, head, difference_of(is_base, files_in(exercise.solution)))
    solution_was, solution_is = files_in(was(exercise.solution)), files_in(exercise.solution)
    if solution_was:
        fault = was(exercise.tests / "starter.patch")
        if fault.is_file():
            expect_in_step(exercise, fault, was(exercise.starter), old)
        told = follow(exercise.starter, solution_was, solution_is)
        if told:
            return told
    return [line for answer in answers(exercise)
            for line in rebase_answer(exercise, answer, was(answer), old)]


def expect_in_step(exercise, patch, folder, old):
    """Else what was there before is no ground to stand on."""
    try:
        in_step = applied(exercise, patch, old) == files_in(folder)
    except Mistake:
        in_step = False
    if not in_step:
        raise Mistake(f"{exercise.name} was already not what {patch.name} makes of "
                      f"{fact(patch, 'Of')} at that commit; name the last one at which it was: "
                      "SINCE=COMMIT")


def rebase_answer(exercise, patch, patch_was, old):
    """The same for another answer: if it does not apply, but did."""
    head, now = parts(patch)[0], origin(exercise, patch)
    try:
        files = applied(exercise, patch)
    except Mistake as mistake:
        if not patch_was.is_file():
            return [str(mistake)]
        before = origin(exercise, patch_was, old)
        files = merged(applied(exercise, patch_was, old), before, now)
        if conflicts(files):
            folder = exercise.built / patch.parent.name / patch.stem
            fill(folder, files)
            return [f"conflict: {shown(patch)}; mend it in {shown(folder)}, and then\n"
                    f"    common/exercises/exercise.py {patch.parent.name} {exercise.number} {patch.stem} "
                    f"{shown(folder)}"]
    write(patch, head, difference_of(now, files))
    return []
