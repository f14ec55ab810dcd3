"""The `sysctl` command of procps 4: reading, writing and listing settings, in its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from netsim.shell.procfs import path_of
from netsim.shell.tool import Box, CommandResult, Failure, LineProblem, Word
from netsim.stack.errno import EACCES, ENOENT, EPERM, Refusal
from netsim.stack.requests import GetSysctl, ListSysctls, SetSysctl
from netsim.units import Ns

_USAGE = """
Usage:
 sysctl [options] [variable[=value] ...]

Options:
  -a, --all            display all variables
  -b, --binary         print value without new line
  -e, --ignore         ignore unknown variables errors
  -N, --names          print variable names without values
  -n, --values         print only values of the given variable(s)
  -r, --pattern <expression>
                       select setting that match expression
  -q, --quiet          do not echo variable set
  -w, --write          enable writing a value to variable

 -h, --help     display this help and exit
 -V, --version  output version information and exit

For more details see sysctl(8)."""

_LONG = MappingProxyType({
    "--all": "a", "--binary": "b", "--ignore": "e", "--names": "N", "--values": "n", "--quiet": "q", "--write": "w",
    "--pattern": "r", "--help": "h", "--version": "V", "--deprecated": "o",
})  # fmt: skip


def dotted(name: str) -> str:
    """Write a name as the kernel's table has it: the first separator, dot or slash, tells which of the two it is."""
    first = re.search(r"[./]", name)
    return name.translate(str.maketrans("./", "/.")) if first is not None and first.group() == "/" else name


@dataclass(slots=True)
class _Call:
    """The command line, read."""

    flags: set[str] = field(default_factory=set)
    pattern: str = ""
    names: list[Word] = field(default_factory=list)


def _read(argv: Sequence[Word]) -> _Call:
    """Read options wherever they stand (getopt permutes). Raises Failure."""
    call = _Call()
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if not word.text.startswith("-") or word.text == "-":
            call.names.append(word)
            continue
        if word.text.startswith("--"):
            option, _, value = word.text.partition("=")
            if option not in _LONG:
                raise Failure(f"sysctl: unrecognized option '{word.text}'{_USAGE}", 0, word)
            letters = _LONG[option]
        else:
            letters, value = word.text[1:], ""
        for place, letter in enumerate(letters):
            if letter == "r":
                rest = value or letters[place + 1 :]
                if not rest and not words:
                    raise Failure(f"sysctl: option requires an argument -- 'r'{_USAGE}", 0, word)
                call.pattern = rest or words.pop(0).text
                break
            if letter not in "aAXbeNnqwoxhdV":
                raise Failure(f"sysctl: invalid option -- '{letter}'{_USAGE}", 0, word)
            call.flags.add(letter)
    _complete(call)
    return call


def _complete(call: _Call) -> None:
    """Refuse a command with nothing to do, and a pattern that is none."""
    if not call.names and not call.flags & set("aAXhdV"):
        if call.flags or call.pattern:
            raise Failure("sysctl: no variables specified\nTry `sysctl --help' for more information.", 1)
        raise Failure(_USAGE, 1)
    try:
        re.compile(call.pattern)
    except re.error as error:
        raise Failure(f"sysctl: {call.pattern}: {error}", 1) from error


class SysctlTool:
    """The command."""

    name = "sysctl"
    kernels: tuple[str, ...] = ()

    def check(self, argv: Sequence[Word]) -> list[LineProblem]:
        """Find options that do not exist, and `-w` of a name without a value."""
        try:
            call = _read(argv)
        except Failure as failure:
            return [failure.problem(argv, "sysctl")]
        if "w" not in call.flags:
            return []
        return [
            LineProblem(
                name.column, "sysctl: command line(0): invalid syntax, continuing...", "write KEY=VALUE, without blanks"
            )
            for name in call.names
            if "=" not in name.text
        ][:1]

    def run(self, box: Box, argv: Sequence[Word], *, now: Ns) -> CommandResult:
        """Read, write, list."""
        try:
            call = _read(argv)
        except Failure as failure:
            return failure.result()
        if call.flags & set("hd"):
            return CommandResult(f"{_USAGE}\n")
        if "V" in call.flags:
            return CommandResult("sysctl from procps-ng 4.0.2\n")
        work = _Work(box, call, now)
        if call.flags & set("aAX"):
            work.show_below("")
        complained = False
        for word in call.names:
            if "=" in word.text:
                work.write(word.text)
            elif "w" in call.flags:
                if not complained:
                    work.complain("command line(0): invalid syntax, continuing...")
                complained = True
            else:
                work.show(word.text)
        return CommandResult("".join(work.out), "".join(work.err), work.rc)


class _Work:
    """One run: what it printed so far."""

    def __init__(self, box: Box, call: _Call, now: Ns) -> None:
        self.box = box
        self.flags = call.flags
        self.pattern = re.compile(call.pattern)
        self.now = now
        self.out: list[str] = []
        self.err: list[str] = []
        self.rc = 0

    def complain(self, words: str) -> None:
        """Note an error and go on."""
        self.err.append(f"sysctl: {words}\n")
        self.rc = 1

    def missing(self, key: str) -> None:
        """Complain of a name that does not exist, unless -e."""
        if "e" not in self.flags:
            self.complain(f"cannot stat {path_of(key)}: No such file or directory")

    def write(self, assignment: str) -> None:
        """Carry out KEY=VALUE; a leading "-" of the key forgives errors."""
        name, _, value = assignment.partition("=")
        name, value = name.strip(), value.strip()
        forgiving = name.startswith("-")
        key = dotted(name.removeprefix("-"))
        if not key:
            self.complain("Path is not under /proc/sys/: /proc/sys/")
            return
        refusal = self.box.request(SetSysctl(key=key, value=value), now=self.now)
        if not isinstance(refusal, Refusal):
            if "q" not in self.flags:
                self.print(key, value, written=True)
        elif forgiving:
            return
        elif refusal.errno == ENOENT and not self.exists(key):
            self.missing(key)
        elif refusal.errno in (EPERM, EACCES):
            self.complain(f"permission denied on key '{key}'")
        else:
            self.complain(f'setting key "{key}": {refusal.strerror}')

    def exists(self, key: str) -> bool:
        """Tell whether there is such a setting: a value may be refused as "No such file" too, for want of a module."""
        value = self.box.request(GetSysctl(key=key), now=self.now)
        return not isinstance(value, Refusal)

    def show(self, name: str) -> None:
        """Print one setting, or all below a name."""
        key = dotted(name)
        value = self.box.request(GetSysctl(key=key), now=self.now)
        if not isinstance(value, Refusal):
            if self.pattern.search(key):
                self.print(key, value)
        elif not self.show_below(f"{key}."):
            self.missing(key)

    def show_below(self, prefix: str) -> bool:
        """Print every setting whose name starts with `prefix`; False when there is none."""
        names = self.box.request(ListSysctls(), now=self.now)
        if isinstance(names, Refusal):
            return False
        below = [name for name in names if name.startswith(prefix)]
        for key in below:
            value = self.box.request(GetSysctl(key=key), now=self.now)
            if not isinstance(value, Refusal) and self.pattern.search(key):
                self.print(key, value)
        return bool(below)

    def print(self, key: str, value: str, *, written: bool = False) -> None:
        """Print one line in the form the options ask for (a written value prints itself under -N too)."""
        if "b" in self.flags:
            self.out.append(value)
        elif "N" in self.flags and not written:
            self.out.append(f"{key}\n")
        elif self.flags & set("nN"):
            self.out.append(f"{value}\n")
        else:
            self.out.append(f"{key} = {value}\n")


TOOLS = (SysctlTool(),)
