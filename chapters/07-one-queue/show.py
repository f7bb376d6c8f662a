"""What chapter 7 shows: one queue for all workers."""
import plots
from comparison import compare

TITLE = "One queue for all workers"
QUESTION = ("Can a master keep its knowledge, and pay less for it? And what can a hand-over not do "
            "without?")
ROLES = ("supervisor", "worker {}", "acceptor")
COMPARED = True
PLOTS = plots.latency("cpu")


def measure(name):
    """Connections that travel in three ways, beside those that are handed over and accepted."""
    compare(name, ["04", "06", "07", "07-epoll", "07-pidfd"], [1, 8, 32], 3, 1)
