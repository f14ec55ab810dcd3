"""What the optional compiled build has to be told in the source; in pure Python it does nothing.

mypyc's classes cannot have subclasses in Python unless they say so. Its own decorator lives in a package that nobody
needs at run time, so here is one of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:
    T = TypeVar("T")

    def mypyc_attr(**_: bool) -> Callable[[T], T]:
        """Return a decorator that leaves a class as it is."""
        return lambda cls: cls


__all__ = ["mypyc_attr"]
