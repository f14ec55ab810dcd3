"""Printing a list once for both forms: `ip`'s text and its `-j` JSON, compact or pretty.

Each field is given with its JSON key, its text and its value; the printer takes what its form needs. JSON is written by
hand because iproute2's own layout is not json.dumps's. Source: iproute2 6.1 lib/json_print.c, lib/json_writer.c.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | str | Sequence[Json] | dict[str, Json] | None"


class Printer:
    """Collect objects. In text form only texts count, in JSON only keys and values.

    `oneline` (-o) replaces line ends inside an object by backslashes.
    """

    def __init__(self, *, as_json: bool = False, pretty: bool = False, oneline: bool = False) -> None:
        self.as_json = as_json
        self.pretty = pretty
        self.nl = "\\" if oneline and not as_json else "\n"
        self.texts: list[str] = []
        self.objects: list[dict[str, Json]] = []

    def begin(self) -> None:
        """Start an object."""
        if self.as_json:
            self.objects.append({})

    def any(self, key: str, text: str, value: Json) -> None:
        """Print one field."""
        if self.as_json:
            self.objects[-1][key] = value
        else:
            self.texts.append(text)

    def text(self, text: str) -> None:
        """Print what only the text form has."""
        if not self.as_json:
            self.texts.append(text)

    def json(self, key: str, value: Json) -> None:
        """Print what only JSON has."""
        if self.as_json:
            self.objects[-1][key] = value

    def result(self) -> str:
        """Return everything printed."""
        if not self.as_json:
            return "".join(self.texts)
        return render(list(self.objects), pretty=self.pretty) + "\n"


def render(value: Json, *, pretty: bool = False, depth: int = 0) -> str:
    """Write JSON as iproute2's json_writer does."""
    if isinstance(value, dict):
        if not pretty:
            return "{" + ",".join(f'"{key}":{render(item)}' for key, item in value.items()) + "}"
        inner = depth + 1
        indent = "\n" + "    " * inner
        body = ",".join(f'{indent}"{key}": {render(item, pretty=True, depth=inner)}' for key, item in value.items())
        return "{" + body + "\n" + "    " * depth + "}"
    if isinstance(value, list | tuple):
        if not pretty:
            return "[" + ",".join(render(item) for item in value) + "]"
        if not value:
            return "[ ]"
        return "[ " + ",".join(render(item, pretty=True, depth=depth + 1) for item in value) + " ]"
    return json.dumps(value)
