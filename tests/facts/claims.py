#!/usr/bin/env python3
"""claims.py [FILE ...]: what texts claim about the system, and what shows it does not stand there.

A sentence makes a claim when something of the system is its subject (the kernel, a call, an option
or an error, another program), when a call "fails with" an error, or when it names a version or a
year. Its paragraph must say where that comes from; of a table the row, of a deck the slide, of a
header the comment:

    an experiment   fact: NAME, or make fact-NAME
    a source        select(2), RFC 9293, section 30.9, net/core/scm.c, commit 03e3de416ed7, an
                    address of the web; in <!-- source: ... --> where it disturbs the text
    a measurement   make cost and the like, or a plot
"""
import ctypes
import ctypes.util
import errno
import functools
import pathlib
import re
import subprocess
import sys

import experiment

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBC = ctypes.CDLL(ctypes.util.find_library("c"))

# ---- what a claim is -----------------------------------------------------------------------------

SYSTEM = r"""kernel|scheduler|TCP|UDP|POSIX|glibc|musl|C\ library|C\ standard|compiler|GCC|Clang
    |Linux|\w*BSD|macOS|Solaris|Windows|Unix|Debian|Ubuntu|Fedora|Alpine|Android
    |pipe|socketpair|datagram|control\ message|blocking\ socket|zombie|memfd|pidfd|signalfd
    |namespace|page\ tables?|exec|stream|epoll|io_uring|futex|cgroup|inode
    |nginx|Apache|lighttpd|Caddy|HAProxy|Envoy|Varnish|Squid|php-fpm|PHP|mod_\w+|FastCGI|gunicorn
    |uWSGI|Unicorn|Puma|OpenSSH|sshd|Postfix|qmail|sendmail|PostgreSQL|MySQL|Redis|memcached
    |systemd|x?inetd|s6|runit|Docker|Kubernetes|bwrap|setpriv|socat|gdb|strace|valgrind|bash
    |Node(?:\.js)?|Rust|Java|Erlang|Python|Ruby|[Bb]rowsers?|Chrom\w+|Wayland|Google|Stevens"""
ERROR = "|".join(errno.errorcode.values()) + "|SIG(?!TERM|INT)[A-Z]{2,}"
CONSTANT = (r"(?:SO|MSG|SCM|SOCK|PR|CAP|CLONE|RLIMIT|TCP|SA|AF|F|FD|O|SFD|EPOLL|IP|IPV6|SCHED|CMSG"
            rf"|MADV|MAP|SECCOMP)_[A-Z_]+|POLL[A-Z]+|WNOHANG|SOMAXCONN|{ERROR}")
VERB = (r"(?!(?:its|this|his|as|less|always|afterwards|calls|programs|processes|sockets|connections"
        r"|clients|workers)\b)(?:\w*[^\Wsu]s|\w+sses|\w+ed|may|cannot|can|must|would|will|had|did"
        r"|have|are|were|never|not|neither|only|also|itself)\b")
SUBJECT = re.compile(rf"(?<![\w/.-])(?:(?:{SYSTEM}|{CONSTANT})`?(?:'s\b|\ {VERB})"
                     rf"|(?P<call>`?\b_?[a-z][a-z0-9_]+)(?:\([^`]*)?`?\ {VERB})", re.X)
NO_SUBJECT = re.compile(r"\b(?:an?|the|this|that|its|his|their|our|your|each|no|one|of|and|in|to"
                        r"|what)\s+$", re.I)
OTHERS = re.compile(rf"""\b(?:on|under|over|as|asks|tells)\ (?:the\ )?(?=kernel|[A-Z])(?:{SYSTEM})\b
    |\b(?:fails?\ with|gives?|gets?|raises|returns?|says?)\ `?(?:{ERROR})\b
    |\b(?:in|since|of|from|until|by|before|after|[A-Z][a-z]+)\ (?:19[6-9]\d|20[0-4]\d)\b(?!\ \w+s\b)
    |\b(?:[Ss]ince|before|until|up\ to)\ \d+\.\d|\b(?:{SYSTEM})\ \d[\d.]*(?![\d.]|\ or\ )""", re.X)


def claims(sentence, bare):
    """What makes it one, if anything; BARE where names of calls stand without backticks."""
    for found in SUBJECT.finditer(sentence):
        call = found["call"]
        if not call or ((bare or call[0] == "`") and hasattr(LIBC, call.lstrip("`"))
                        and not NO_SUBJECT.search(sentence[:found.start()])):
            return found[0]
    found = OTHERS.search(sentence)
    return found and found[0]


# ---- what stands behind it -----------------------------------------------------------------------

FACT = re.compile(r"\b(?:fact: |make fact-)\**([a-z][\w-]+)")
PATH = re.compile(r"(?<![\w/.])(?<!\]\()(\w[\w.-]*/[\w./-]*\.(?:c|h|cc|js|py|go|rs|rst))\b")
SOURCE = re.compile(r"\b[a-z_][\w.-]*\(\d\)|\bRFC\s\d+|\b[Ss]ections?\s[A-Z]?\d|\bPEP\s\d+"
                    r"|https?://|\]\[\w+\]|\bcommit\s+[0-9a-f]{7,}\b"
                    r"|\bmake (?:compare|peers|cost|growth|knee|omission|accuracy)\b|\.svg\)")


@functools.cache
def ours():
    return subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]


def shown(paragraph):
    """Whether any of these stands in it; a file of this project is no source."""
    return (SOURCE.search(paragraph)
            or any(name in experiment.FACTS for name in FACT.findall(paragraph))
            or any(not any(name.endswith(path) for name in ours())
                   for path in PATH.findall(paragraph)))


# ---- the texts -----------------------------------------------------------------------------------

def paragraphs(path):
    """Each with where it begins."""
    text = path.read_text()
    if path.suffix == ".h":
        return [(found.start(), re.sub(r"^ \* ?", "", found[0][2:-2], flags=re.M))
                for found in re.finditer(r"/\*.*?\*/", text, re.S)]
    code = (r"^```.*?^```$|^ {4}.*?$|\A---\n.*?^---$"
            r"|<!-- (?:_|excerpt|sketch).*?-->")
    text = re.sub(code, lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.M | re.S)
    border = r"\n---\n" if path.parent.name == "slides" else r"\n[ ]*\n|\n(?=\s*(?:[-*]|\d+\.) |\|)"
    borders = [0, *(found.start() for found in re.finditer(border, text)), len(text)]
    return [(start, text[start:end]) for start, end in zip(borders, borders[1:])]


def sentences(paragraph):
    marks = r"<!-- \w+: .*?-->|!\[[^]]*\]\S*|^\[[^\]]+\]: .*$|\*|<br/?>"
    link = r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])"
    end = r"(?<=[.:;!?])[\s)]+(?=\W*[A-Za-z_])|\n\s*\n|\n(?=\s*[-#|] ?)|\|"
    for sentence in re.split(end, re.sub(link, r"\1", re.sub(marks, "", paragraph, flags=re.M))):
        yield " ".join(sentence.split())


def unshown(path):
    """The claims of a file with nothing behind them, as lines."""
    for start, paragraph in paragraphs(path):
        if shown(paragraph):
            continue
        line = path.read_text().count("\n", 0, start + len(paragraph) - len(paragraph.lstrip())) + 1
        for sentence in sentences(paragraph):
            if why := claims(sentence, bare=path.suffix == ".h" or path.parent.name == "slides"):
                yield f"{path.relative_to(ROOT)}:{line}: \"{why}\" in: {sentence}"


def texts():
    return [ROOT / name for name in ours() if name.endswith((".md", ".h"))
            and not name.startswith(("tests/", ".")) and name != "chapters/facts.md"
            and not re.search(r"\.\w\w\.md$", name)]  # README.ko.md claims what README.md does


def main():
    files = [pathlib.Path(name).resolve() for name in sys.argv[1:]] or texts()
    found = [line for path in files for line in unshown(path)]
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    import facts  # noqa: F401  pylint: disable=unused-import # brings the experiments
    main()
