"""A `run:` block into command lines, as a shell would cut it, each character remembering where it stood.

Only the cutting happens here: comments, `\\` continuation, blank lines, and which lines are a here-document's. What a
line means is shell/'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netsim.shell.tokens import HERE

_SPACE_AFTER_JOIN = re.compile(r"[ \t]*")


@dataclass(frozen=True, slots=True)
class Command:
    """One logical line. `offsets[i]` is the place of `text[i]` in the block, with one more for the end."""

    text: str
    offsets: tuple[int, ...]

    def at(self, column: int) -> int:
        """Return the block's offset of column `column` (from 0) of this line."""
        return self.offsets[max(0, min(column, len(self.offsets) - 1))]


def expand(block: str) -> tuple[Command, ...]:
    """Cut a block into command lines.

    `#` begins a comment at the start of a word outside quotes; a backslash at a line's end joins the next line with
    one space; an unquoted newline ends the command, or begins the here-document that `<<WORD` has announced, which
    belongs to it up to the line WORD. Source: POSIX shell 2.2.1, 2.3 (7 and 10), 2.7.4.
    """
    commands: list[Command] = []
    text: list[str] = []
    offsets: list[int] = []
    quote = ""
    ends: list[tuple[str, bool]] = []
    i = 0

    def finish(end: int) -> None:
        while text and text[-1] in " \t\r":
            text.pop()
            offsets.pop()
        if text:
            commands.append(Command("".join(text), (*offsets, offsets[-1] + 1 if offsets else end)))
        text.clear()
        offsets.clear()

    while i < len(block):
        char = block[i]
        if char == "\\" and block.startswith("\n", i + 1) and quote != "'":
            i = _SPACE_AFTER_JOIN.match(block, i + 2).end()  # type: ignore[union-attr]  # matches the empty string
            while text and text[-1] in " \t":
                text.pop()
                offsets.pop()
            if text:
                text.append(" ")
                offsets.append(offsets[-1] + 1)
            continue
        if char == "\\" and quote != "'" and i + 1 < len(block):
            text += block[i : i + 2]
            offsets += (i, i + 1)
            i += 2
            continue
        if quote or char in "'\"":
            quote = "" if char == quote else quote or char
        elif char == "#" and (not text or text[-1] in " \t;&|"):
            newline = block.find("\n", i)
            i = newline if newline >= 0 else len(block)
            continue
        elif char == "<" and (here := HERE.match(block, i)) is not None:
            ends.append((here[3], bool(here[1])))
        elif char == "\n":
            until = i
            while ends:
                until = _end_of_here(block, until + 1, *ends.pop(0))
            text += block[i:until]
            offsets += range(i, until)
            finish(i)
            i = until + 1
            continue
        if text or char not in " \t\r":
            text.append(char)
            offsets.append(i)
        i += 1
    finish(len(block))
    return tuple(commands)


def _end_of_here(block: str, start: int, word: str, tabs: bool) -> int:
    """Return where the line ends that ends a here-document; the block's end where none does, which the shell tells."""
    at = start
    while at < len(block):
        newline = block.find("\n", at)
        end = newline if newline >= 0 else len(block)
        line = block[at:end]
        if (line.lstrip("\t") if tabs else line).rstrip("\r") == word:
            return end
        at = end + 1
    return len(block)
