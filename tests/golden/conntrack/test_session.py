"""Each recorded conntrack command over the same entries: output, errors and exit status as the real tool's."""

from dataclasses import replace
from pathlib import Path

from netsim.addr import parse_ip
from netsim.shell import dispatch
from netsim.stack.netfilter.ct_requests import (
    CountConntrack,
    DeleteConntrack,
    DumpConntrack,
    DumpExpectations,
    FlushConntrack,
    SetConntrackMark,
)
from netsim.stack.netfilter.ct_text import ConntrackInfo
from netsim.stack.netfilter.status import IPS_ASSURED, IPS_DST_NAT, IPS_SEEN_REPLY, IPS_SRC_NAT
from netsim.stack.netfilter.tuples import CtTuple
from netsim.stack.profile import profile
from netsim.stack.requests import DONE

SESSION = Path(__file__).parent / "session.txt"


def entry(proto, orig, reply, status=0, mark=0, state=""):
    def one(src, sport, dst, dport):
        return CtTuple(parse_ip(src), sport, parse_ip(dst), dport, proto)

    return ConntrackInfo(orig=one(*orig), reply=one(*reply), timeout=99, state=state, status=status, mark=mark)


ENTRIES = (
    entry(17, ("10.0.0.1", 5, "10.0.0.2", 6), ("10.0.0.2", 6, "10.0.0.1", 5)),
    entry(6, ("10.0.0.1", 5, "10.0.0.2", 6), ("10.0.0.2", 6, "10.0.0.1", 5), IPS_ASSURED | IPS_SEEN_REPLY, 5,
          "ESTABLISHED"),
    entry(1, ("10.0.0.1", 7, "10.0.0.2", 8 << 8), ("10.0.0.2", 7, "10.0.0.1", 0)),
    entry(17, ("10.0.0.3", 5, "10.0.0.2", 6), ("10.0.0.2", 6, "1.2.3.4", 5), IPS_SRC_NAT),
    entry(17, ("10.0.0.3", 5, "10.0.0.9", 6), ("1.2.3.4", 6, "10.0.0.3", 5), IPS_DST_NAT),
    entry(99, ("10.0.0.3", 0, "10.0.0.9", 0), ("10.0.0.9", 0, "10.0.0.3", 0)),
    entry(47, ("10.0.0.3", 1, "10.0.0.9", 2), ("10.0.0.9", 2, "10.0.0.3", 1)),
)  # fmt: skip


class EntriesBox:
    name = "router"
    profile = profile("linux-6")

    def __init__(self):
        self.entries = list(ENTRIES)

    def request(self, req, *, now):
        if isinstance(req, DumpConntrack):
            return tuple(each for each in self.entries if req.wanted.fits(each))
        if isinstance(req, DeleteConntrack):
            gone = tuple(each for each in self.entries if req.wanted.fits(each))
            self.entries = [each for each in self.entries if each not in gone]
            return gone
        if isinstance(req, SetConntrackMark):
            self.entries = [replace(e, mark=req.mark) if req.wanted.fits(e) else e for e in self.entries]
            return 1
        if isinstance(req, FlushConntrack):
            self.entries = []
            return DONE
        if isinstance(req, CountConntrack):
            return len(self.entries)
        if isinstance(req, DumpExpectations):
            return ()
        raise AssertionError(req)


def steps():
    found = []
    for line in SESSION.read_text().splitlines():
        if line.startswith("$ "):
            found.append([line[2:], 0, [], []])
        elif line.startswith("rc "):
            found[-1][1] = int(line[3:])
        elif line.startswith("> "):
            found[-1][2].append(line[2:])
        elif line.startswith("! "):
            found[-1][3].append(line[2:])
    return found


def test_every_command_answers_as_the_real_tool():
    box = EntriesBox()
    for line, rc, stdout, stderr in steps():
        result = dispatch.run(box, line, now=0)
        seen = (result.rc, sorted(result.stdout.splitlines()), result.stderr.splitlines())
        assert (rc, sorted(stdout), stderr) == seen, line


def test_what_is_not_modelled_is_refused_by_name():
    for line in ("conntrack -E", "conntrack -I -s 1.2.3.4", "conntrack -L -o xml"):
        (problem,) = dispatch.check_line(line, "linux-6")
        assert "not modelled" in problem.what or "ConntrackEvent" in problem.what
