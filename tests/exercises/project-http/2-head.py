"""10 points, 60 minutes: HEAD, and what is not there or not allowed"""
from web import *  # noqa: F403

begin()
step("start the server")
with site() as (folder, server):
    step(
        "ask with HEAD, and then with GET, on the same connection",
        "a reply to HEAD has the head that GET would get, Content-Length too, and no byte behind "
        "it: RFC 9110, 9.3.2"
    )
    for target, content in folder.files.items():
        with Client(server) as client:
            reply = client.ask(target, head=True)
            expect(reply.status == 200, f"200 for HEAD {target}", str(reply))
            expect(
                int(reply.fields["content-length"]) == len(content),
                f"Content-Length: {len(content)}, of the file",
                f"it is {reply.fields['content-length']}")
            client.expect_file(target, content)
    ran = program("curl", "-sSI", "--max-time", PATIENCE, url(server, target))
    expect(ran.returncode == 0 and "200" in ran.text.split("\n")[0], "curl -I to get a head",
           ran.text.strip()[:200])

    step("ask for what is not there",
         "open(2): ENOENT, ENOTDIR and the like are 404, and the connection goes on")
    file = next(target for target in folder.files if target.endswith(".png"))
    for target in (f"/{name()}.html", f"/{name()}/", f"{file}/{name()}", f"/{name(600)}"):
        with Client(server) as client:
            for head in (False, True):
                reply = client.ask(target, head=head)
                expect(reply.status == 404, f"404 for {target[:40]}, which is not there",
                       str(reply))

    step("ask with methods that change something",
         "405, with an Allow field that lists GET and HEAD: RFC 9110, 15.5.6")
    target, content = folder.one()
    with Client(server) as client:
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
            reply = client.ask(target, method=method)
            expect(reply.status == 405, f"405 for {method}", str(reply))
            allowed = sorted(word.strip() for word in reply.fields.get("allow", "").split(","))
            expect(allowed == ["GET", "HEAD"], "Allow: GET, HEAD",
                   f"it is \"{reply.fields.get('allow', '')}\"")
        client.expect_file(target, content)
    expect((folder.root / target[1:]).read_bytes() == content, "the file as it was",
           "it is another")
passed()
