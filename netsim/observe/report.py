"""The report of a run: one self-contained HTML page, made from a result and its plots.

No script, no font, no picture from elsewhere: it works offline, in a mail, and in the dark. Everything a run said is
escaped; only the SVG of our own plots goes in as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

Json = Mapping[str, Any]  # Any: JSON values
Cell = str | tuple[str, str]
"""Text, or (CSS class, text)."""

LIST_LIMIT = 500
"""Rows of a list; the rest is counted."""

_STYLE = """
:root { color-scheme: light dark; --ink: #22272e; --muted: #5f6873; --line: #d9dee4; --card: #fff; --page: #f6f7f9;
  --good: #2e7d4f; --bad: #b3243a; --code: #eef1f4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e7ec; --muted: #9aa5b1; --line: #3a424c; --card: #22272e;
  --page: #191d22; --good: #7db893; --bad: #f0808f; --code: #2d343c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; margin: 8px 0 2px; } h2 { font-size: 18px; margin: 34px 0 10px; }
p.sub { color: var(--muted); margin: 0 0 18px; }
.verdict { display: inline-block; padding: 3px 12px; border-radius: 14px; color: #fff; font-weight: 600; }
.verdict.good { background: #2e7d4f; } .verdict.bad { background: #b3243a; }
figure { margin: 0 0 18px; background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 8px; }
figure svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 6px 12px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } th { color: var(--muted); font-weight: 600; white-space: nowrap; }
td.num, th.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.good { color: var(--good); font-weight: 600; } td.bad { color: var(--bad); font-weight: 600; }
code, pre { font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 4px 0 0; padding: 8px 10px; background: var(--code); border-radius: 6px; white-space: pre-wrap; }
details { margin: 6px 0; } summary { cursor: pointer; } p.more, p.none { color: var(--muted); padding: 0 12px; }
footer { color: var(--muted); margin-top: 36px; font-size: 13px; }
"""


def report_html(result: Json, figures: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page for one result. `figures` are (caption, SVG document) pairs, shown in their order.

    The SVG is trusted: give it what `plot.style.save` wrote. Keys missing from the result leave their section out.
    """
    name = str(result.get("scenario", "run"))
    passed = bool(result.get("passed"))
    sections = [
        _expectations(result.get("expect", ())),
        _figures(figures),
        _events(result.get("events", ())),
        _flows(result.get("flows", {})),
        _gateways(result.get("gateways", {})),
        _drops(result.get("drops", {}), result.get("ledger", {})),
        _neigh(result.get("neigh", ())),
        _nat(result.get("nat", ())),
        _commands(result.get("commands", ())),
    ]
    said = "passed" if passed else "partial" if result.get("partial") else "failed"
    verdict = f'<span class="verdict {"good" if passed else "bad"}">{said}</span>'
    facts = [f"seed {result['seed']}"] if "seed" in result else []
    if "duration_s" in result:
        ended = result.get("ended_s")
        head = "" if ended is None else f"ended early, at {_number(ended)} of "
        facts.append(f"{head}{_number(result['duration_s'])} s simulated")
    facts += [f"{result['packet_hops']} packet hops"] if "packet_hops" in result else []
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(name)}: {said}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(name)} {verdict}</h1>\n<p class="sub">{escape(" · ".join(facts))}</p>\n'
        + "".join(sections)
        + f"<footer>digest <code>{escape(str(result.get('digest', '')))}</code></footer>\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}</section>\n" if body else ""


def _table(head: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    def cells(row: Sequence[Cell], tag: str) -> str:
        out = []
        for cell in row:
            kind, text = cell if isinstance(cell, tuple) else ("", cell)
            out.append(f'<{tag} class="{kind}">{escape(text)}</{tag}>' if kind else f"<{tag}>{escape(text)}</{tag}>")
        return "".join(out)

    listed = list(rows)
    if not listed:
        return ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>\n" for row in listed[:LIST_LIMIT])
    more = f'<p class="more">and {len(listed) - LIST_LIMIT} more</p>\n' if len(listed) > LIST_LIMIT else ""
    return f'<div class="scroll"><table>\n<tr>{cells(head, "th")}</tr>\n{body}</table>{more}</div>\n'


def _expectations(expect: Sequence[Json]) -> str:
    rows: list[list[Cell]] = [
        [
            ("good", "holds") if each.get("passed") else ("bad", "fails"),
            str(each.get("name", "")),
            str(each.get("why", "")),
        ]
        for each in expect
    ]
    return _section("Expectations", _table(["", "name", "why"], rows))


def _figures(figures: Sequence[tuple[str, str]]) -> str:
    return "".join(
        _section(caption, f"<figure>{_inline(svg, f'f{index}-')}</figure>\n")
        for index, (caption, svg) in enumerate(figures)
    )


def _inline(svg: str, prefix: str) -> str:
    """Return the <svg> element alone, its ids made unique on the page, its size left to the page."""
    start = svg.find("<svg")
    body = svg[start:].strip() if start >= 0 else ""
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = re.sub(r'((?:xlink:)?href="#)', rf"\g<1>{prefix}", body)
    body = re.sub(r"url\(#", f"url(#{prefix}", body)
    head, rest = body.partition(">")[0], body.partition(">")[2]
    return re.sub(r'\s(?:width|height)="[^"]*"', "", head) + ' role="img">' + rest if body else ""


def _events(events: Sequence[Json]) -> str:
    rows: list[list[Cell]] = [
        [("num", _number(e.get("t", 0))), str(e.get("verb", "")), str(e.get("target", "")), str(e.get("id") or "")]
        for e in events
    ]
    return _section("Events", _table([("num", "t (s)"), "verb", "target", "id"], rows))


def _flows(flows: Mapping[str, Json]) -> str:
    head: list[Cell] = [
        "flow",
        *(("num", t) for t in ("sent", "delivered", "lost", "longest gap (s)", "p50 (ms)", "p95 (ms)", "max (ms)")),
    ]
    head += [("num", t) for t in ("opened", "completed", "reset", "timed out")]
    rows: list[list[Cell]] = []
    for name, flow in flows.items():
        latency, connections = flow.get("latency_s", {}), flow.get("connections", {})
        row: list[Cell] = [name]
        row += [("num", str(flow.get(key, 0))) for key in ("sent", "delivered")]
        lost = flow.get("lost", 0)
        row += [("num bad" if lost else "num", str(lost)), ("num", _number(flow.get("longest_gap_s", 0)))]
        row += [("num", f"{1e3 * latency.get(key, 0):.3g}") for key in ("p50", "p95", "max")]
        row += [("num", str(connections.get(key, 0))) for key in ("opened", "completed", "reset", "timed_out")]
        rows.append(row)
    return _section("Flows", _table(head, rows))


def _gateways(gateways: Mapping[str, Json]) -> str:
    total = sum(g.get("tx_bytes", 0) for g in gateways.values())
    rows: list[list[Cell]] = []
    for name, gateway in gateways.items():
        row: list[Cell] = [name]
        row += [("num", f"{gateway.get(key, 0):,}") for key in ("tx_packets", "tx_bytes", "rx_packets", "rx_bytes")]
        row.append(("num", f"{100 * gateway.get('tx_bytes', 0) / total:.1f} %" if total else "-"))
        rows.append(row)
    head: list[Cell] = [
        "gateway",
        *(("num", t) for t in ("packets to", "bytes to", "packets from", "bytes from", "share")),
    ]
    return _section("Gateways", _table(head, rows))


def _drops(drops: Mapping[str, int], ledger: Mapping[str, int]) -> str:
    rows: list[list[Cell]] = [[reason, ("num", str(count))] for reason, count in drops.items()]
    body = _table(["reason", ("num", "packets")], rows)
    if ledger:
        words = ", ".join(
            f"{ledger.get(key, 0)} {key.replace('_', ' ')}" for key in ("sent", "delivered", "dropped", "in_flight")
        )
        body += f'<p class="more">Frames on the wires: {escape(words)}.</p>\n'
    return _section("Drops", body)


def _neigh(neigh: Sequence[Json]) -> str:
    rows: list[list[Cell]] = [
        [
            ("num", _number(n["t"])),
            n["node"],
            n["dev"],
            n["dst"],
            n["from"],
            ("bad" if n["to"] == "FAILED" else "", n["to"]),
        ]
        for n in neigh
    ]
    table = _table([("num", "t (s)"), "node", "dev", "neighbour", "from", "to"], rows)
    return _section("Neighbours", _folded(f"{len(neigh)} changes", table))


def _nat(nat: Sequence[Json]) -> str:
    rows: list[list[Cell]] = [[("num", _number(n["t"])), n["node"], n["proto"], n["original"], n["reply"]] for n in nat]
    table = _table([("num", "t (s)"), "node", "proto", "original", "reply"], rows)
    return _section("Translations", _folded(f"{len(nat)} connections", table))


def _commands(commands: Sequence[Json]) -> str:
    out = []
    for command in commands[:LIST_LIMIT]:
        rc = command.get("rc", 0)
        note = f' <span style="color: var(--bad)">rc {rc}</span>' if rc else ""
        where = escape(f"{_number(command.get('t', 0))} s  {command.get('node', '')}")
        text = f"{command.get('stdout', '')}{command.get('stderr', '')}".rstrip("\n")
        answer = f"<pre>{escape(text)}</pre>" if text else ""
        out.append(f"<p>{where} <code>{escape(str(command.get('line', '')))}</code>{note}{answer}</p>\n")
    if len(commands) > LIST_LIMIT:
        out.append(f'<p class="more">and {len(commands) - LIST_LIMIT} more</p>\n')
    return _section("Commands", _folded(f"{len(commands)} lines", "".join(out)))


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{escape(title)}</summary>\n{body}</details>\n" if body else ""


def _number(value: object) -> str:
    """Print a number as short as it is exact to the millisecond, anything else as it is."""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return str(value)
