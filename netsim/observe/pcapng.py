"""Write pcapng: named interfaces, nanosecond stamps, directions and comments, as Wireshark and tcpdump read them.

Only what a capture of a run needs, streamed: a block is written at once and nothing is kept but the interface list.
Two runs give the same octets: no date, host or version is written.

Source: draft-ietf-opsawg-pcapng, sections 4.1 (SHB), 4.2 (IDB), 4.3 (EPB), 3.5 (options).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import BinaryIO

from netsim.units import Ns

LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
"""Begins with an IPv4 or IPv6 header: ppp and tun devices."""

DIRECTION_UNKNOWN = 0
DIRECTION_IN = 1
DIRECTION_OUT = 2

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE_DESCRIPTION = 1
_ENHANCED_PACKET = 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D

_OPT_END = b"\0\0\0\0"
_OPT_COMMENT = 1
_SHB_USERAPPL = 4
_IF_NAME = 2
_IF_DESCRIPTION = 3
_IF_TSRESOL = 9
_EPB_FLAGS = 2
_NANOSECONDS = b"\x09"
"""if_tsresol: stamps count units of 10^-9 s."""

_OPTION = Struct("<HH")
_FLAGS = Struct("<HHI")
_DIRECTIONS = (b"", *(_FLAGS.pack(_EPB_FLAGS, 4, way) + _OPT_END for way in (DIRECTION_IN, DIRECTION_OUT)))
"""The options of a packet without comments, by its direction."""
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class PcapngWriter:
    """Writes one section to a binary file. The caller opens and closes the file."""

    def __init__(self, file: BinaryIO, *, application: str = "netsim", comment: str = "") -> None:
        self._file = file
        self._interfaces = 0
        self._blocks: dict[tuple[int, int], Struct] = {}  # by the lengths of frame and options: one call packs it all
        options = _option(_OPT_COMMENT, comment.encode()) if comment else b""
        options += _option(_SHB_USERAPPL, application.encode()) + _OPT_END
        unknown_length = (-1).to_bytes(8, "little", signed=True)
        self._block(_SECTION_HEADER, Struct("<IHH").pack(_BYTE_ORDER_MAGIC, 1, 0) + unknown_length + options)

    def interface(self, name: str, description: str = "", linktype: int = LINKTYPE_ETHERNET) -> int:
        """Describe one more interface; returns the number that `packet` takes."""
        options = _option(_IF_NAME, name.encode())
        if description:
            options += _option(_IF_DESCRIPTION, description.encode())
        options += _option(_IF_TSRESOL, _NANOSECONDS) + _OPT_END
        self._block(_INTERFACE_DESCRIPTION, Struct("<HHI").pack(linktype, 0, 0) + options)
        self._interfaces += 1
        return self._interfaces - 1

    def packet(
        self, interface: int, t: Ns, octets: bytes, direction: int = DIRECTION_UNKNOWN, comments: Sequence[str] = ()
    ) -> None:
        """Write a frame seen on an interface at `t`, with its direction and any number of comments."""
        length = len(octets)
        options = _DIRECTIONS[direction]
        if comments:
            options = b"".join(_option(_OPT_COMMENT, comment.encode()) for comment in comments) + (options or _OPT_END)
        size = (length, len(options))
        block = self._blocks.get(size)
        if block is None:
            block = Struct(f"<IIIIIII{length}s{-length & 3}x{size[1]}sI")
            if not comments:
                self._blocks[size] = block
        total = block.size
        self._file.write(
            block.pack(
                _ENHANCED_PACKET, total, interface, t >> 32, t & 0xFFFFFFFF, length, length, octets, options, total
            )
        )

    def _block(self, kind: int, body: bytes) -> None:
        total = (12 + len(body)).to_bytes(4, "little")
        self._file.write(kind.to_bytes(4, "little") + total + body + total)


def _option(code: int, value: bytes) -> bytes:
    """Return one option, its value filled to a multiple of four; longer than 65535 octets it is cut."""
    value = value[:0xFFFF]
    return _OPTION.pack(code, len(value)) + value + _PADDING[len(value) & 3]
