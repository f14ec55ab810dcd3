"""Where in the scenario a difference has its cause, as far as that can be told: FILE:LINE."""

from __future__ import annotations

from netsim.scenario.located import Located, Map, Seq
from netsim.scenario.model import Scenario
from netsim.units import Ns


class Places:
    """Finds lines of one scenario's file; "" where the scenario has none."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._tree = scenario.origin

    def flow(self, name: str) -> str:
        """Return the line of a flow."""
        return _text(None if self._tree is None else self._tree.get("traffic", name))

    def command(self, node: str, line: str, t: Ns) -> str:
        """Return the line of the event or expectation that ran a command."""
        for index, event in enumerate(self._scenario.events):
            if event.run is not None and event.at <= t and line in event.run.get(node, ""):
                return self._item("events", index)
        for index, expect in enumerate(self._scenario.expect):
            if line in str(getattr(expect, "run", "")) and getattr(expect, "node", "") == node:
                return self._item("expect", index)
        return ""

    def expectation(self, index: int) -> str:
        """Return the line of an expectation."""
        return self._item("expect", index)

    def around(self, t: Ns) -> str:
        """Return the line of the last event before an instant: what happened is likely its doing."""
        before = [(event.at, index) for index, event in enumerate(self._scenario.events) if event.at <= t]
        return self._item("events", max(before)[1]) if before else ""

    def node(self, name: str) -> str:
        """Return the line of a node."""
        return _text(None if self._tree is None else self._tree.get("topology", "nodes", name))

    def _item(self, key: str, index: int) -> str:
        found = None if self._tree is None else self._tree.get(key)
        return _text(found.items[index]) if isinstance(found, Seq) and index < len(found.items) else ""


def _text(where: Located | None) -> str:
    if where is None or not where.mark.line:
        return ""
    first = where
    if isinstance(where, Map) and where.entries:
        first = next(iter(where.entries.values())).key
    return f"{first.mark.source.file}:{first.mark.line}"
