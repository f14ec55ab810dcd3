"""The moving packet: immutable octets with an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netsim.wire.scapy_view import Packet


class Frame:
    """Octets on a wire, from the Ethernet destination to the end of the payload (no preamble, no FCS).

    `uid` is unique in a run and greater than 0; `parent` is the uid of the frame this one was made from (a forwarded
    packet, a hub's copy, an answer), or 0. `bad` tells that a link damaged it on purpose (`corrupt:`), or that a person
    wrote it (`inject:`, a callback): its checksums are not netsim's to answer for. On a device without link headers
    (ppp, tun) octets begin with the IP header and `link_header` is False. `summed` tells that the sender has proof that
    the IP and UDP checksums are right, so that nobody needs to sum them again (CHECKSUM_UNNECESSARY).
    """

    __slots__ = ("_scapy", "bad", "link_header", "octets", "parent", "summed", "uid")

    def __init__(
        self, octets: bytes, uid: int, parent: int = 0, *, bad: bool = False, link_header: bool = True,
        summed: bool = False,
    ) -> None:  # fmt: skip
        self.octets = octets
        self.uid = uid
        self.parent = parent
        self.bad = bad
        self.link_header = link_header
        self.summed = summed
        self._scapy: Packet | None = None  # once somebody asked; scapy is not imported before

    @property
    def scapy(self) -> Packet:
        """The scapy packet of these octets, dissected on first touch. Editing it does not change the frame."""
        if self._scapy is None:
            from netsim.wire.scapy_view import dissect

            self._scapy = dissect(self.octets, link_header=self.link_header)
        return self._scapy

    def __len__(self) -> int:
        return len(self.octets)

    def __repr__(self) -> str:
        from netsim.wire.summary import summary

        return f"<Frame {self.uid} {summary(self.octets, link_header=self.link_header)}>"
