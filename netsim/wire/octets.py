"""What every reader of octets shares: the buffer type and the one exception a reader may raise."""

from __future__ import annotations

from typing import TypeAlias

Octets: TypeAlias = bytes | bytearray


class Truncated(ValueError):  # noqa: N818  # a fact about octets from outside, not an error of this program
    """A reader ran into the end of the octets: `what` needs `need` octets from its start and has `have`."""

    def __init__(self, what: str, need: int, have: int) -> None:
        self.what = what
        self.need = need
        self.have = max(0, have)
        super().__init__(f"{what} needs {need} octets, there are {self.have}")


def need(data: Octets, offset: int, length: int, what: str) -> None:
    """Raise Truncated unless `data` holds `length` octets from `offset` on."""
    if len(data) - offset < length:
        raise Truncated(what, length, len(data) - offset)
