"""The pcap-filter words of scenario files, read as libpcap reads them and judged over octets.

Words: src dst host net port, ip arp icmp tcp udp, and or not (&& || !), parentheses. Every other word is refused by
name. Two rules of libpcap surprise: `and` and `or` bind equally, left to right; and an address or port alone takes the
qualifiers of the one before it ("tcp port 80 or 443").

Source: pcap-filter(7); libpcap grammar.y and gencode.c (gen_ncode(), gen_mcode(), gen_host(), gen_port()), 1.10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from struct import error as struct_error
from typing import NamedTuple, NoReturn

from netsim.addr import MASKS, Ip, parse_ip
from netsim.errors import ConfigError, Problem
from netsim.observe.predicates import (
    PROTOCOLS,
    U16,
    Test,
    address_test,
    always,
    both,
    either,
    negated,
    port_test,
    protocol_test,
)  # fmt: skip
from netsim.wire.ether import ETH_HLEN, ETH_P_IP, ETH_P_IPV6
from netsim.wire.frame import Frame
from netsim.wire.octets import Octets

REFUSED: frozenset[str] = frozenset((
    "aarp", "atalk", "broadcast", "carp", "decnet", "dir", "ether", "ah", "esp", "fddi", "gateway", "geneve", "greater",
    "icmp6", "igmp", "igrp", "inbound", "ip6", "ipx", "isis", "lat", "len", "less", "link", "mask", "mpls", "multicast",
    "netbeui", "on", "outbound", "pim", "portrange", "pppoed", "pppoes", "proto", "protochain", "radio", "rarp",
    "sctp", "stp", "tr", "type", "vlan", "vrrp", "wlan",
))  # fmt: skip
_WORDS = "src dst host net port ip arp icmp tcp udp and or not ( )"
_TOKEN = re.compile(r"\s+|(?P<op>&&|\|\||[!()])|(?P<word>[A-Za-z0-9][A-Za-z0-9._:/-]*)|(?P<bad>.)", re.DOTALL)


class FilterError(ConfigError):
    """A filter that cannot be read: `what` and `hint` as said, `column` counted from 0 in `text`."""

    def __init__(self, text: str, column: int, what: str, hint: str = "") -> None:
        self.text = text
        self.column = column
        self.what = what
        self.hint = hint
        super().__init__(Problem("filter", 1, column + 1, "", what, hint, text))


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter. `matches(octets)` follows BPF: reading past the end of a packet rejects the packet."""

    text: str
    test: Test

    def matches(self, octets: Octets, *, link_header: bool = True) -> bool:
        """Tell whether a frame (or, without `link_header`, an IP packet) matches."""
        try:
            if link_header:
                return self.test(octets, ETH_HLEN, U16(octets, 12)[0])
            version = octets[0] >> 4
            return self.test(octets, 0, ETH_P_IP if version == 4 else ETH_P_IPV6 if version == 6 else 0)
        except (IndexError, struct_error):
            return False  # as a BPF load beyond the packet: the program returns 0, whatever `not` stands around it

    def matches_frame(self, frame: Frame) -> bool:
        """Tell whether a frame matches."""
        return self.matches(frame.octets, link_header=frame.link_header)


def compile_filter(text: str) -> Filter:
    """Compile a filter; an empty one matches everything. Raises FilterError at the first word it cannot take."""
    parser = _Parser(text)
    return Filter(text, parser.parse())


class _Token(NamedTuple):
    text: str
    column: int


class _Qualifiers(NamedTuple):
    """What stands before an address or port: protocol ("" any), direction ("" either), kind ("" is host)."""

    proto: str = ""
    direction: str = ""
    kind: str = ""


class _Parser:
    """Recursive descent over the grammar of the module docstring; `_last` carries the qualifiers a bare id inherits."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokenise(text)
        self._at = 0
        self._last: _Qualifiers | None = None

    def parse(self) -> Test:
        if not self._tokens:
            return always
        test = self._expression()
        if self._peek():
            self._fail(f'"{self._peek()}" is out of place', "join tests with `and` or `or`")
        return test

    # -- tokens

    def _peek(self, ahead: int = 0) -> str:
        index = self._at + ahead
        return self._tokens[index].text if index < len(self._tokens) else ""

    def _column(self) -> int:
        return self._tokens[self._at].column if self._at < len(self._tokens) else len(self._text.rstrip())

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _fail(self, what: str, hint: str = "", *, column: int | None = None) -> NoReturn:
        raise FilterError(self._text, self._column() if column is None else column, what, hint)

    # -- grammar

    def _expression(self) -> Test:
        """expr: term {(and | or) term}, both of the same strength, from left to right."""
        test = self._term()
        while (word := self._peek()) in ("and", "or"):
            self._take()
            test = both(test, self._term()) if word == "and" else either(test, self._term())
        return test

    def _term(self) -> Test:
        if self._peek() == "not":
            self._take()
            return negated(self._term())
        if self._peek() == "(":
            column = self._column()
            bare = self._is_id()
            self._take()
            test = self._expression()
            self._close(column)
            if not bare:
                self._last = None  # "(port 80) or 90" is an error, "port 80 or (443 or 90)" is not
            return test
        return self._primitive()

    def _close(self, opened: int) -> None:
        if self._peek() != ")":
            if self._peek():
                self._fail(f'"{self._peek()}" is out of place', "join tests with `and` or `or`")
            self._fail('"(" is never closed', column=opened)
        self._take()

    def _primitive(self) -> Test:
        word = self._peek()
        column = self._column()
        if not word:
            self._fail("the filter ends where a test is expected", "for instance `host 10.0.0.1`")
        if word in REFUSED:
            hint = "list the ports: `port 80 or 81`" if word == "portrange" else f"words known here: {_WORDS}"
            self._fail(f'"{word}" is a pcap-filter word that netsim does not take', hint)
        if word in (")", "and", "or"):
            self._fail(f'"{word}" is out of place', "a test is expected here")
        given = self._qualifiers()
        if given is None:
            if not word[0].isdigit():
                close = get_close_matches(word, _WORDS.split(), 1)
                self._fail(
                    f'"{word}" is not a word of a filter',
                    f'did you mean "{close[0]}"?' if close else f"words known here: {_WORDS}",
                )
            if self._last is None:
                self._fail(f'"{word}" stands alone', f"write `host {word}`, `net {word}` or `port {word}`")
            return self._id(self._last, None)
        if not given.direction and not given.kind:
            if self._is_id():
                self._fail(
                    f'"{self._peek()}" is out of place', f"write `{given.proto} host ...` or `{given.proto} port ...`"
                )
            self._last = None
            return protocol_test(given.proto)
        self._last = given
        if self._peek() == "(":
            return self._id_group(given)
        return self._id(given, column)

    def _qualifiers(self) -> _Qualifiers | None:
        proto = direction = kind = ""
        start = self._at
        if self._peek() in ("ip", "arp", *PROTOCOLS):
            proto = self._take()
        if self._peek() in ("src", "dst"):
            direction = self._take()
            other = "dst" if direction == "src" else "src"
            if self._peek() in ("and", "or") and self._peek(1) == other:
                direction = "" if self._take() == "or" else "both"
                self._take()
        if self._peek() in ("host", "net", "port"):
            kind = self._take()
        return _Qualifiers(proto, direction, kind) if self._at > start else None

    def _is_id(self) -> bool:
        """Tell whether the next token is an address or number, or opens a group of them."""
        word = self._peek(1) if self._peek() == "(" else self._peek()
        return bool(word) and word[0].isdigit()

    def _id_group(self, qualifiers: _Qualifiers) -> Test:
        """port (80 or 443): the qualifiers hold for each in the parentheses."""
        column = self._column()
        self._take()
        test = self._group_member(qualifiers)
        while (word := self._peek()) in ("and", "or"):
            self._take()
            member = self._group_member(qualifiers)
            test = both(test, member) if word == "and" else either(test, member)
        self._close(column)
        return test

    def _group_member(self, qualifiers: _Qualifiers) -> Test:
        if self._peek() == "not":
            self._take()
            return negated(self._group_member(qualifiers))
        if self._peek() == "(":
            return self._id_group(qualifiers)
        return self._id(qualifiers, None)

    def _id(self, q: _Qualifiers, qualifier_column: int | None) -> Test:
        word, column = self._peek(), self._column()
        if not word or word in (")", "(", "and", "or", "not"):
            wanted = {"port": "a port number", "net": "a network"}.get(q.kind, "an address")
            found = f'"{word}"' if word else "the filter's end"
            self._fail(f"{wanted} is expected, not {found}")
        if word in REFUSED:
            self._fail(f'"{word}" is a pcap-filter word that netsim does not take', f"words known here: {_WORDS}")
        at = column if qualifier_column is None else qualifier_column
        if q.kind == "port":
            if q.proto in ("ip", "arp", "icmp"):
                self._fail(f'"{q.proto}" has no ports', "use `tcp port`, `udp port` or `port`", column=at)
            port = self._port(word)
            self._take()
            return port_test(PROTOCOLS.get(q.proto, 0), q.direction, port)
        if q.proto in PROTOCOLS:
            what = f"'{q.proto}' modifier applied to {q.kind or 'host'}"
            self._fail(what, f"write `{q.proto} and {q.kind or 'host'} ...`", column=at)
        addr, mask = self._address(word, q.kind)
        self._take()
        return address_test(q.proto, q.direction, addr, mask)

    def _port(self, word: str) -> int:
        if not word.isdigit():
            self._fail(f'"{word}" is not a port', "a number: service names differ between machines")
        port = int(word)
        if port > 65535:
            self._fail(f"illegal port number {port} > 65535")
        return port

    def _address(self, word: str, kind: str) -> tuple[Ip, Ip]:
        """Read "10.0.1.1", "10.0.1" (its /24), "10.0.1.0/24" (net only) or a bare number, as gen_ncode() does."""
        quad, slash, length = word.partition("/")
        parts = quad.split(".")
        if not all(part.isascii() and part.isdigit() for part in parts) or len(parts) > 4:
            self._fail(f'"{word}" is not an IPv4 address', "names are not looked up")
        if slash:
            if kind != "net":
                self._fail("Mask syntax for networks only", f"write `net {word}`")
            if not length.isdigit() or int(length) > 32:
                self._fail(f'"{length}" is not a prefix length', "0 to 32")
        if len(parts) == 1 and not slash:
            return self._bare_number(int(quad), kind)
        if any(int(part) > 255 for part in parts):
            self._fail(f'"{word}" is not an IPv4 address')
        addr = parse_ip(".".join([str(int(part)) for part in parts] + ["0"] * (4 - len(parts))))
        mask = MASKS[int(length)] if slash else MASKS[8 * len(parts)]
        if addr & ~mask & 0xFFFFFFFF:
            self._fail(f"non-network bits set in {word}", f"the network is {_quad(addr & mask)}/{length}")
        return addr, mask

    def _bare_number(self, value: int, kind: str) -> tuple[Ip, Ip]:
        if value > 0xFFFFFFFF:
            self._fail(f"{value} is not an IPv4 address")
        mask = 0xFFFFFFFF
        if kind == "net":  # "Promote short net number", gen_ncode()
            while value and not value & 0xFF000000:
                value <<= 8
                mask = mask << 8 & 0xFFFFFFFF
        return value, mask


def _tokenise(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(text):
        column = match.start()
        if (bad := match["bad"]) is not None:
            hint = (
                "packet data and arithmetic are not taken" if bad in "[]=<>+-*&|^%" else f"words known here: {_WORDS}"
            )
            raise FilterError(text, column, f'"{bad}" cannot stand in a filter', hint)
        if (op := match["op"]) is not None:
            tokens.append(_Token({"&&": "and", "||": "or", "!": "not"}.get(op, op), column))
        elif (word := match["word"]) is not None:
            tokens.append(_Token(word, column))
    return tokens


def _quad(addr: Ip) -> str:
    return ".".join(str(octet) for octet in addr.to_bytes(4, "big"))
