"""15 points, 60 minutes: no way out of the folder"""
from web import *  # noqa: F403

LOOK = "how is the path resolved, and by whom? Text that is checked first and opened then is not " \
       "the same path: openat2(2), RESOLVE_BENEATH"

begin()
step("start the server with a secret beside its folder")
with site(workers=1) as (folder, server):
    (folder.root / "link.txt").symlink_to(folder.outside / "secret.txt")
    (folder.root / "near.txt").symlink_to("../outside/secret.txt")
    (folder.root / "door").symlink_to("../outside")
    os.mkfifo(folder.root / "fifo.txt")
    absolute = str(folder.outside / "secret.txt")
    ways = {
        "..": "/../outside/secret.txt",
        ".. in a folder": f"/{folder.sub}/../../outside/secret.txt",
        "%2e%2e": "/%2e%2e/outside/secret.txt",
        "%2E.": f"/{folder.sub}/%2E./.%2e/outside/secret.txt",
        "%2f": "/..%2foutside%2Fsecret.txt",
        "two slashes": "/" + absolute,
        "an encoded slash": "/%2f" + absolute[1:],
        "a host": f"http://localhost/..{absolute}",
        "a symbolic link": "/link.txt",
        "a relative symbolic link": "/near.txt",
        "a symbolic link to a folder": "/door/secret.txt",
    }
    for way, target in ways.items():
        step(f"try to get out by {way}", LOOK)
        with Client(server) as client:
            reply = client.ask(target)
        expect(folder.secret not in reply.body, "no file from outside the folder",
               f"GET {target} brought the secret")
        expect(400 <= reply.status < 500, f"a status of 400 to 499 for {target}", str(reply))

    step("ask for files whose names have dots in them",
         "\"..\" is a part of a path only where it is all of it")
    for path in (f"..{name()}.txt", f"{name(3)}..{name(3)}.txt", f"{folder.sub}/...{name()}.txt"):
        content = random.randbytes(100)
        target = folder.add(path, content)
        with Client(server) as client:
            client.expect_file(target, content)

    step("put a NUL into a name",
         "%00 ends a path for open(2), and for nobody else: no such name can be")
    file = next(target for target in folder.files if target.endswith(".txt"))
    with Client(server) as client:
        reply = client.ask(file + "%00.png")
        expect(reply.status in (400, 404), f"400 or 404 for {file}%00.png", str(reply))
    for target in ("/%", "/%4", "/%zz"):
        with Client(server) as client:
            reply = client.ask(target)
            expect(reply.status in (400, 404), f"400 or 404 for {target}", str(reply))

    step(
        "ask for a FIFO",
        "open(2) of a FIFO waits for a writer: O_NONBLOCK; and only what S_ISREG is a file to send")
    with Client(server) as client:
        reply = client.ask("/fifo.txt")
        expect(reply.status in (403, 404), "403 or 404 for what is no file", str(reply))
passed()
