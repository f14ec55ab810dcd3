"""The shell of a box: run a command line, or say what is wrong with it before anything runs.

Lists of commands with `;`, `&&`, `||`, comments, continuations, quotes; `echo N > /proc/sys/...`. A command is found by
its first word among the tools of this package, the world's own (`extra`: ping, tcpdump and the like), and a few of sh.
Source: design/scenario-format.md ("Set-up lines must succeed", "Tool texts"); dash for the words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import cast

from netsim.shell import procfs
from netsim.shell.iproute2.args import suggestion
from netsim.shell.tokens import AND, OR, Command, Here, Redirect, SyntaxProblem, parse
from netsim.shell.tool import Box, CommandResult, LineProblem, Reader, Tool, Word
from netsim.units import Ns

_MODULES: Mapping[str, str] = MappingProxyType({
    "ip": "netsim.shell.iproute2.command",
    "sysctl": "netsim.shell.sysctl",
    "ifconfig": "netsim.shell.net_tools.ifconfig",
    "route": "netsim.shell.net_tools.route",
    "arp": "netsim.shell.net_tools.arp",
    "iptables": "netsim.shell.iptables.command",
    "iptables-save": "netsim.shell.iptables.command",
    "iptables-restore": "netsim.shell.iptables.command",
    "conntrack": "netsim.shell.conntrack",
    "ipchains": "netsim.shell.ipchains",
    "echo": "netsim.shell.procfs",
    "cat": "netsim.shell.procfs",
})  # fmt: skip
"""Where each tool lives: a module with a tuple TOOLS. Imported at first use, so that start-up stays quick."""

_BUILTINS: Mapping[str, int] = MappingProxyType({"true": 0, ":": 0, "false": 1, "modprobe": 0, "exit": 0})
_DIRECTORIES = ("/sbin/", "/usr/sbin/", "/bin/", "/usr/bin/", "/usr/local/sbin/")
NO_EXTRA: Mapping[str, Tool] = MappingProxyType({})


def find(name: str, extra: Mapping[str, Tool] = NO_EXTRA) -> Tool | None:
    """Return the tool called `name`, with or without its usual directory."""
    for directory in _DIRECTORIES:
        if name.startswith(directory):
            name = name.removeprefix(directory)
    if name in extra:
        return extra[name]
    module = _MODULES.get(name)
    if module is None:
        return None
    tools = cast("tuple[Tool, ...]", import_module(module).TOOLS)
    return next(tool for tool in tools if tool.name == name)


def family(kernel: str) -> str:
    """Return the family of a kernel: "linux-2.4-routes" belongs to "linux-2.4"."""
    return kernel.removesuffix("-routes")


def run(box: Box, line: str, *, now: Ns, extra: Mapping[str, Tool] = NO_EXTRA) -> CommandResult:
    """Run a line, or several, and answer everything printed and the last exit status."""
    try:
        commands = parse(line)
    except SyntaxProblem as problem:
        return CommandResult("", f"sh: 1: {problem.what}\n", 2)
    out: list[str] = []
    err: list[str] = []
    rc = 0
    for command in commands:
        if (command.joint == AND and rc) or (command.joint == OR and not rc):
            continue
        result = _Runner(box, now, extra).run(command)
        out.append(result.stdout)
        err.append(result.stderr)
        rc = result.rc
        if command.words and command.words[0].text == "exit":
            break
    return CommandResult("".join(out), "".join(err), rc)


def run_command(box: Box, command: Command, *, now: Ns, extra: Mapping[str, Tool] = NO_EXTRA) -> CommandResult:
    """Run one simple command of a line, whatever ties it to the one before it."""
    return _Runner(box, now, extra).run(command)


class _Runner:
    """Runs one simple command with its redirections."""

    def __init__(self, box: Box, now: Ns, extra: Mapping[str, Tool]) -> None:
        self.box = box
        self.now = now
        self.extra = extra

    def run(self, command: Command) -> CommandResult:
        """Open the targets, run, and carry the streams there."""
        for redirect in command.redirects:
            if redirect.target.text.startswith("&"):
                continue
            error = procfs.open_for_writing(self.box, redirect.target.text, now=self.now)
            if error is not None:
                text = f"sh: 1: cannot create {redirect.target.text}: {error.words}\n"
                return CommandResult("", text, 2)
        return self._carry(self._execute(command.words, command.here), command.redirects)

    def _execute(self, words: Sequence[Word], here: Here | None) -> CommandResult:
        if not words:
            return CommandResult()
        name = words[0].text
        if name == "exit":
            status = words[1].text if len(words) > 1 else "0"
            return CommandResult(rc=int(status) & 255 if status.isdecimal() else 2)
        if name in _BUILTINS:
            return CommandResult(rc=_BUILTINS[name])
        tool = find(name, self.extra)
        if tool is None or (tool.kernels and family(self.box.profile.name) not in tool.kernels):
            return CommandResult("", f"sh: 1: {name}: not found\n", 127)
        if here is not None and hasattr(tool, "run_text"):
            return cast("Reader", tool).run_text(self.box, words, here.text, now=self.now)
        return tool.run(self.box, words, now=self.now)

    def _carry(self, result: CommandResult, redirects: Sequence[Redirect]) -> CommandResult:
        """Send the two streams where the redirections say, in their order."""
        streams: dict[int, str] = {1: "", 2: ""}
        goes_to: dict[int, int | str] = {1: 1, 2: 2}
        for redirect in redirects:
            target = redirect.target.text
            goes_to[redirect.fd] = goes_to[int(target[1])] if target.startswith("&") else target
        rc = result.rc
        for fd, text in ((1, result.stdout), (2, result.stderr)):
            where = goes_to[fd]
            if isinstance(where, int):
                streams[where] += text
            elif where.startswith(procfs.SYS) and text:
                error = procfs.write(self.box, where, text, now=self.now)
                if error is not None:
                    streams[2] += f"sh: 1: echo: echo: {error.words}\n"
                    rc = 1
        return CommandResult(streams[1], streams[2], rc)


def check_line(line: str, kernel: str, extra: Mapping[str, Tool] = NO_EXTRA) -> list[LineProblem]:
    """Say everything that is wrong with a line's syntax, by column; no box is asked, nothing is run.

    Whether a device or a chain exists is the box's to say, when the line runs.
    """
    try:
        commands = parse(line)
    except SyntaxProblem as problem:
        return [LineProblem(problem.column, problem.what)]
    problems: list[LineProblem] = []
    for index, command in enumerate(commands):
        if command.words and not _is_forgiven(commands, index):
            problems += _check_words(command.words, kernel, extra, command.here)
        for redirect in command.redirects:
            target = redirect.target.text
            if not target.startswith(("&", procfs.SYS)) and target != "/dev/null":
                what = f"cannot create {target}: Directory nonexistent"
                problems.append(
                    LineProblem(redirect.target.column, what, "only /proc/sys and /dev/null are written to")
                )
    return sorted(problems, key=lambda problem: problem.column)


def _is_forgiven(commands: Sequence[Command], index: int) -> bool:
    """Tell whether a `||` later in the same list takes a failure."""
    for later in commands[index + 1 :]:
        if later.joint == OR:
            return True
        if later.joint != AND:
            return False
    return False


def _check_words(words: Sequence[Word], kernel: str, extra: Mapping[str, Tool], here: Here | None) -> list[LineProblem]:
    word = words[0]
    if word.text in _BUILTINS:
        return []
    tool = find(word.text, extra)
    if tool is None:
        hint = suggestion(word.text, [*_MODULES, *extra, *_BUILTINS])
        return [LineProblem(word.column, f"{word.text}: not found", hint)]
    if tool.kernels and family(kernel) not in tool.kernels:
        hint = f"{tool.name} is for {', '.join(tool.kernels)}"
        return [LineProblem(word.column, f"{word.text}: not found on kernel {kernel}", hint)]
    if here is not None and hasattr(tool, "check_text"):
        return cast("Reader", tool).check_text(words, here.text, here.columns)
    return tool.check(words)
