"""REJECT and LOG: targets that answer or tell. Source: extensions/libipt_REJECT.c, libxt_LOG.c (1.8.9)."""

from __future__ import annotations

from types import MappingProxyType

from netsim.shell.iptables.extension import MisuseError, Option, RuleHead, Uses, quoted, string
from netsim.stack.netfilter.klog import (
    XT_LOG_IPOPT,
    XT_LOG_MACDECODE,
    XT_LOG_TCPOPT,
    XT_LOG_TCPSEQ,
    XT_LOG_UID,
)
from netsim.stack.netfilter.rulespec import LogTarget, RejectTarget

_HOW = (
    ("icmp-net-unreachable", "net-unreach"), ("icmp-host-unreachable", "host-unreach"),
    ("icmp-proto-unreachable", "proto-unreach"), ("icmp-port-unreachable", "port-unreach"),
    ("icmp-net-prohibited", "net-prohib"), ("icmp-host-prohibited", "host-prohib"), ("tcp-reset", "tcp-rst"),
    ("icmp-admin-prohibited", "admin-prohib"),
)  # fmt: skip


def _read_how(option: Option, text: str) -> str:
    """Read a name, its short form, or the beginning of either: the first in the list that fits."""
    for names in _HOW:
        if any(name.startswith(text.lower()) for name in names):
            return names[0]
    raise MisuseError(f'unknown reject type "{text}"')


class RejectExtension:
    """`-j REJECT`."""

    name = "REJECT"
    options = (Option(owner="REJECT", name="reject-with", read=_read_how),)

    def build(self, uses: Uses, head: RuleHead) -> RejectTarget:
        """Make the spec."""
        return RejectTarget(uses.value("reject-with", "icmp-port-unreachable"))

    def save(self, spec: RejectTarget) -> str:
        """Print the answer's name, the default's too."""
        return f" --reject-with {spec.how}"

    def show(self, spec: RejectTarget, numeric: bool) -> str:
        """Print the same without dashes."""
        return f" reject-with {spec.how}"


_LEVELS = (
    ("alert", 1), ("crit", 2), ("debug", 7), ("emerg", 0), ("error", 3), ("info", 6), ("notice", 5), ("panic", 0),
    ("warning", 4),
)  # fmt: skip
_LEVEL_NAMES = MappingProxyType(
    {0: "emerg", 1: "alert", 2: "crit", 3: "err", 4: "warn", 5: "notice", 6: "info", 7: "debug"}
)
_LOG_FLAGS = (
    ("log-tcp-sequence", XT_LOG_TCPSEQ), ("log-tcp-options", XT_LOG_TCPOPT), ("log-ip-options", XT_LOG_IPOPT),
    ("log-uid", XT_LOG_UID), ("log-macdecode", XT_LOG_MACDECODE),
)  # fmt: skip
DEFAULT_LEVEL = 4


def _read_level(option: Option, text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 7:
        return int(text)
    for name, level in _LEVELS:
        if name == text.lower():
            return level
    raise MisuseError(f'log level "{text}" unknown\n')


class LogExtension:
    """`-j LOG`."""

    name = "LOG"
    options = (
        Option(owner="LOG", name="log-level", read=_read_level),
        Option(owner="LOG", name="log-prefix", read=string(1, 29)),
        *(Option(owner="LOG", name=name, args=0) for name, _ in _LOG_FLAGS),
    )

    def build(self, uses: Uses, head: RuleHead) -> LogTarget:
        """Make the spec."""
        return LogTarget(
            prefix=uses.value("log-prefix", ""),
            level=uses.value("log-level", DEFAULT_LEVEL),
            flags=sum(bit for name, bit in _LOG_FLAGS if name in uses),
        )

    def save(self, spec: LogTarget) -> str:
        """Print what is not the default."""
        out = f" --log-prefix {quoted(spec.prefix)}" if spec.prefix else ""
        out += f" --log-level {spec.level}" if spec.level != DEFAULT_LEVEL else ""
        return out + "".join(f" --{name}" for name, bit in _LOG_FLAGS if spec.flags & bit)

    def show(self, spec: LogTarget, numeric: bool) -> str:
        """Print "LOG flags 0 level 4", or the names."""
        prefix = f' prefix "{spec.prefix}"' if spec.prefix else ""
        if numeric:
            return f" LOG flags {spec.flags} level {spec.level}{prefix}"
        words = "".join(f" {name.removeprefix('log-')}" for name, bit in _LOG_FLAGS if spec.flags & bit)
        return f" LOG level {_LEVEL_NAMES[spec.level]}{words}{prefix}"


EXTENSIONS = (RejectExtension(), LogExtension())
