"""Who holds which descriptor: the tables of processes, read from /proc and named in the course's terms."""
import contextlib
import os
import pathlib
import re
import socket
import subprocess

import program
import terminal


def descriptors(pid):
    """What each descriptor of a process refers to, as the kernel writes it: {3: "socket:[4711]"}.

    Nothing when the process has gone.
    """
    table = {}
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for number in os.listdir(folder):
            with contextlib.suppress(OSError):  # closed meanwhile
                table[int(number)] = os.readlink(f"{folder}/{number}")
    return dict(sorted(table.items()))


def _address(text):
    """An address of /proc/net/tcp: 32-bit words in the byte order of the machine."""
    host, port = text.split(":")
    words = [int(host[i:i + 8], 16).to_bytes(4, "little") for i in range(0, len(host), 8)]
    if len(words) == 1:
        return f"{socket.inet_ntop(socket.AF_INET, words[0])}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, b''.join(words))}]:{int(port, 16)}"


def tcp_sockets(pid):
    """By inode, what a TCP socket is. Those of the network namespace of the process; none when it has gone."""
    found = {}
    with contextlib.suppress(OSError):
        for name in "tcp", "tcp6":
            for line in pathlib.Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                _, local, remote, state, rest = line.split(None, 4)
                if state == "0A":
                    found[rest.split()[5]] = f"listener {_address(local)}"
                elif state != "06":  # TIME_WAIT: nobody's any more, and under load there are ten thousands of them
                    found[rest.split()[5]] = f"connection of client {_address(remote)}"
    return found


def unix_peers():
    """By inode, the inode at the other end of a Unix-domain socket (ss, from iproute2, knows it)."""
    listing = subprocess.run(["ss", "-xanH"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(re.findall(r" (\d+) +\S+ (\d+) *$", listing, re.M))


def _by_pidfd(processes, name, number):
    """Which process a pidfd of the process NAME stands for: pidfd_open(2), "nobody" that lives."""
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/proc/{processes[name]}/fdinfo/{number}").read_text()
        pid = int(re.search(r"^Pid:\s*(-?\d+)", text, re.M)[1])
        return next((who for who, each in processes.items() if each == pid), "nobody")
    return "nobody"


def named(processes):
    """Rows (process, descriptor, what it is) for processes given as {"master": pid, ...}."""
    tables = {name: descriptors(pid) for name, pid in processes.items()}
    tcp = tcp_sockets(next(iter(processes.values())))
    peers = unix_peers()
    holders = {}
    for name, table in tables.items():
        for target in table.values():
            holders.setdefault(target, []).append(name)

    def what(name, number, target):
        inode = re.fullmatch(r"socket:\[(\d+)\]", target)
        if inode and inode[1] in tcp:
            return tcp[inode[1]]
        if inode and inode[1] in peers:
            others = holders.get(f"socket:[{peers[inode[1]]}]", [])
            others = list(dict.fromkeys(other for other in others if other != name)) or others[:1]
            return "channel to " + (others[0] if len(others) == 1 else "nobody" if not others else " and ".join(others))
        if "pidfd" in target:
            return f"pidfd of {_by_pidfd(processes, name, number)}"
        for kind, name_of_it in (("signalfd", "signals"), ("eventpoll", "epoll instance")):
            if kind in target:
                return name_of_it
        return target

    return [(name, number, what(name, number, target))
            for name, table in tables.items() for number, target in table.items() if number > 2 or "socket:" in target]


@contextlib.contextmanager
def looked_at(command):
    """Runs a program that is to be looked at, and ends it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        program.end(process)


def show(processes, title):
    """Prints the tables; descriptors 0 to 2 only where they are sockets."""
    print(terminal.wrapped(title))
    last = None
    for name, number, what in named(processes):
        print(terminal.folded(f"  {name if name != last else '':<10}{number:>4}  {what}", " " * 20))
        last = name
    print()
