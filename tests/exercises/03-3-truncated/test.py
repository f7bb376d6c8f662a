"""Compares fifty files with room for all of them, and with room for fewer."""
from lesson import *

LOOK = "twins.c, where the opener's answer is received: what does recvmsg say when a descriptor was sent, and none " \
       "came? msg_flags in recvmsg(2)"
CALLER = "twins.c, compare and ask_for: receive_file returns -1, with the reason in errno. Who says it, for which " \
         "file, and what comes after that?"

begin()
folder = tempfile.TemporaryDirectory()
NAMES = [f"{number:02}" for number in range(1, 51)]
ONE, OTHER = sorted(random.sample(NAMES[:15], 2))
for name in NAMES:
    pathlib.Path(folder.name, name).write_text("the same" if name in (ONE, OTHER) else name)
TRUE = f"{ONE} and {OTHER} are the same\n"
OPENER = "twins.c: who opens the files? The comparer asks for them over the channel"


def twins(*names, files=128, keep=()):
    """Runs the program with a limit of descriptors, and with those in `keep` open from the start; gives it when it has
    ended."""
    with Attached("twins", *names, files=files, keep=keep, cwd=folder.name) as program:
        expect(program.wait() is not None, "twins to come to its end", lambda:
               f"it {program.how_it_ended()}", "twins.c: what does each of the two processes wait "
               "for?")
        return program.status(), program.out(), program.err(), program.how_it_ended()


step(f"compare 50 files, of which {ONE} and {OTHER} are the same")
status, out, err, how = twins(*NAMES)
expect((status, out, err) == (0, TRUE, ""), "twins to say just that, and exit status 0",
       f"it {how}", OPENER)



def expect_reason(status, out, err, how, first):
    """Expects that twins has said why it has not received file `first`, and nothing else."""
    reason, says = "Too many open files", f"twins: {first}: Too many open files"
    expect("are the same" not in out.replace(TRUE, ""), "no file to be called the same as one that is different",
           f"it {how}", LOOK)
    if reason not in err and reason in out:
        fail(f"the reason on stderr: \"{says}\"", f"it said that on stdout: {out.strip().splitlines()[-1]}",
             "twins.c: which stream is for what goes wrong? stderr(3), err(3)")
    expect(reason in err, f"the reason on stderr: \"{says}\"", f"it {how}", LOOK if not err else
           "twins.c, where the opener's answer is received: recvmsg has not failed, so who sets errno, and to what? "
           "EMFILE in errno(3)" if f"{first}: " in err else CALLER)
    expect(status == 1, "exit status 1", f"it {how}", CALLER)
    # Who says another file's name has not looked at what came for this one.
    expect(re.search(rf"\b{first}: ", err), f"the name of the file: \"{says}\"", f"it {how}",
           LOOK if re.search(r"\b\d\d: ", err) else CALLER)
    expect(out == "" and len(re.findall("^twins: ", err, re.MULTILINE)) == 1,
           "nothing else, since not all files were compared", f"it {how}", CALLER)


OPEN = [open(os.devnull, "rb") for _ in range(random.randint(1, 4))]  # pylint: disable=consider-using-with
LIMIT = random.randint(24, 45)
FIRST = NAMES[LIMIT - 4 - len(OPEN)]  # 0, 1, 2 and the channel are open, too
step(f"do the same with {len(OPEN)} descriptor{'s' if len(OPEN) > 1 else ''} open from the start and a limit of "
     f"{LIMIT}, which is reached when {FIRST} is asked for")
status, out, err, how = twins(*NAMES, files=LIMIT, keep=OPEN)
if (status, out, err) == (0, TRUE, ""):  # it holds fewer open
    step("compare 49 and 50, which are different, with a limit of 5 descriptors: there is room for one file")
    expect_reason(*twins("49", "50", files=5), "50")
else:
    expect_reason(status, out, err, how, FIRST)

step("do the same with a limit of 54 descriptors, which is just enough")
status, out, err, how = twins(*NAMES, files=54)
expect((status, out) == (0, TRUE), f"twins to say that {ONE} and {OTHER} are the same", f"it {how}",
       "twins.c: is there a descriptor open that is not needed?")

step("ask for a named pipe that nobody writes to, so that whoever opens it waits; then kill the child")
os.mkfifo(os.path.join(folder.name, "pipe"))
with Attached("twins", ONE, "pipe", cwd=folder.name) as program:
    wait_until(lambda: program.status() is not None or
               children_of(program.pid) and asleep(program.pid, *children_of(program.pid)))
    opener = children_of(program.pid)
    expect(len(opener) == 1, "a child that opens the files", lambda: f"there are {len(opener)}; twins "
           f"{program.how_it_ended()}", OPENER)
    kill(*opener)
    wait_until(lambda: program.status() is not None or asleep(program.pid))
    expect(program.status() is not None, "twins to end, since the process is dead that opens the files",
           "it waits for the pipe: the comparer opens files itself", OPENER)
    expect(program.status() == 1, "exit status 1", f"it {program.how_it_ended()}", OPENER)

step("ask for a file that is not there")
status, out, err, how = twins("01", "nowhere", "02")
expect(status == 1 and out == "" and "nowhere: No such file or directory" in err,
       "twins to say \"twins: nowhere: No such file or directory\", and exit status 1", f"it {how}",
       "twins.c, where the opener's answer is received: with an error comes no descriptor. What is looked at first?")
passed()
