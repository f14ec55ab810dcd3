"""`netsim doctor`: what this machine can do with netsim."""

from __future__ import annotations

import typer

from netsim.cli.options import Json

_LIBRARIES = ("simpy", "scapy", "networkx", "matplotlib", "pydantic", "PyYAML", "typer")
_EXTRAS = (("pytest", "the pytest plug-in"), ("ns.py", "the benchmark against ns.py"))
_TOOLS = (
    ("ip", "verify against the real kernel"), ("iptables", "verify NAT against the real kernel"),
    ("conntrack", "verify connection tracking"), ("tshark", "read captures, checked in tests"),
)  # fmt: skip


def doctor(json: Json = False) -> None:
    """Tell which parts of netsim work on this machine. Says what is missing for the others.

    Example: netsim doctor
    """
    import platform
    import shutil
    from importlib.metadata import PackageNotFoundError, version

    from netsim.cli.output import rows
    from netsim.kernel.probe import abilities
    from netsim.stack import netns

    found: list[dict[str, str | bool]] = []

    def note(what: str, ok: bool, said: str, needed: bool) -> None:
        found.append({"what": what, "ok": ok, "said": said, "needed": needed})

    def version_of(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    note("python", True, platform.python_version(), True)
    native = not str(netns.__file__).endswith(".py")
    note("engine", True, "compiled with mypyc" if native else "pure Python (or: NETSIM_COMPILE=1 pip install .)", True)
    for name in _LIBRARIES:
        installed = version_of(name)
        note(name, installed is not None, installed or "not installed: pip install " + name, True)
    for name, purpose in _EXTRAS:
        installed = version_of(name)
        note(name, installed is not None, installed or f"not installed; only for {purpose}", False)
    for name, purpose in _TOOLS:
        path = shutil.which(name)
        note(name, path is not None, path or f"not found; only to {purpose}", False)
    sealed = next(each for each in abilities() if each.name == "namespaces")
    note("namespaces", sealed.ok, sealed.said if sealed.ok else f"{sealed.said}: verify is skipped (exit 4)", False)
    healthy = all(each["ok"] for each in found if each["needed"])
    if json:
        from json import dumps

        typer.echo(dumps({"ok": healthy, "checks": found}, indent=2))
    else:
        rows(
            [
                ["ok" if each["ok"] else "MISSING" if each["needed"] else "-", str(each["what"]), str(each["said"])]
                for each in found
            ]
        )
    raise typer.Exit(0 if healthy else 2)
