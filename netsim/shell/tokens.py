"""A command line as sh reads it: words, quotes, comments, continuations, and the operators between commands.

A small part of sh on purpose: no variables, no substitutions, no globs, no pipes, no background jobs; each of them is
refused by name. Redirection goes to /proc/sys and /dev/null (procfs.py), a here-document to who reads one. Columns
count characters of the text as given, from 1, over line ends and continuations, so that a place in a block of lines can
be told.
Source: POSIX.1-2017, Shell Command Language, 2.2 Quoting, 2.3 Token Recognition, 2.7.4 Here-Document, 2.9.3 Lists;
dash's words for errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from netsim.shell.tool import Word

AND = "&&"
OR = "||"
THEN = ";"

_BLANKS = " \t"
HERE = re.compile(r"<<(-?)[ \t]*(['\"]?)([\w.-]+)\2")
"""What announces a here-document: whether tabs are taken off its lines, a quote, the word that ends it."""
_REFUSED = MappingProxyType(
    {
        "$": "variables and substitutions are not supported here",
        "`": "substitutions are not supported here",
        "(": "subshells are not supported here",
        ")": "subshells are not supported here",
        "<": "input is read from a here-document only: <<EOF",
    }
)


class SyntaxProblem(Exception):  # noqa: N818  # a person's slip, told as LineProblem; not an error of the program
    """The line is not a command line; `what` in dash's words where dash has words for it."""

    def __init__(self, what: str, column: int) -> None:
        self.what = what
        self.column = column
        super().__init__(what)


class Redirect(NamedTuple):
    """Where a stream goes: `fd` 1 or 2; `target` a path, or "&1", "&2"."""

    fd: int
    target: Word
    append: bool


class Here(NamedTuple):
    """A here-document: where it is announced, its text, and where its lines begin, the one that ends it among them."""

    column: int
    text: str = ""
    columns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command and what ties it to the one before it: THEN (always), AND (if that was well), OR (if not)."""

    joint: str
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]
    here: Here | None = None


class _Operator(NamedTuple):
    text: str
    column: int


class _Lexer:
    """Cut a text into words and operators; a newline is the operator "\\n"."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: list[Word | _Operator | Here] = []
        self._announced: list[tuple[int, re.Match[str]]] = []

    def run(self) -> list[Word | _Operator | Here]:
        """Return every token."""
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if char in _BLANKS or char == "\r":
                self.at += 1
            elif text.startswith("\\\n", self.at):
                self.at += 2
            elif char == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif char == "<" and (announced := HERE.match(text, self.at)) is not None:
                self._announced.append((len(self.tokens), announced))
                self.tokens.append(Here(self.at + 1))
                self.at = announced.end()
            elif char in "\n;&|>" or (char in "12" and text[self.at + 1 : self.at + 2] == ">"):
                self._operator()
            else:
                self._word()
        if self._announced:
            raise self._endless()
        return self.tokens

    def _endless(self) -> SyntaxProblem:
        _, announced = self._announced[0]
        return SyntaxProblem(f'Syntax error: the here-document wants a line "{announced[3]}"', announced.start() + 1)

    def _documents(self) -> None:
        """Read the here-documents that the line just ended has announced."""
        for place, announced in self._announced:
            lines = []
            columns = []
            while self.at < len(self.text):
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = min(end + 1, len(self.text))
                line = line.lstrip("\t") if announced[1] else line
                columns.append(end - len(line) + 1)
                if line.rstrip("\r") == announced[3]:
                    break
                lines.append(line)
            else:
                raise self._endless()
            text = "".join(f"{line}\n" for line in lines)
            self.tokens[place] = Here(announced.start() + 1, text, tuple(columns))
        self._announced.clear()

    def _operator(self) -> None:
        for operator in ("&&", "||", "2>>", "1>>", ">>", "2>", "1>", "\n", ";", "&", "|", ">"):
            if self.text.startswith(operator, self.at):
                self.tokens.append(_Operator(operator, self.at + 1))
                self.at += len(operator)
                if operator == "\n":
                    self._documents()
                return

    def _word(self) -> None:
        start = self.at
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in _BLANKS or char in "\n\r;&|>" or HERE.match(self.text, self.at):
                break
            if char == "\\":
                parts.append(self._escape())
            elif char in "'\"":
                parts.append(self._quoted(char))
            elif char in _REFUSED:
                raise SyntaxProblem(f'"{char}": {_REFUSED[char]}', self.at + 1)
            else:
                parts.append(char)
                self.at += 1
        self.tokens.append(Word("".join(parts), start + 1))

    def _escape(self) -> str:
        following = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        return "" if following == "\n" else following

    def _quoted(self, quote: str) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == quote:
                self.at += 1
                return "".join(parts)
            if quote == '"' and char in "$`":
                raise SyntaxProblem(f'"{char}": {_REFUSED[char]}', self.at + 1)
            if quote == '"' and char == "\\" and self.text[self.at + 1 : self.at + 2] in ("\\", '"', "$", "`", "\n"):
                parts.append(self._escape())
                continue
            parts.append(char)
            self.at += 1
        raise SyntaxProblem("Syntax error: Unterminated quoted string", start + 1)


def parse(text: str) -> list[Command]:
    """Read a list of commands. Raises SyntaxProblem at the first place that is none."""
    commands: list[Command] = []
    joint = THEN
    words: list[Word] = []
    redirects: list[Redirect] = []
    here: Here | None = None
    tokens = _Lexer(text).run()
    index = 0
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if isinstance(token, Word):
            words.append(token)
            continue
        if isinstance(token, Here):
            here = token
            continue
        if ">" in token.text:
            index = _redirect(text, tokens, index, token, redirects)
            continue
        if token.text in ("&", "|"):
            what = "background jobs are" if token.text == "&" else "pipes are"
            raise SyntaxProblem(f'"{token.text}": {what} not supported here', token.column)
        if words or redirects:
            commands.append(Command(joint, tuple(words), tuple(redirects), here))
            words, redirects, here = [], [], None
            joint = THEN if token.text == "\n" else token.text
        elif token.text == "\n":
            continue  # an empty line, or the line end after && and ||, which sh skips
        else:
            raise SyntaxProblem(f'Syntax error: "{token.text}" unexpected', token.column)
    if words or redirects:
        commands.append(Command(joint, tuple(words), tuple(redirects), here))
    elif joint in (AND, OR):
        raise SyntaxProblem("Syntax error: end of file unexpected", len(text) + 1)
    return commands


def _redirect(
    text: str, tokens: list[Word | _Operator | Here], index: int, operator: _Operator, redirects: list[Redirect]
) -> int:
    """Read the target after `operator`; return the index behind it."""
    fd = 2 if operator.text.startswith("2") else 1
    append = operator.text.endswith(">>")
    end = operator.column - 1 + len(operator.text)
    following = tokens[index] if index < len(tokens) else None
    if isinstance(following, _Operator) and following.text == "&" and following.column == end + 1:
        number = tokens[index + 1] if index + 1 < len(tokens) else None
        if isinstance(number, Word) and number.text in ("1", "2") and number.column == end + 2:
            redirects.append(Redirect(fd, Word("&" + number.text, end + 1), append))
            return index + 2
        raise SyntaxProblem("Syntax error: Bad fd number", end + 1)
    if not isinstance(following, Word):
        if following is None:
            raise SyntaxProblem("Syntax error: end of file unexpected", len(text) + 1)
        named = "newline" if following.text == "\n" else f'"{following.text}"'
        named = "redirection" if isinstance(following, Here) else named
        raise SyntaxProblem(f"Syntax error: {named} unexpected", following.column)
    redirects.append(Redirect(fd, following, append))
    return index + 1
