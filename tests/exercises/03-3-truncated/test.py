"""Compares fifty files with room for all of them, and with room for fewer."""
from lesson import *

LOOK = "twins.c, where the opener's answer is received: what does recvmsg say when a descriptor was sent, and none " \
       "came? msg_flags in recvmsg(2)"

begin()
folder = tempfile.TemporaryDirectory()
NAMES = [f"{number:02}" for number in range(1, 51)]
ONE, OTHER = sorted(random.sample(NAMES[:15], 2))
for name in NAMES:
    pathlib.Path(folder.name, name).write_text("the same" if name in (ONE, OTHER) else name)
TRUE = f"{ONE} and {OTHER} are the same\n"
OPENER = "twins.c: who opens the files? The comparer asks for them over the channel"


def twins(*names, files=128):
    """Runs the program with a limit of descriptors; gives it when it has ended."""
    with Attached("twins", *names, files=files, cwd=folder.name) as program:
        expect(program.wait() is not None, "twins to come to its end", lambda:
               f"it {program.how_it_ended()}", "twins.c: what does each of the two processes wait "
               "for?")
        return program.status(), program.out(), program.err(), program.how_it_ended()


step(f"compare 50 files, of which {ONE} and {OTHER} are the same")
status, out, err, how = twins(*NAMES)
expect((status, out, err) == (0, TRUE, ""), "twins to say just that, and exit status 0",
       f"it {how}", OPENER)

LIMIT = random.randint(20, 45)
FIRST = NAMES[LIMIT - 4]  # 0, 1, 2 and the channel are open, too
REASON = f"twins: {FIRST}: Too many open files"
step(f"do the same with a limit of {LIMIT} descriptors, which is reached when {FIRST} is asked for")
status, out, err, how = twins(*NAMES, files=LIMIT)
expect(out in ("", TRUE), "no file to be called the same as one that is different", f"it {how}", LOOK)
expect("Too many open files" in err, f"the reason: \"{REASON}\"", f"it {how}", LOOK)
expect(status == 1, "exit status 1", f"it {how}", LOOK)
expect(re.search(rf"\b{FIRST}: ", err), f"the name of the file: \"{REASON}\"", f"it {how}", LOOK)
expect(out == "", "nothing else, since not all files were compared", f"it {how}", LOOK)

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
       "twins.c: the error that the opener sends")
passed()
