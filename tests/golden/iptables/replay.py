"""A box that has tables and nothing else, and the reader of recorded sessions (see README.md beside this file)."""

from pathlib import Path
from random import Random

from netsim.shell import dispatch
from netsim.shell.tool import CommandResult
from netsim.stack.netfilter.hooks import Services
from netsim.stack.netfilter.tables import Tables
from netsim.stack.outbox import Outbox
from netsim.stack.profile import profile


class CountingConntrack:
    def __init__(self):
        self.users = 0

    def get(self):
        self.users += 1

    def put(self):
        self.users -= 1


class TablesBox:
    def __init__(self, kernel="linux-6"):
        self.name = "router"
        self.profile = profile(kernel)
        self.services = Services(
            node="router", era=self.profile.netfilter, patches=self.profile.patches, interfaces=None, sysctl=None,
            timers=None, outbox=Outbox(), rng=Random(1), routing=None, icmp=None, local_output=None, exit=None,
            defrag=None,
        )  # fmt: skip
        self.services.conntrack = CountingConntrack()
        self.changes = 0
        self.tables = Tables(self.services, self._changed)

    def _changed(self):
        self.changes += 1

    def request(self, req, *, now):
        return self.tables.handlers[type(req)](req, now=now)

    def sh(self, line):
        return dispatch.run(self, line, now=0)


class Step:
    """One command and what it answered."""

    def __init__(self, line):
        self.line = line
        self.rc = 0
        self.stdout = ""
        self.stderr = ""

    @property
    def result(self):
        return CommandResult(self.stdout, self.stderr, self.rc)


def sessions(path: Path) -> dict[str, list[Step]]:
    """Read "== name", "$ command", "rc N", "> stdout", "! stderr" lines."""
    found: dict[str, list[Step]] = {}
    steps: list[Step] = []
    for line in path.read_text().splitlines():
        if line.startswith("== "):
            steps = found.setdefault(line[3:], [])
        elif line.startswith("$ "):
            steps.append(Step(line[2:]))
        elif line.startswith("rc "):
            steps[-1].rc = int(line[3:])
        elif line.startswith(">"):
            steps[-1].stdout += line[2:] + "\n"
        elif line.startswith("!"):
            steps[-1].stderr += line[2:] + "\n"
        elif line and not line.startswith("#"):
            raise ValueError(line)
    return found
