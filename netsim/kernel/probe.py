"""What this kernel and this user can do where real boxes are wanted, each with its reason."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass

from netsim.errors import Skipped
from netsim.kernel.sealed import Namespace

TOOLS = ("ip", "iptables", "iptables-save", "conntrack", "sysctl", "ping", "arping", "tc", "bridge")
"""What the command lines of scenarios may begin with."""
ALWAYS = ("sh", "ip", "sysctl")


@dataclass(frozen=True, slots=True)
class Ability:
    """One thing that can be done here or not; `said` is the version, or why not."""

    name: str
    ok: bool
    said: str


def abilities() -> tuple[Ability, ...]:
    """Return what the machine can do with boxes of its own kernel, in the order it is needed."""
    out = [Ability("Linux", platform.system() == "Linux", f"{platform.system()} {platform.release()}")]
    out.append(_namespaces() if out[0].ok else Ability("namespaces", False, "only Linux has them"))
    for tool in dict.fromkeys((*ALWAYS, *TOOLS)):
        path = shutil.which(tool)
        out.append(Ability(tool, path is not None, path or f"{tool} is not installed"))
    return tuple(out)


def _namespaces() -> Ability:
    """Try to make a namespace with an interface pair in it, and let it go."""
    try:
        namespace = Namespace("probe")
    except Skipped as error:
        why = "" if os.geteuid() == 0 else "; not root"
        return Ability("namespaces", False, f"{error}{why}")
    try:
        if shutil.which("ip") is not None:
            code, _, said = namespace.run(["ip", "link", "add", "name", "v1", "type", "veth", "peer", "name", "v2"])
            if code:
                return Ability("namespaces", False, f"no veth pair can be made: {said.strip()}")
    finally:
        namespace.close()
    return Ability("namespaces", True, "network namespaces and veth pairs can be made")


def require(what: str = "the real kernel cannot be asked") -> None:
    """Raise Skipped, with the first reason after `what`, when no real box can be made here."""
    for ability in abilities():
        if not ability.ok and ability.name in ("Linux", "namespaces", *ALWAYS):
            raise Skipped(f"{what}: {ability.said}")
