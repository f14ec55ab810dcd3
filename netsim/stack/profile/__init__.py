"""A kernel is a profile, a patch is a switch: what one era does otherwise, as named values chosen once for a box.

One file a subsystem (neigh, fib, ip, netfilter, patches), put together in `kernels`. No code asks "which era": it asks
for a named field. May import base only.
"""

from netsim.stack.profile.kernels import KERNELS, Profile, profile
from netsim.stack.profile.patches import PATCHES_22, PATCHES_24, Patches

__all__ = ["KERNELS", "PATCHES_22", "PATCHES_24", "Patches", "Profile", "profile"]
