"""Options that several commands share, with their help texts, and the reading of KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from netsim.errors import ConfigError, Problem

Files: TypeAlias = Annotated[list[str], typer.Argument(help="Scenario files.", metavar="FILE", show_default=False)]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Seed: TypeAlias = Annotated[
    int | None, typer.Option("--seed", help="Use this seed instead of the file's.", show_default=False)
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a value of the file: traffic.web.rate=1Mbit.", show_default=False
    ),
]
Out: TypeAlias = Annotated[
    str | None, typer.Option("--out", metavar="DIR", help="Write files into this folder.", show_default=False)
]


def settings(given: Sequence[str] | None, seed: int | None = None) -> dict[str, str]:
    """Turn KEY=VALUE options into a mapping. Raises ConfigError."""
    out: dict[str, str] = {}
    problems = []
    for each in given or ():
        key, equals, value = each.partition("=")
        if not equals or not key:
            problems.append(Problem("--set", 0, 0, each, "not KEY=VALUE", "as in --set traffic.web.rate=1Mbit"))
        out[key] = value
    if problems:
        raise ConfigError(*problems)
    if seed is not None:
        out["seed"] = str(seed)
    return out


def instant(text: str | None, option: str, end: int) -> int | None:
    """Read an option that is an instant of a run of length `end`. Raises ConfigError."""
    at = duration(text, option)
    if at is not None and at > end:
        from netsim.scenario.values import show

        what = f"{text} is after the run, which ends at {show(end, 'duration')}"
        raise ConfigError(Problem(option, 0, 0, "", what, "--set duration=... makes it longer"))
    return at


def duration(text: str | None, option: str) -> int | None:
    """Read a duration option. Raises ConfigError."""
    from netsim.scenario.values import parse_instant

    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise ConfigError(Problem(option, 0, 0, "", str(error), "write it as 250ms, 1.5s or 4m")) from error
