"""The servers of the chapters, and the floors: which there are, and what starts them."""
import paths

# How the designs are called in tables and plots. The numbers are those of `servers` in the Makefile.
NAMES = {
    "01": "1 fork per connection",
    "04": "4 prefork, select",
    "05": "5 exec workers",
    "05-python": "5 with worker.py",
    "accept": "accept floor",
    "reuseport": "reuseport floor",
    "apache": "Apache prefork",
    "xinetd": "xinetd",
    "socat": "socat",
}
SERVERS = tuple(name for name in NAMES if name[0].isdigit())
COMPARED = ("01", "04", "05")  # side by side in compare, peers, cost, growth and knee
FLOORS = ("accept", "reuseport")


def chapter(number):
    """The folder of a chapter: chapters/04-prefork-select for "04"."""
    return next((paths.ROOT / "chapters").glob(number[:2] + "-*")).relative_to(paths.ROOT)


def command(name):
    """What starts a chapter's server, or a floor."""
    if name in FLOORS:
        return [str(paths.BUILD / "common/peers" / name)]
    words = [str(paths.BUILD / chapter(name) / "server")]
    if name.endswith("-python"):
        words += ["-w", str(paths.ROOT / chapter(name) / "worker.py")]
    return words
