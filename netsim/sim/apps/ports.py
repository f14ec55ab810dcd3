"""Where traffic goes that names no port. Apart, so that a file can be checked without loading the world.

Source: design/scenario-format.md, "Traffic options".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_PORTS: Mapping[str, int] = MappingProxyType({"udp": 9, "tcp": 80, "http": 80, "ftp": 21})
"""By the kind of the traffic; a ping has none."""
