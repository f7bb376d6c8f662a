"""What somebody hands in, a folder or an archive, is taken as names and bytes before anything is
done with it.

Whoever wrote it may mean harm, and who grades it may be root. So nothing in it is followed, and
nothing is opened before it is known to be a plain file: each step to a file is an open(2) with
O_NOFOLLOW below the folder before, and the file itself is looked at through O_PATH and then opened
as the very same. What is taken cannot change any more.
"""
import contextlib
import dataclasses
import functools
import gzip
import hashlib
import io
import os
import pathlib
import stat
import tarfile
import zipfile

import course

FILE_MAX = 1024 * 1024       # of a file
FILES_MAX = 64               # of an exercise
TAKEN_MAX = 32 * 1024 * 1024 # of all that is taken
ARCHIVE_MAX = 32 * 1024 * 1024
UNPACKED_MAX = 128 * 1024 * 1024
ENTRIES_MAX = 20000          # names that are looked at
DEPTH_MAX = 8
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")

# Who packs the whole repository has solutions, tests and marks in folders of the same names, too.
NO_ANSWERS = {"solutions", "tests", "mine", "build", "chapters", "common", "slides", "node_modules",
              "__MACOSX"}

_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
          stat.S_IFCHR: "a device",
          stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder"}


class Refused(Exception):
    """What was handed in cannot be graded; the text says why, for who handed it in."""


@dataclasses.dataclass
class Answer:
    """An exercise's files, or why they are not taken."""
    files: dict = dataclasses.field(default_factory=dict)  # {name: bytes}
    problem: str = ""
    shown: str = ""  # how messages call the folder, with a slash

    def digest(self):
        if self.problem:
            return hashlib.sha256(self.problem.encode()).hexdigest()
        return course.digest_of(self.files)


@dataclasses.dataclass
class Node:
    """What a name in a submission stands for."""
    kind: str           # "file", "folder", or in words what else it is
    read: object = None  # of a file: a function that gives its bytes: so many, and one if more


class Unfit(Exception):
    """A file that is not taken; the text says what it is instead of a plain one."""


def name_of(text, most=60):
    """A name that comes from outside, such that it acts on no terminal and fits a line."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else text[:most - 3] + "..."


# ---- folders -------------------------------------------------------------------------------------

def _kind(status):
    if stat.S_ISREG(status.st_mode):
        if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
            return "a set-user-ID program"
        return "file" if status.st_nlink == 1 else "a hard link: it has another name somewhere"
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return _KINDS.get(stat.S_IFMT(status.st_mode), "no file")


@contextlib.contextmanager
def _below(folder, parts):
    """A descriptor of the folder that lies there."""
    here = os.dup(folder)
    try:
        for part in parts:
            there = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = there
        yield here
    finally:
        os.close(here)


def _read_plain(folder, parts, most=FILE_MAX):
    with _below(folder, parts[:-1]) as parent:
        place = os.open(parts[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        status = os.fstat(place)
        if _kind(status) != "file":  # it may have become another since we looked
            raise Unfit(_kind(status))
        if status.st_size > most:
            raise Unfit(f"larger than {most // 1024} KiB")
        # The same file, not whatever has the name by now: proc_pid_fd(5).
        with open(os.open(f"/proc/self/fd/{place}", _FILE), "rb") as file:
            return file.read(most + 1)
    finally:
        os.close(place)


def tree_of_folder(folder, deep=DEPTH_MAX):
    """{parts of the path: Node}, of all that is below a folder, which is an open descriptor."""
    tree, waiting = {}, [()]
    while waiting:
        parts = waiting.pop()
        try:
            with _below(folder, parts) as here, os.scandir(here) as entries:
                for entry in entries:
                    below = (*parts, entry.name)
                    kind = _kind(os.stat(entry.name, dir_fd=here, follow_symlinks=False))
                    tree[below] = Node(kind, functools.partial(_read_plain, folder, below))
                    if kind == "folder" and len(below) < deep and _may_hold_answers(entry.name):
                        waiting.append(below)
                    if len(tree) > ENTRIES_MAX:
                        raise Refused(f"there are more than {ENTRIES_MAX} files in it")
        except OSError as error:
            if not parts:
                raise
            tree[parts] = Node(f"a folder that cannot be read ({error.strerror})")
    return tree


def _may_hold_answers(name):
    return name not in NO_ANSWERS and not name.startswith(".")


# ---- archives ------------------------------------------------------------------------------------

def tree_of_archive(data, name):
    """The same of an archive, which `data` are the bytes of."""
    tree = {}
    for path, kind, read in _members(data, name):
        parts = tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))
        if not parts or ".." in parts or len(parts) > DEPTH_MAX:
            continue
        for length in range(1, len(parts)):
            tree.setdefault(parts[:length], Node("folder"))
        if parts in tree and not kind == tree[parts].kind == "folder":
            kind = "twice in the archive"
        tree[parts] = Node(kind, read)
        if len(tree) > ENTRIES_MAX:
            raise Refused(f"there are more than {ENTRIES_MAX} files in it")
    return tree


def _members(data, name):
    """Of each member: path, kind, and a function that reads it."""
    try:
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(UNPACKED_MAX + 1)
            if len(data) > UNPACKED_MAX:
                raise Refused(f"{name} unpacks to more than {UNPACKED_MAX >> 20} MiB")
        if data[257:262] == b"ustar":
            return list(_tar_members(data))
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            return list(_zip_members(data))
    except Refused:
        raise
    except Exception as error:  # what is damaged raises almost anything
        raise Refused(f"{name} is damaged: {name_of(str(error))}") from None
    raise Refused(f"{name} is no folder, and neither a zip nor a tar or tar.gz")


def _zip_members(data):
    if data.count(b"PK\x01\x02") > ENTRIES_MAX:  # before each of them takes memory
        raise Refused(f"there are more than {ENTRIES_MAX} files in it")
    archive = zipfile.ZipFile(io.BytesIO(data))

    def read(member, most=FILE_MAX):
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unfit("packed in a way that is not taken; zip it as usual")
        if member.flag_bits & 1:
            raise Unfit("encrypted")
        with archive.open(member) as file:
            return file.read(most + 1)

    for member in archive.infolist():
        mode = member.external_attr >> 16
        kind = "folder" if member.is_dir() else "file"
        if mode & (stat.S_ISUID | stat.S_ISGID) and kind == "file":
            kind = "a set-user-ID program"
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        yield member.filename, kind, functools.partial(read, member)


def _tar_members(data):
    archive = tarfile.open(fileobj=io.BytesIO(data), mode="r:")
    seen = 0

    def read(member, most=FILE_MAX):
        return archive.extractfile(member).read(most + 1)

    while (member := archive.next()) is not None:
        seen += 1
        if seen > ENTRIES_MAX:  # or the archive leads in a circle
            raise Refused(f"there are more than {ENTRIES_MAX} files in it")
        kind = ("folder" if member.isdir() else "a link" if member.issym() else
                "a hard link" if member.islnk() else "a pipe" if member.isfifo() else
                "a device" if member.isdev() else "file")
        if kind == "file" and (member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE)
                               or member.issparse()):
            kind = "no plain file"
        if kind == "file" and member.mode & (stat.S_ISUID | stat.S_ISGID):
            kind = "a set-user-ID program"
        yield member.name, kind, functools.partial(read, member)


# ---- where the answers are -----------------------------------------------------------------------

def _usable(tree, parts, known):
    """Whether exercises may lie in this folder: one that is there, and neither of another kind nor
    in an exercise."""
    return all(_may_hold_answers(part) and part not in known for part in parts) and \
        all(tree[parts[:length]].kind == "folder" for length in range(1, len(parts) + 1))


def _path(parts):
    return name_of("/".join(parts) or ".")


def _one_of(homes, what):
    """The folder that lies highest; exercises/ before others."""
    highest = [parts for parts in homes if len(parts) == min(map(len, homes))]
    called_so = [parts for parts in highest if parts and parts[-1] == "exercises"]
    if len(called_so or highest) > 1:
        raise Refused(f"{what} lie in several folders, of which one should be handed in: "
                      + ", ".join(sorted(map(_path, highest))[:4]))
    return (called_so or highest)[0]


def _find(tree, exercises, known):
    """{name of an exercise: the folder in the tree that has its files}."""
    names = {exercise.name for exercise in exercises}
    homes = {parts[:-1] for parts in tree if parts[-1] in names
             and _usable(tree, parts[:-1], known)}
    if homes:
        home = _one_of(homes, "exercises")
        return {name: (*home, name) for name in names if (*home, name) in tree}
    files = {name: exercise for exercise in exercises for name in exercise.files()}
    flat = {parts[:-1] for parts, node in tree.items()
            if parts[-1] in files and node.kind != "folder" and _usable(tree, parts[:-1], known)}
    if flat and len(exercises) == 1:
        return {exercises[0].name: _one_of(flat, f"files of {exercises[0].name}")}
    expected = (f"Expected: folders such as {exercises[0].name}, with the files of the exercise in "
                "them")
    if flat:
        file = next(parts[-1] for parts in tree if parts[-1] in files and parts[:-1] in flat)
        raise Refused(f"of which exercise {name_of(file)} is cannot be told. {expected}; or grade "
                      f"one exercise alone, with EXERCISES={exercises[0].number}")
    links = [_path(parts) for parts, node in tree.items() if node.kind == "a link"]
    raise Refused(f"there is no exercise in it. {expected}." + (
        f" Links are not followed: {', '.join(sorted(links)[:4])}" if links else ""))


def _answer(tree, folder, exercise, shown):
    """The answer that lies in a folder of the tree."""
    if folder and tree[folder].kind != "folder":
        return Answer(problem=f"{_path(folder)} is no folder ({tree[folder].kind})", shown=shown)
    inside = {parts[-1]: node for parts, node in sorted(tree.items()) if parts[:-1] == folder
              and not course.TEXT.fullmatch(parts[-1]) and not parts[-1].startswith(".")}
    needed = exercise.files()
    for name in needed:
        if name in inside and inside[name].kind != "file":
            return Answer(problem=f"{name} is no file ({inside[name].kind})", shown=shown)
    plain = {name: node for name, node in inside.items() if node.kind == "file" and _writable(name)}
    if len(plain) > FILES_MAX:
        return Answer(problem=f"there are more than {FILES_MAX} files", shown=shown)
    files = {}
    for name, node in plain.items():
        try:
            files[name] = node.read()
            if len(files[name]) > FILE_MAX:
                raise Unfit(f"larger than {FILE_MAX // 1024} KiB")
        except Unfit as reason:
            return Answer(problem=f"{name_of(name)} is {reason}", shown=shown)
        except Exception as error:  # of unpacking: there are many kinds
            return Answer(problem=f"{name_of(name)} cannot be read: {name_of(str(error))}",
                          shown=shown)
    return Answer(files, "", shown)


def _writable(name):
    """Whether a file can be called so at all; an archive's may be called anything."""
    try:
        return "\0" not in name and len(os.fsencode(name)) <= 200
    except UnicodeError:
        return False


# ---- to be called --------------------------------------------------------------------------------

def folder_of(path, exercise, shown):
    """The answer in the folder of one exercise."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return Answer(problem=f"there is no folder {exercise.name}", shown=shown)
    with _closing(folder):
        return _answer(tree_of_folder(folder, 1), (), exercise, shown)


def submission(path, exercises, known, shown=""):
    """{name: Answer} of what somebody handed in: of those of `exercises` that are in it.

    `known` are the names of all exercises there are. Raises Refused; course.Mistake when there is
    nothing there.
    """
    path = pathlib.Path(path)
    try:
        place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise course.Mistake(f"{name_of(str(path))}: not there") from None
        raise Refused(f"{name_of(path.name)} cannot be read: {error.strerror}") from None
    try:
        kind = _kind(os.fstat(place))
        if kind not in ("folder", "file"):
            raise Refused(f"{name_of(path.name)} is {kind}, and neither a folder nor an archive")
        try:
            handle = os.open(f"/proc/self/fd/{place}", _FILE)
        except OSError as error:
            raise Refused(f"{name_of(path.name)} cannot be read: {error.strerror}") from None
    finally:
        os.close(place)
    with open(handle, "rb") if kind == "file" else _closing(handle) as opened:
        if kind == "folder":
            tree = tree_of_folder(handle)
        else:
            tree = tree_of_archive(_archive(opened.read), name_of(path.name))
        return taken(tree, exercises, known, shown)


@contextlib.contextmanager
def _closing(descriptor):
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _archive(read):
    data = read(ARCHIVE_MAX + 1)
    if len(data) > ARCHIVE_MAX:
        raise Refused(f"the archive is larger than {ARCHIVE_MAX >> 20} MiB")
    return data


def taken(tree, exercises, known, shown="", nested=False):
    """The same, of a tree."""
    archives = [parts for parts, node in tree.items()
                if node.kind == "file" and parts[-1].lower().endswith(ARCHIVES)
                and _usable(tree, parts[:-1], known)]
    try:
        places = _find(tree, exercises, known)
    except Refused:
        # A platform's folder in which what was uploaded lies as it was.
        if nested or len(archives) != 1:
            raise
        inner = tree_of_archive(_archive_in(tree[archives[0]]), name_of(archives[0][-1]))
        return taken(inner, exercises, known, shown, nested=True)
    answers, size = {}, 0
    for exercise in exercises:
        if exercise.name in places:
            answer = _answer(tree, places[exercise.name], exercise, f"{shown}{exercise.name}/")
            answers[exercise.name] = answer
            size += sum(map(len, answer.files.values()))
            if size > TAKEN_MAX:
                raise Refused(f"it holds more than {TAKEN_MAX >> 20} MiB")
    return answers


def _archive_in(node):
    try:
        data = node.read(ARCHIVE_MAX)
    except Unfit as reason:
        raise Refused(f"the archive in it is {reason}") from None
    except Exception as error:
        raise Refused(f"the archive in it cannot be read: {name_of(str(error))}") from None
    return _archive(lambda most: data[:most])


def digest(answers):
    """One number for all that was taken."""
    lines = [f"{name} {answer.digest()}\n" for name, answer in sorted(answers.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
