"""Pydantic's errors in netsim's words, at the place in the file; hints by likeness.

Source: design/scenario-format.md, "Input errors"; the form of the hints follows git and cargo: (did you mean "x"?).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from netsim.errors import Problem
from netsim.scenario import actions, expectations, model
from netsim.scenario.located import Located, Map, Mark, Scalar, Seq, path_text
from netsim.topology import model as topology
from netsim.topology.fields import shown

_QUOTED = re.compile(r"'([^']*)'")
_TYPES: Mapping[str, str] = MappingProxyType({
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a mapping", "model_type": "a mapping", "model_attributes_type": "a mapping", "tuple_type": "a list",
    "list_type": "a list", "float_type": "a number",
})  # fmt: skip
_LIMITS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "greater_than": ("gt", "more than"), "greater_than_equal": ("ge", "at least"), "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
})  # fmt: skip


_MOST_TOLD = 1000


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the likeliest of `known`, or the list of a few, or nothing."""
    names = [str(name) for name in known]
    meant = likeliest(word, names)
    if meant:
        return f'did you mean "{meant}"?'
    return f"there are: {', '.join(names)}" if 0 < len(names) <= 12 else ""


def likeliest(word: str, known: Sequence[str]) -> str:
    """Return the one of `known` that a misspelt word most likely means, or nothing."""
    folded = {name.lower(): name for name in reversed(known)}
    close = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def type_problems(error: ValidationError, tree: Located, prefix: tuple[str | int, ...]) -> list[Problem]:
    """Turn a ValidationError over `plain(tree)` into problems; `prefix` is the way from the file's top to the tree.

    Of very many the first are told, and how many more there are.
    """
    problems = []
    found = error.errors(include_url=False)
    more = len(found) - _MOST_TOLD
    found = found[:_MOST_TOLD]
    for each in found:
        loc = each["loc"]
        if each["type"] == "too_short" and any(
            len(other["loc"]) > len(loc) == _common(other["loc"], loc) for other in found
        ):
            continue  # items that failed are missing from the list; they have been told
        mark, path = _place(tree, _without_tag(loc), at_key=each["type"] == "extra_forbidden")
        what, hint = _words(dict(each), (*prefix, *loc))
        problems.append(mark.problem(path_text((*prefix, *path)), what, hint))
    if more > 0:
        problems.append(tree.mark.problem(path_text(prefix), f"{more} more mistakes of the same kinds"))
    return problems


def _common(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _without_tag(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Drop the kind that pydantic puts after an expectation's index: it is no part of the file."""
    return loc[:2] + loc[3:] if loc[:1] == ("expect",) else loc


def _place(tree: Located, loc: tuple[int | str, ...], *, at_key: bool) -> tuple[Mark, tuple[int | str, ...]]:
    """Follow `loc` through the tree; names of union members and "[key]" are no part of the file."""
    node: Located = tree
    mark = tree.mark
    path: list[int | str] = []
    for i, step in enumerate(loc):
        last = i == len(loc) - 1
        if isinstance(node, Map) and step in node.entries:
            entry = node.entries[str(step)]
            node, mark = (
                entry.value,
                entry.key.mark if (at_key and last) or isinstance(entry.value, Map) else entry.value.mark,
            )
            if loc[i + 1 : i + 2] == ("[key]",):
                mark = entry.key.mark
        elif isinstance(node, Seq) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            mark = node.mark
        elif not (isinstance(node, Scalar) and step == 0):
            if last and step != "[key]":
                path.append(step)  # a key that is missing is named after all
            continue
        else:
            continue
        path.append(step)
    return mark, tuple(path)


def _words(error: dict[str, Any], loc: tuple[int | str, ...]) -> tuple[str, str]:  # Any: pydantic's
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "netsim":
        return context["what"], context["hint"]
    if kind == "extra_forbidden":
        cls = model_at(loc[:-1])
        return f'unknown key "{loc[-1]}"', did_you_mean(str(loc[-1]), keys_of(cls) if cls else ())
    if kind == "missing":
        return f'missing key "{loc[-1]}"', ""
    if kind == "literal_error":
        names = _QUOTED.findall(context["expected"])
        if not names:
            return f"{shown(value)} is not {context['expected']}", ""
        return f"{shown(value)} is not one of {', '.join(names)}", _close_only(value, names)
    if kind == "union_tag_not_found":
        if not isinstance(value, Mapping):
            return f"{shown(value)} is not a mapping", ""
        return "says what nobody can check", f"one of these keys is needed: {', '.join(expectations.KINDS)}"
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return f"{shown(value)} is out of range", f"{words} {context[key]}"
    if kind == "too_short":
        return "an empty list", f"at least {context['min_length']}"
    if kind in _TYPES:
        return f"{shown(value)} is not {_TYPES[kind]}", _quote_hint(kind, value)
    return error["msg"], ""


def _close_only(value: object, names: list[str]) -> str:
    hint = did_you_mean(str(value), names)
    return hint if hint.startswith("did") else ""


def _quote_hint(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, (int, float)):
        return f'quote it: "{str(value).lower() if isinstance(value, bool) else value}"'
    if kind == "bool_type" and isinstance(value, str) and value in {"yes", "no", "on", "off"}:
        return f'did you mean "{"true" if value in {"yes", "on"} else "false"}"?'
    return ""


def keys_of(cls: type[BaseModel]) -> list[str]:
    """Return a model's keys as files write them."""
    return [field.alias or name for name, field in cls.model_fields.items()]


def model_at(loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the model that stands at `loc`, from the top of a scenario file."""
    match loc:
        case ():
            return model.Scenario
        case ("topology",):
            return topology.Topology
        case ("topology", "nodes", _):
            return topology.Node
        case ("topology", "nodes", _, "interfaces", _):
            return topology.Interface
        case ("topology", "links", _):
            return topology.Link
        case ("topology", "links", _, "a_to_b" | "b_to_a"):
            return topology.Direction
        case ("traffic", _):
            return model.Traffic
        case ("observe",):
            return model.Observe
        case ("events", _):
            return actions.Event
        case ("events", _, "impair"):
            return actions.Impairment
        case ("events", _, "flap"):
            return actions.Flap
        case ("events", _, "inject"):
            return actions.Injection
        case ("expect", _, str(kind)) if kind in expectations.KINDS:
            return expectations.KINDS[kind]
        case ("expect", _, "failover", "failover"):
            return expectations.Failover
        case _:
            return None
