"""Requests about sysctls."""

from __future__ import annotations

from dataclasses import dataclass

from netsim.stack.requests.base import Done, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSysctl(Request[str]):
    """Read a setting, as /proc/sys prints it."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSysctl(Request[Done]):
    """Write a setting given as text."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSysctls(Request[tuple[str, ...]]):
    """List every name, sorted."""
