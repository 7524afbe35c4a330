#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Puts the goals into the benchmark's figures and writes a report with plots.

    scripts/bench-report.py BENCH.json [REPORT.html]

Reads BENCH.json and, from the same directory, bench-dns.json, bench-bulk.json, bench-domains.json and
bench-restart.json if they are there.
Writes the array `goals` of {name, figure, goal, unit, met, why} into BENCH.json; prints it; writes a page that needs
nothing else.
`figure` and `met` are null where nothing was measured, and `why` says what would measure it.
"""
import html
import json
import pathlib
import sys

# Name, goal, direction, unit, (file, name of the figure, flows, ratio to or None for the median), if absent
GOALS = (
    ("NAT44, 1000 sessions, beside a redirect", 3, "<=", "times",
     ("bench", "nat44 out", 1000, "redirect"), "not measured: make bench"),
    ("NAT44, 1M sessions, beside a random array read", 1.45, "<=", "times",
     ("bench", "nat44 out", 1000000, "array read"), "not measured: make bench"),
    ("NAT44, 1M sessions, beside a kernel hash lookup", 0.45, "<=", "times",
     ("bench", "nat44 out", 1000000, "hash lookup"), "not measured: make bench"),
    # 250 ns where an array read takes 148
    ("reply direction, 1M sessions, beside a random array read", 1.69, "<=", "times",
     ("bench", "nat44 in", 1000000, "array read"), "not measured: make bench"),
    ("NAT66 beside NAT44, 1M sessions", 1.8, "<=", "times",
     ("bench", "nat66 out", 1000000, "nat44 out"), "not measured: make bench"),
    ("packets beside a bare redirect, 1000 flows", 0.93, ">=", "times",
     ("bench", "fqdnat", 1000, "bare"), "not measured: make bench"),
    ("packets beside a bare redirect, 1M flows", 0.60, ">=", "times",
     ("bench", "fqdnat", 1000000, "bare"), "not measured: make bench"),
    ("packets beside nftables, 1000 flows", 7, ">=", "times",
     ("bench", "fqdnat", 1000, "nft"), "not measured: make bench"),
    ("packets beside nftables, 1M flows", 6, ">=", "times",
     ("bench", "fqdnat", 1000000, "nft"), "not measured: make bench"),
    ("new sessions beside nftables", 8.5, ">=", "times",
     ("bench", "fqdnat new", None, "nft new"), "not measured: make bench"),
    ("memory of a session", 96, "<=", "bytes",
     ("bench", "fqdnat session", None, None), "not measured: make bench"),
    ("DNS answers in XDP beside dnsmasq, one core", 20, ">=", "times",
     ("bench-dns", "fqdnat-xdp", None, "dnsmasq"), "not measured: make bench-dns"),
    ("DNS answers in XDP beside unbound, one core", 20, ">=", "times",
     ("bench-dns", "fqdnat-xdp", None, "unbound"), "not measured: make bench-dns"),
    ("DNS answers by the socket beside dnsmasq, one core", 1.3, ">=", "times",
     ("bench-dns", "fqdnat-socket", None, "dnsmasq"), "not measured: make bench-dns"),
    ("DNS answers by the socket beside unbound, one core", 1.3, ">=", "times",
     ("bench-dns", "fqdnat-socket", None, "unbound"), "not measured: make bench-dns"),
    ("installing 100000 domains x 8 addresses, an edge's", 0.35, "<=", "s",
     ("bench-restart", "install", 100000, None), "not measured: make bench-restart"),
    ("installing 100000 domains x 8 addresses, a gateway's", 0.35, "<=", "s",
     ("bench", "translations", 100000, None), "not measured: make bench"),
    ("taking over 1M proxy addresses, edge alone", 1, "<=", "s",
     ("bench-restart", "start edge takeover", 125000, None), "not measured: make bench-restart"),
    ("taking over 1M proxy addresses, edge and gateway", 1, "<=", "s",
     ("bench-restart", "start box takeover", 125000, None), "not measured: make bench-restart"),
    ("DNS query of a known name, 1M domains beside 1000", 1.5, "<=", "times",
     ("bench-domains", "known name", 1000000, "1000 domains"), "not measured: make bench-domains"),
    ("DomainStatus, 1M domains beside 1000", 1.5, "<=", "times",
     ("bench-domains", "status", 1000000, "1000 domains"), "not measured: make bench-domains"),
)

STYLE = """
:root { --ink: #1c2328; --soft: #5d6870; --line: #d9dee2; --bar: #2f6f9f; --own: #c2571a; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ea; --soft: #9aa5ac; --line: #384148; --bar: #6aa7d3; --own: #ee8a4c; --paper: #171b1e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; text-wrap: balance; }  h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-size: .85em; color: var(--soft); }  .wide { overflow-x: auto; }  .missed { color: var(--own); }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.bar { fill: var(--bar); } .own { fill: var(--own); } .whisker { stroke: var(--ink); }
"""

# What a part measures: by the word after --only in a figure's command, or by the file.
HEADINGS = {
    "ns": "ns in the program, established sessions, {} flows",
    "ns-new": "ns in the program, first packets of new sessions, up to {} flows",
    "pps": "packets per second on one CPU, {} flows",
    "new": "first packets of new flows per second, up to {} flows",
    "memory": "kernel memory of a session, {} flows",
    "latency": "echoes through a fully loaded gateway, {} flows",
    "install": "filling the maps of proxy addresses, {} domains",
    "bench-dns": "DNS, {} names, {}",
    "bench-bulk": "bulk TCP, one stream",
    "bench-domains": "control, {} domains",
    "bench-restart": "restart, installing, new names: {} domains or resources",
}
OWN = ("fqdnat", "nat", "tcp44", "refused", "native", "tc-", "translations", "verdicts", "start ",
       "install", "new-name")

BAR_H, LABEL_W, PLOT_W, VALUE_W = 20, 150, 480, 200


def load(path):
    """One file's JSON, or one without figures."""
    try:
        data = json.loads(path.read_text())
        return data if "figures" in data else {"figures": domains_figures(data)}
    except FileNotFoundError:
        return {"figures": []}


def domains_figures(data):
    """bench-domains.json, which is by number of domains, in the form of the others."""
    return [{"name": f["name"], "flows": size["domains"], "unit": f["unit"], "median": f["median"],
             "min": min(f["samples"]), "max": max(f["samples"]), "samples": f["samples"],
             "ratio_to": {"1000 domains": f["ratio_to_fewest"]}, "command": "make bench-domains"}
            for size in data.get("sizes", []) for f in size["figures"]]


def find(data, name, flows):
    """The figure of so many flows; of most flows if None."""
    found = [f for f in data["figures"]
             if f["name"] == name and flows in (None, f["flows"])]
    return max(found, key=lambda f: f["flows"], default=None)


def ratio(data, figure, to):
    """As the benchmark took it, by rounds; else that of the medians."""
    if to in figure["ratio_to"]:
        return figure["ratio_to"][to]
    other = find(data, to, figure["flows"])
    return figure["median"] / other["median"] if other and other["median"] > 0 else None


def goal(row, sets):
    name, wanted, relation, unit, (file, figure_name, flows, to), why = row
    data = sets[file]
    figure = find(data, figure_name, flows)
    value = None
    if figure:
        value = ratio(data, figure, to) if to else figure["median"]
    result = {"name": name, "figure": value, "goal": f"{relation} {wanted:g}", "unit": unit, "met": None}
    if value is None:
        skipped = data.get("skipped", {})
        result["why"] = skipped.get(to) or skipped.get("fqdnat") or why
    else:
        result["met"] = value <= wanted if relation == "<=" else value >= wanted
        result["command"] = figure["command"]
    return result


def number(value):
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def verdict(g):
    return {True: "met", False: "not met", None: g.get("why", "")}[g["met"]]


def print_goals(goals):
    width = max(len(g["name"]) for g in goals)
    print(f"\n{'goal':{width}}  {'figure':>8}  {'wanted':>8}")
    for g in goals:
        print(f"{g['name']:{width}}  {number(g['figure']):>8}  {g['goal']:>8} {g['unit']:5}  {verdict(g)}")
    met = sum(g["met"] is True for g in goals)
    print(f"{met} of {len(goals)} goals met, {sum(g['met'] is None for g in goals)} not measured")


def bars(figures):
    """Horizontal bars of medians with a line from the smallest to the largest sample."""
    top = max(max(f["max"] for f in figures), 1e-9)
    height = len(figures) * BAR_H
    out = [f'<svg viewBox="0 0 {LABEL_W + PLOT_W + VALUE_W} {height}" width="100%" role="img">']
    for i, f in enumerate(figures):
        y = i * BAR_H
        low, mid, high = (LABEL_W + PLOT_W * max(f[k], 0) / top for k in ("min", "median", "max"))
        own = f["name"].startswith(OWN)
        out.append(f'<text x="{LABEL_W - 6}" y="{y + 14}" text-anchor="end">{html.escape(f["name"])}</text>'
                   f'<rect class="{"own" if own else "bar"}" x="{LABEL_W}" y="{y + 3}" '
                   f'width="{mid - LABEL_W:.1f}" height="{BAR_H - 6}"/>'
                   f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{y + 10}" y2="{y + 10}"/>'
                   f'<text x="{LABEL_W + PLOT_W + 6}" y="{y + 14}">{number(f["median"])} '
                   f'({number(f["min"])}..{number(f["max"])}) {html.escape(f["unit"])}</text>')
    return "".join(out) + "</svg>"


def figure_rows(figures):
    for f in figures:
        ratios = ", ".join(f"{r:.2f} × {html.escape(to)}" for to, r in f["ratio_to"].items())
        yield (f'<tr><td>{html.escape(f["name"])}</td><td class=n>{number(f["median"])} '
               f'({number(f["min"])}..{number(f["max"])}) {html.escape(f["unit"])}</td>'
               f'<td>{ratios}</td><td><code>{html.escape(f["command"])}</code></td></tr>')


def groups(data):
    """Figures that can stand in one plot: measured by one command, in one unit."""
    found = {}
    for f in data["figures"]:
        found.setdefault((f["command"], f["flows"], f["unit"]), []).append(f)
    return found


def heading(file, command, flows, unit):
    words = command.split()
    part = words[words.index("--only") + 1] if "--only" in words else file
    return HEADINGS[part].format(flows, unit)


def page(sets, goals):
    machine = sets["bench"].get("machine", {})
    out = ["<!doctype html><html lang=en><meta charset=utf-8>"
           "<meta name=viewport content='width=device-width, initial-scale=1'>"
           f"<title>fqdnat benchmark</title><style>{STYLE}</style><h1>fqdnat benchmark</h1><p>",
           html.escape(", ".join(f"{k}: {v}" for k, v in machine.items())),
           "</p><p>Medians of interleaved rounds (smallest..largest); docs/performance.md has the method.</p>",
           "<h2>Goals</h2><div class=wide><table><tr><th>goal<th>figure<th>wanted<th>"]
    for g in goals:
        out.append(f'<tr><td>{html.escape(g["name"])}<td class=n>{number(g["figure"])}'
                   f'<td class=n>{html.escape(g["goal"])} {g["unit"]}'
                   f'<td class="{"missed" if g["met"] is False else ""}">{html.escape(verdict(g))}'
                   f'<br><code>{html.escape(g.get("command", ""))}</code>')
    out.append("</table></div>")
    for file, data in sets.items():
        for (command, flows, unit), figures in groups(data).items():
            out += [f"<h2>{html.escape(heading(file, command, flows, unit))}</h2>", bars(figures),
                    "<div class=wide><table>", *figure_rows(figures), "</table></div>"]
        for what, why in data.get("skipped", {}).items():
            out.append(f"<p>{html.escape(what)}: not measured, {html.escape(why)}</p>")
    return "".join(out)


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(print(__doc__))
    if len(sys.argv) not in (2, 3) or any(word.startswith("-") for word in sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    path = pathlib.Path(sys.argv[1])
    sets = {"bench": load(path)}
    for name in ("bench-dns", "bench-bulk", "bench-domains", "bench-restart"):
        sets[name] = load(path.with_name(name + ".json"))
    goals = [goal(row, sets) for row in GOALS]
    sets["bench"]["goals"] = goals
    path.write_text(json.dumps(sets["bench"], indent=1) + "\n")
    print_goals(goals)
    if len(sys.argv) == 3:
        pathlib.Path(sys.argv[2]).write_text(page(sets, goals))


if __name__ == "__main__":
    main()
