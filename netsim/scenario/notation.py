"""Packets in scapy's notation, parsed and never evaluated: `Ether()/IP(dst="10.0.0.1")/UDP(dport=53)/"text"`.

Only layers divided by `/`, keyword arguments and literals exist in this language, so a scenario file from anybody can
be read. An address is an address and a port a number: names would be scapy's to ask this machine and its name servers
for. Source: design/scenario-format.md, `inject`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from netsim.addr import parse_ip, parse_mac

LAYERS = ("Ether", "ARP", "IP", "UDP", "TCP", "ICMP", "Raw", "Padding")

Literal: TypeAlias = "int | str | bytes | list[Literal] | tuple[Literal, ...] | None"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its scapy class by name, its fields, its column; Raw with `load` for text and octets."""

    name: str
    fields: dict[str, Any]  # Any: literals of several types
    column: int


class NotationError(ValueError):
    """The text is no packet; `column` counts from 0."""

    def __init__(self, column: int, what: str, hint: str = "") -> None:
        self.column = column
        self.what = what
        self.hint = hint
        super().__init__(what)


def parse_packet(text: str) -> tuple[Layer, ...]:
    """Read a packet's layers, outermost first. Raises NotationError."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = max(0, (error.offset or 1) - 1) if isinstance(error, SyntaxError) else 0
        raise NotationError(
            column, "not a packet in scapy's notation", 'as in Ether()/IP(dst="10.0.0.1")/UDP(dport=53)'
        ) from error
    return tuple(_layers(tree))


def _layers(node: ast.expr) -> list[Layer]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _layers(node.left) + _layers(node.right)
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        load = node.value.encode() if isinstance(node.value, str) else node.value
        return [Layer("Raw", {"load": load}, node.col_offset)]
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise NotationError(node.col_offset, "not a layer", "layers are calls divided by /, payload is text in quotes")
    if node.func.id not in LAYERS:
        raise NotationError(node.col_offset, f"unknown layer {node.func.id}", f"there are: {', '.join(LAYERS)}")
    fields: dict[str, Any] = {}  # Any: as in Layer
    for keyword in node.keywords:
        if keyword.arg is None:
            raise NotationError(keyword.value.col_offset, "** is not part of the notation")
        fields[keyword.arg] = _field(node.func.id, keyword.arg, keyword.value)
    if node.args and node.func.id == "Raw" and len(node.args) == 1:
        fields["load"] = _literal(node.args[0])
    elif node.args:
        raise NotationError(node.args[0].col_offset, "a field needs its name", 'as in IP(dst="10.0.0.1")')
    return [Layer(node.func.id, fields, node.col_offset)]


def _port(value: str) -> None:
    raise ValueError(f'"{value}" is not a number')


_MEANT: Mapping[tuple[str, str], Callable[[str], object]] = MappingProxyType({
    ("IP", "src"): parse_ip, ("IP", "dst"): parse_ip, ("ARP", "psrc"): parse_ip, ("ARP", "pdst"): parse_ip,
    ("ICMP", "gw"): parse_ip, ("ICMP", "addr_mask"): parse_ip, ("Ether", "src"): parse_mac, ("Ether", "dst"): parse_mac,
    ("ARP", "hwsrc"): parse_mac, ("ARP", "hwdst"): parse_mac, ("UDP", "sport"): _port, ("UDP", "dport"): _port,
    ("TCP", "sport"): _port, ("TCP", "dport"): _port,
})  # fmt: skip
"""How the text of a field is read that scapy would look up elsewhere; each raises ValueError."""


def _field(layer: str, name: str, node: ast.expr) -> Any:  # Any: a literal
    value = _literal(node)
    meant = _MEANT.get((layer, name))
    if meant is None or value is None or (meant is _port and isinstance(value, int)):
        return value
    try:
        meant(value if isinstance(value, str) else ast.unparse(node))
    except ValueError as error:
        raise NotationError(node.col_offset, f"{layer}: {name}: {error}") from error
    return value


def _literal(node: ast.expr) -> Any:  # Any: a literal
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotationError(
            node.col_offset, "not a literal value", "numbers, text, lists; nothing is computed"
        ) from error


def build(layers: tuple[Layer, ...]) -> Any:  # Any: a scapy packet
    """Make the scapy packet. Raises NotationError for a field that scapy does not know or cannot build."""
    from scapy.layers import inet, l2
    from scapy.packet import Padding, Raw

    from netsim.wire.scapy_view import to_octets

    classes = {
        "Ether": l2.Ether, "ARP": l2.ARP, "IP": inet.IP, "UDP": inet.UDP, "TCP": inet.TCP, "ICMP": inet.ICMP,
        "Raw": Raw,
        "Padding": Padding,
    }  # fmt: skip
    packet = None
    for layer in layers:
        try:
            made = classes[layer.name](**layer.fields)
            to_octets(made)
        except Exception as error:  # scapy raises whatever it meets in a value that is not for that field
            words = str(error).partition("\n")[0].rstrip(":")
            if isinstance(error, (KeyError, AttributeError)):
                words = f"no {'value' if isinstance(error, KeyError) else 'field'} {words}"
            raise NotationError(layer.column, f"{layer.name}: {words}") from error
        packet = made if packet is None else packet / made
    return packet
