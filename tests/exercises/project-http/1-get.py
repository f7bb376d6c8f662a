"""10 points, 120 minutes: GET brings a file"""
from web import *  # noqa: F403

LOOK = "where the target becomes a path, and the file is sent: send(2) and sendfile(2) may take " \
       "less than they are given"

begin()
step("start the server on a folder with files of random names and sizes")
with site() as (folder, server):
    step("ask curl for each of the files, and compare", LOOK)
    for target, content in folder.files.items():
        with tempfile.NamedTemporaryFile() as body:
            ran = program("curl", "-sS", "-o", body.name, "-w", "%{http_code} %{content_type}",
                          "--max-time", PATIENCE, url(server, target))
            expect(ran.returncode == 0, f"curl to get {target}",
                   f"curl says: {ran.stderr.decode().strip()[:200]}")
            status, _, kind = ran.stdout.decode().partition(" ")
            expect(status == "200", f"200 for {target}, which is there", f"the reply was {status}")
            expect(
                pathlib.Path(body.name).read_bytes() == content,
                f"the {len(content)} bytes of {target}",
                f"{os.path.getsize(body.name)} bytes came, and not the same")
            suffix = target.rpartition(".")[2]
            expect(
                kind.split(";")[0].strip().lower() == TYPES[suffix],
                f"Content-Type: {TYPES[suffix]} for {target}", f"it is \"{kind}\"",
                "a table of suffixes and media types: RFC 9110, 8.3")

    step("ask for a folder, with its slash",
         "a path that is empty, or ends in a slash, means index.html there")
    for target in ("/", f"/{folder.sub}/"):
        with Client(server) as client:
            client.expect_file(target, folder.files[target + "index.html"])

    step("ask for names with blanks and other letters, percent-encoded", "RFC 3986, 2.1")
    odd = f"{name(4)} {name(3)}%{name(2)}ü.txt"
    content = random.randbytes(500)
    folder.add(odd, content)
    encoded = "".join(f"%{byte:02{random.choice('xX')}}" if random.random() < 0.3
                      or not chr(byte).isalnum() or byte > 126 else chr(byte)
                      for byte in odd.encode())
    with Client(server) as client:
        client.expect_file("/" + encoded, content)
    step("ask for a file with a query behind its name",
         "what stands behind the first '?' is not of the path")
    target, content = folder.one()
    with Client(server) as client:
        client.expect_file(f"{target}?{name()}=/{name()}", content)
    step("ask as a proxy is asked, with http://host before the path", "RFC 9112, 3.2.2")
    with Client(server) as client:
        client.expect_file(f"http://localhost{target}", content)

    step("ask for an empty file, and for one of 8 MiB", LOOK)
    for content in (b"", random.randbytes(LARGE)):
        target = folder.add(f"{name()}.txt", content)
        with Client(server) as client:
            client.expect_file(target, content)
passed()
