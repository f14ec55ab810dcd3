"""The files of a run: result.json, trace.jsonl, capture.pcapng, plots, report.html.

Source: design/scenario-format.md, "Result", last sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from netsim.errors import ConfigError, Problem
from netsim.files import Staging, write_text
from netsim.observe.capture import Capture, resolve_points
from netsim.observe.filter import compile_filter
from netsim.observe.plot.ladder import Ladder, mermaid, text_ladder
from netsim.scenario.gather import Ends
from netsim.scenario.model import Scenario
from netsim.scenario.plots import FORMATS, PLOTS, save_plots, svg_figures
from netsim.scenario.result import Result
from netsim.topology.model import Topology
from netsim.trace.bus import Bus
from netsim.trace.records import (
    CommandRun,
    ConnectionEvent,
    Dropped,
    FlowError,
    NatMapped,
    NeighChange,
    Record,
    RouteEvent,
    WorldEvent,
    as_json,
)
from netsim.wire.drop import OTHERHOST

TRACED: tuple[type, ...] = (
    WorldEvent, NeighChange, NatMapped, RouteEvent, CommandRun, Dropped, FlowError, ConnectionEvent,
)  # fmt: skip
"""What trace.jsonl holds: what happened and why, without the frames, which are in capture.pcapng."""

_STALE = ("trace.jsonl", "capture.pcapng", "ladder.txt", "ladder.mmd", "report.html")
"""What an earlier run may have left beside its plots, and a later one not have."""


class Outputs:
    """Writes into one folder while the run goes on; `finish` writes the rest. Raises ConfigError when it cannot."""

    def __init__(self, folder: Path, bus: Bus, scenario: Scenario, topology: Topology, ends: Ends) -> None:
        _refuse_inside_a_run(folder)
        with _told(folder):
            self._staging = Staging(folder)
            self.folder = self._staging.path
            self._trace: IO[str] = (self.folder / "trace.jsonl").open("w", encoding="utf-8")
            wanted = bool(scenario.observe.pcap)
            self._pcap: IO[bytes] | None = (self.folder / "capture.pcapng").open("wb") if wanted else None
        addresses = {
            (name, dev): ", ".join(texts) for name, node in topology.nodes.items() for dev, texts in node.addr.items()
        }
        self._capture: Capture | None = None
        if self._pcap is not None:
            self._capture = Capture(
                bus, resolve_points(scenario.observe.pcap, ends), file=self._pcap,
                describe=lambda node, dev: addresses.get((node, dev), ""),
            )  # fmt: skip
        self._ladder = Ladder(bus, compile_filter("")) if "ladder" in scenario.observe.plot else None
        bus.subscribe(TRACED, self._record)

    def _record(self, record: Record) -> None:
        if isinstance(record, Dropped) and record.reason == OTHERHOST:
            return  # what a hub copies to those it is not for: every frame, and no news
        json.dump(as_json(record), self._trace, ensure_ascii=False, separators=(",", ":"))
        self._trace.write("\n")

    def finish(self, result: Result) -> bool:
        """Close the streams, write the result, the plots and the report, and put all of them into the folder.

        Ctrl-C leaves out the plots that are not drawn yet, and the report; returns whether all is there.
        """
        with _told(self._staging.folder):
            self._close()
            (self.folder / "result.json").write_text(result.to_json(indent=2) + "\n", encoding="utf-8")
            if self._ladder is not None:
                (self.folder / "ladder.txt").write_text(text_ladder(self._ladder.steps) + "\n", encoding="utf-8")
                (self.folder / "ladder.mmd").write_text(mermaid(self._ladder.steps) + "\n", encoding="utf-8")
            try:
                self._draw(result)
                drawn = True
            except KeyboardInterrupt:
                drawn = False
            drawings = (f"{name}{suffix}" for name in PLOTS for suffix in FORMATS)
            self._staging.commit(last="result.json", stale=(*_STALE, *drawings))
        return drawn

    def _close(self) -> None:
        self._trace.close()
        if self._capture is not None and self._pcap is not None:
            self._capture.close()
            self._pcap.close()

    def _draw(self, result: Result) -> None:
        from netsim.observe.report import report_html

        save_plots(result, self.folder)
        write_text(self.folder / "report.html", report_html(result.to_dict(), svg_figures(result)))

    def discard(self) -> None:
        """Leave the folder as it was: the run came to no result."""
        for stream in (self._trace, self._pcap):
            if stream is not None:
                with suppress(OSError):  # what a full disk did not take is thrown away here
                    stream.close()
        self._staging.discard()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tell what the folder does not let happen as a mistake in --out."""
    try:
        yield
    except OSError as error:
        raise ConfigError(Problem("--out", 0, 0, "", f"{folder} cannot be written: {error.strerror}")) from error


def _refuse_inside_a_run(folder: Path) -> None:
    """Refuse a folder below another run's: plots and reports of the two would be taken for one. Raises ConfigError."""
    for parent in folder.absolute().parents:
        if (parent / "result.json").is_file():
            what = f"{folder} lies inside {parent}, which is another run's folder"
            raise ConfigError(Problem("--out", 0, 0, "", what, "choose one beside it"))
