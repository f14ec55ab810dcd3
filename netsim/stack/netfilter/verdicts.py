"""What a target may answer besides NF_DROP, NF_ACCEPT and NF_STOLEN, with x_tables' values.

Source: include/uapi/linux/netfilter/x_tables.h.
"""

from __future__ import annotations

XT_CONTINUE = -1
"""Go on with the next rule (0xFFFFFFFF in the kernel)."""
