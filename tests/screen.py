"""Runs a command on a pseudo-terminal, and looks at what it prints as a terminal would."""
import fcntl
import os
import pty
import re
import struct
import termios
import unicodedata

# What is printed besides text: colours, "erase the rest of the line", "erase all", "to the top", a
# screen of one's own and the cursor, and the names of links that compilers write.
TOKEN = re.compile(r"\x1b\[[\d;]*[mKJH]|\x1b\[\?\d+[hl]|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)|[\s\S]")


class Screen:
    """The lines that have been printed, as they were at last; and those that did not fit, as they
    were then: the terminal goes on with them in its next line.
    """

    def __init__(self, text, columns):
        self.columns, self.lines, self.wrapped = columns, [], []
        self.line, self.column, self.over = [], 0, False
        for token in TOKEN.findall(text):
            if token.isprintable():
                self.put(token)
            else:
                self.control(token)
        self.control("\n")

    def put(self, letter):
        if unicodedata.combining(letter):
            return
        width = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        self.line += " " * (self.column + width - len(self.line))
        self.line[self.column:self.column + width] = [letter] + [""] * (width - 1)
        self.column += width
        self.over = self.over or self.column > self.columns

    def control(self, token):
        kind = token[-1]
        if token == "\t":
            self.column = (self.column // 8 + 1) * 8
        elif token == "\b":
            self.column = max(self.column - 1, 0)
        elif token in "\r\n" or kind in "KJH" and token[0] == "\x1b":
            if self.over:
                self.wrapped.append("".join(self.line))
            self.over = False
            if token == "\r":
                self.column = 0
            elif kind == "K":
                del self.line[self.column:]
            else:
                self.lines.append("".join(self.line).rstrip())
                self.line, self.column = [], 0
        elif not (token.startswith("\x1b") and len(token) > 1):
            raise ValueError(f"{token!r} behind {''.join(self.line)!r}: what is a terminal to do?")


def start(command, columns, lines=24, **changes):
    """Starts a command on a terminal of its own. Gives its number, and our end of the terminal.

    CHANGES are variables of its environment; None takes one away.
    """
    child, terminal = pty.fork()
    if child == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            changed = os.environ | {"TERM": "xterm", "COLUMNS": None} | changes
            environment = {name: value for name, value in changed.items() if value is not None}
            os.execvpe(command[0], command, environment)
        finally:
            os._exit(127)
    return child, terminal


def run(command, columns, **changes):
    """Runs a command on a terminal of so many columns, as start does. Gives its status and the Screen."""
    child, terminal = start(command, columns, **changes)
    written = b""
    try:
        while True:
            try:
                some = os.read(terminal, 65536)
            except OSError:  # all have closed it
                some = b""
            if not some:
                break
            written += some
    finally:
        os.close(terminal)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), Screen(written.decode(errors="replace"), columns)
