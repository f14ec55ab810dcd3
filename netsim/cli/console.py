"""The console of `netsim shell`: a lab that stands still between commands.

A line is one of the console's own words (help lists them), an event as scenario files name it (`silence isp1`), a
node's name with or without a command behind it, or a Linux command for the chosen node. What happens while time passes
is kept, so that `explain last` can tell what became of a packet.
"""

from __future__ import annotations

import cmd
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from netsim.cli.console_talk import Explainer, Watch, complete_words, event_of
from netsim.errors import NetsimError, SimulationError
from netsim.observe.explain.facts import clock
from netsim.scenario.actions import VERBS
from netsim.scenario.model import Scenario
from netsim.scenario.runner import Progress, build_lab, file_event, file_expectations, file_timeline, run_lab
from netsim.scenario.values import parse_instant
from netsim.shell.iproute2.args import suggestion
from netsim.trace.bus import Bus
from netsim.trace.records import RECORD_TYPES, Record, TcpSample, WorldEvent
from netsim.units import Ns, ms

_KEPT = 400_000
"""So many records are kept for `explain` and `log`; the oldest go."""
_STEP = ms(100)
_NOT_FOUND = 127
_LINUX = (
    "arp", "arping", "cat", "conntrack", "echo", "ifconfig", "ip", "ipchains", "iptables", "iptables-save", "ping",
    "route", "sysctl", "traceroute",
)  # fmt: skip


def _let_words_hold_colons() -> None:
    """Complete NODE:IFACE as one word."""
    with suppress(ImportError):  # without readline there is no completion to speak of
        import readline

        readline.set_completer_delims(" \t\n;")


class Console(cmd.Cmd):
    """Reads lines, runs them, prints. `status` is the last command's exit status."""

    doc_header = "the console's words (help WORD); everything else is an event or a Linux command:"
    undoc_header = ""
    ruler = ""

    def __init__(self, scenario: Scenario, at: Ns = 0, *, progress: Progress | None = None) -> None:
        super().__init__()
        self.status = 0
        self.scenario = scenario
        self.records: deque[Record] = deque(maxlen=_KEPT)
        self.watch = Watch(print)
        self.lab = build_lab(scenario, scenario.effective_topology(), self._listen)
        file_timeline(self.lab, scenario)
        file_expectations(self.lab, scenario, None)
        self.watch.muted = True
        run_lab(self.lab, at, progress)
        self.watch.muted = False
        self.node = self._likely_node()

    def _listen(self, bus: Bus) -> None:
        bus.subscribe([kind for kind in RECORD_TYPES if kind is not TcpSample], self.records.append)
        self.watch.listen(bus)

    def _likely_node(self) -> str:
        """Return the node a person most probably wants: one called router, else the one with the most interfaces."""
        names = list(self.lab.topology.nodes)
        if "router" in names:
            return "router"
        return max(names, key=lambda name: len(self.lab.ports[name]), default="")

    def close(self) -> None:
        """Let go of the lab."""
        self.lab.close()

    # The loop

    @property
    def prompt(self) -> str:  # type: ignore[override]  # cmd.Cmd has a plain attribute; ours tells node and time
        """Node and time, on a terminal only."""
        return f"{self.node} {clock(self.lab.now)}> " if sys.stdin.isatty() else ""

    def interact(self) -> None:
        """Read lines until the end of input or `quit`."""
        terminal = sys.stdin.isatty()
        self.use_rawinput = terminal
        if terminal:
            _let_words_hold_colons()
            print(
                f"{self.scenario.name}: {clock(self.lab.now)} of {clock(self.scenario.duration)}. help lists the words."
            )
        while True:
            try:
                self.cmdloop()
                return
            except KeyboardInterrupt:
                print(f"\nstopped at {clock(self.lab.now)}")  # a ping, or a half-typed line

    def precmd(self, line: str) -> str:
        """Take comments away, as in a script."""
        line = line.strip()
        return "" if line.startswith("#") else line

    def onecmd(self, line: str) -> bool:
        """Run a line, or several of them between semicolons; tell a mistake in one line."""
        parts = [line] if self._is_linux(line) else [part.strip() for part in line.split(";")]
        try:
            return any(self._one(part) for part in parts if part)  # quit ends the line too
        except (NetsimError, KeyError, ValueError) as error:
            self._say(error.args[0] if isinstance(error, KeyError) else error)
            return False

    def _one(self, part: str) -> bool:
        if part not in {"EOF", "quit", "exit"}:  # the status to leave with is that of the command before
            self.status = 0
        return super().onecmd(part)

    def _is_linux(self, line: str) -> bool:
        """Tell whether a whole line with semicolons is the shell's to cut: none of its parts is a word of ours."""
        words = {part.split()[0] for part in line.split(";") if part.split()}
        return all(word in _LINUX for word in words)

    def _say(self, error: object) -> None:
        self.status = 2
        print(f"netsim: {error}", file=sys.stderr)

    def emptyline(self) -> bool:
        """Do nothing, rather than the last command again."""
        return False

    def default(self, line: str) -> bool | None:  # type: ignore[override]  # cmd.Cmd declares None and obeys True
        """Take an end of input, an event, a node, or a Linux command."""
        if line == "EOF":
            if sys.stdin.isatty():
                print()
            return True
        word, _, rest = line.partition(" ")
        node = word.removesuffix(":")
        if word in VERBS and word not in {"run"}:
            self._happen(word, rest)
        elif node in self.lab.topology.nodes:
            if rest.strip():
                self._linux(node, rest.strip())
            else:
                self.node = node
        else:
            self._linux(self.node, line)
        return None

    def _linux(self, node: str, line: str) -> None:
        answer = self.lab[node].sh(line)
        self.status = answer.rc
        sys.stdout.write(answer.stdout)
        sys.stderr.write(answer.stderr)
        if answer.rc == _NOT_FOUND:
            word = line.partition(" ")[0]
            hint = suggestion(word, [*VERBS, *_LINUX, *(name[3:] for name in self.get_names() if name[:3] == "do_")])
            if hint:
                print(f"netsim: {hint}", file=sys.stderr)

    def _happen(self, verb: str, rest: str) -> None:
        file_event(self.lab, event_of(verb, rest, self.lab.now))
        self._advance(self.lab.now)

    # Time

    def _advance(self, until: Ns, stop: Callable[[], bool] = lambda: False) -> None:
        """Let time pass; Ctrl-C stops it where it is."""
        try:
            while self.lab.now < until and not stop():
                self.lab.run(until=min(until, self.lab.now + _STEP))
            if until == self.lab.now:
                self.lab.run(until=until)
        except KeyboardInterrupt:
            print(f"stopped at {clock(self.lab.now)}")

    def do_run(self, text: str) -> None:
        """run 5s | run until 90s: let time pass."""
        words = text.split()
        if words[:1] == ["until"]:
            self.do_until(" ".join(words[1:]))
            return
        if len(words) != 1:
            raise SimulationError("run for how long? as in: run 5s")
        self._advance(self.lab.now + parse_instant(words[0]))

    def do_until(self, text: str) -> None:
        """until 90s | until next event | until end | until drop: let time pass up to there."""
        if text in {"next event", "next"}:
            coming = [event.at for event in self.scenario.events if event.at > self.lab.now]
            if not coming:
                raise SimulationError("no event is left; run 5s lets time pass")
            self._advance(min(coming))
        elif text == "end":
            self._advance(max(self.lab.now, self.scenario.duration))
        elif text == "drop":
            seen = self.watch.drops
            self._advance(max(self.lab.now, self.scenario.duration), lambda: self.watch.drops > seen)
        else:
            until = parse_instant(text)
            if until < self.lab.now:
                raise SimulationError(f"it is {clock(self.lab.now)} already, and time does not run back")
            self._advance(until)

    def do_time(self, _: str) -> None:
        """time: what time it is, and when the run ends."""
        print(f"{clock(self.lab.now)} of {clock(self.scenario.duration)}")

    # Looking around

    def do_node(self, text: str) -> None:
        """node NAME: choose the node that Linux commands go to (its name alone does the same)."""
        if text not in self.lab.topology.nodes:
            raise SimulationError(f"no node {text!r}; there are: {', '.join(self.lab.topology.nodes)}")
        self.node = text

    def do_nodes(self, _: str) -> None:
        """nodes: the nodes with their kernels and addresses."""
        from netsim.cli.output import rows

        table = []
        for name, node in self.lab.topology.nodes.items():
            addresses = ", ".join(f"{dev} {text}" for dev, texts in node.addr.items() for text in texts)
            state = "silent" if self.lab[name].node.silent else ""
            table.append([("*" if name == self.node else " ") + name, node.kernel, state, addresses])
        rows(table)

    def do_links(self, _: str) -> None:
        """links: the links with their ends."""
        from netsim.cli.output import rows

        world = self.lab.world.links
        rows([
            [name, world[name].kind, "cut" if world[name].cut else "", " ".join(link.ends)]
            for name, link in self.lab.topology.links.items()
        ])  # fmt: skip

    def do_events(self, _: str) -> None:
        """events: the scenario's timeline, what happened and what is to come."""
        from netsim.cli.output import rows

        happened = [r for r in self.records if isinstance(r, WorldEvent)]
        rows([[clock(r.t), r.verb, r.target, "happened"] for r in happened])
        rows([[clock(e.at), e.verb, e.target, "to come"] for e in self.scenario.events if e.at > self.lab.now])

    def do_log(self, text: str) -> None:
        """log [N]: the last N things that happened (20), frames too."""
        from netsim.observe.textlog import QUIET, format_record

        number = int(text) if text else 20
        told = [r for r in self.records if not isinstance(r, QUIET)][-number:]
        for record in told:
            print(format_record(record))

    def do_watch(self, text: str) -> None:
        """watch [events neigh nat drops routes] | watch off: print these as they happen while time passes."""
        self.watch.choose(text.split())
        print("watching: " + (", ".join(sorted(self.watch.chosen)) or "nothing"))

    def do_tcpdump(self, text: str) -> None:
        """tcpdump [-i DEV] [FILTER] | tcpdump off: print the chosen node's frames as time passes."""
        self.watch.dump(self.node, text)

    def do_explain(self, text: str) -> None:
        """explain last | explain lost | explain frame N | explain neigh IP dev DEV: tell what happened, and why."""
        print(Explainer(self.records, self.scenario, self.lab).tell(text.split(), self.node), end="")

    def do_history(self, _: str) -> None:
        """history: the lines typed so far."""
        try:
            import readline
        except ImportError as error:
            raise SimulationError("this Python has no readline") from error
        for number in range(1, readline.get_current_history_length() + 1):
            print(f"{number:5}  {readline.get_history_item(number)}")

    def do_quit(self, _: str) -> bool:
        """quit: leave (so does the end of input)."""
        return True

    def do_exit(self, _: str) -> bool:
        """exit: leave."""
        return True

    def do_help(self, arg: str) -> None:
        """help [WORD]: what there is."""
        if arg:
            super().do_help(arg)
            return
        for name in sorted(self.get_names()):
            if name.startswith("do_"):
                print(f"  {getattr(self, name).__doc__}")
        print(f"  events: {', '.join(verb for verb in VERBS if verb != 'run')}, as in: silence isp1")
        print(f"  anything else goes to the shell of {self.node}; NODE COMMAND goes to another node")

    # Completion

    def completenames(self, text: str, *_: object) -> list[str]:
        """Complete the first word of a line."""
        words: Iterable[str] = (*super().completenames(text), *VERBS, *_LINUX, *self.lab.topology.nodes)
        return sorted({f"{word} " for word in words if word.startswith(text)})

    def completedefault(self, text: str, line: str, *_: object) -> list[str]:
        """Complete the words behind an event, a console word or a Linux command."""
        return [f"{word} " for word in complete_words(text, line, self.lab, self.scenario)]

    def __getattr__(self, name: str) -> object:
        """Complete behind the console's words as behind the others."""
        if name.startswith("complete_"):
            return partial(self.completedefault)
        raise AttributeError(name)
