"""A command of the person's inside a real node: its own terminal, its own exit status, and no life after netsim.

It runs in namespaces of processes and mounts of its own besides the node's network: when netsim ends, however it ends,
the kernel ends all of them. /etc/hosts there names the nodes of the topology, and no name server is asked: the
machine's own cannot be reached. Nothing outside sees any of it.
As sudo's caller where there is one: a command needs no root for what it does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from netsim.errors import Skipped
from netsim.kernel.sealed import Namespace

_INSIDE = """
mount -t tmpfs files /mnt
printf %s "$1" >/mnt/hosts
mount --bind /mnt/hosts /etc/hosts
: >/mnt/resolv.conf
[ ! -e /etc/resolv.conf ] || mount --bind /mnt/resolv.conf "$(readlink -f /etc/resolv.conf)"
umount /mnt
shift
set +e
"$@"
exit $?
"""
"""Files that only this place sees need a file system that only this place has. No name server is reached from here.

The command is a child of this shell, which is process 1: as process 1 it would hear no signal that it does not catch.
"""
_LISTEN = "0A"
"""TCP_LISTEN as /proc/net/tcp prints it."""


def hosts_file(addresses: Mapping[str, str]) -> str:
    """Return /etc/hosts of a node: every node's first address by name."""
    lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in addresses.items())]
    return "\n".join(lines) + "\n"


def start(namespace: Namespace, argv: Sequence[str], hosts: str, *, quiet: bool = False) -> subprocess.Popen[bytes]:
    """Start `argv` in the node; `hosts` is the text of its /etc/hosts. Raises Skipped where a tool is missing.

    A `quiet` one has no terminal, and only its complaints can be read: a server.
    """
    for tool in ("unshare", "mount", "setpriv"):
        if shutil.which(tool) is None:
            raise Skipped(f"a command in a real node needs {tool} (Debian: util-linux, mount)")
    wrapped = ["setpriv", "--pdeathsig", "KILL"]
    wrapped += [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        "sh",
        "-ec",
        _INSIDE,
        "sh",
        hosts,
        *_as_caller(),
        *argv,
    ]
    nowhere, heard = (subprocess.DEVNULL, subprocess.PIPE) if quiet else (None, None)
    with namespace.inside():
        return subprocess.Popen(wrapped, stdin=nowhere, stdout=nowhere, stderr=heard, start_new_session=quiet)


def _as_caller() -> list[str]:
    """Return what gives root up for the user who called sudo, nothing where nobody did."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if not uid or not gid or os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", uid, "--regid", gid, "--init-groups"]


def ports_open(namespace: Namespace) -> int:
    """Return how many sockets listen in a node: TCP ones that do, and all of UDP."""
    count = 0
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = (namespace.read(f"/proc/thread-self/net/{table}") or "").splitlines()[1:]
        count += sum(table.startswith("udp") or row.split()[3] == _LISTEN for row in rows)
    return count
