#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Flame graphs, for scripts/profile.sh.

    flame.py fold            text of perf script -> one line a stack: "comm;outer;...;inner COUNT"
    flame.py svg [TITLE]     such lines -> a picture: width is time, callers below those they call

In a browser the mouse says a frame's name and share, and a click makes it as wide as the picture.
"""
import re
import sys
from collections import Counter
from html import escape

WIDTH, ROW, MARGIN = 1600, 17, 24
NARROW = 0.4  # what is thinner than that many pixels is not drawn

# "fqdnatd  1234/1234  5.678: 1003009 cpu-clock: ", then lines "  ffffffff81 function+0x12 (object)"
HEAD = re.compile(r"^(\S.*?)\s+\d+(?:/\d+)?\s+(?:\[\d+\]\s+)?[\d.]+:")
FRAME = re.compile(r"^\s+[0-9a-f]+\s+(.+?)(?:\+0x[0-9a-f]+)?\s+\((.*)\)$")
BPF = re.compile(r"^bpf_prog_[0-9a-f]{16}_")

SCRIPT = """
function zoom(e){var f=e.target.closest('g');if(!f)return;
var x=+f.dataset.x,w=+f.dataset.w;document.querySelectorAll('g').forEach(function(g){
var r=g.querySelector('rect'),t=g.querySelector('text');
var a=(+g.dataset.x-x)*WIDTH/w,b=+g.dataset.w*WIDTH/w;
if(a<0){b+=a;a=0;}if(a+b>WIDTH)b=WIDTH-a;
g.style.display=b<NARROW?'none':'';if(b<NARROW)return;r.setAttribute('x',a);r.setAttribute('width',b);
t.setAttribute('x',a+3);t.textContent=b<30?'':g.dataset.n.slice(0,b/7);});}
document.documentElement.addEventListener('click',zoom);
""".replace("WIDTH", str(WIDTH)).replace("NARROW", str(NARROW))


def fold(lines):
    stacks, comm, frames = Counter(), None, []

    def end():
        if comm:
            stacks[";".join([comm] + frames[::-1])] += 1

    for line in lines:
        head, frame = HEAD.match(line), FRAME.match(line)
        if frame and comm:
            name, where = frame.groups()
            if name == "[unknown]":
                name = "[%s]" % where.rsplit("/", 1)[-1].strip("[]")
            frames.append(BPF.sub("bpf:", name).replace(";", ","))
        elif head:
            end()
            comm, frames = head.group(1), []
    end()
    return stacks


def tree(lines):
    root = {"name": "all", "n": 0, "sub": {}}
    for line in lines:
        stack, count = line.rsplit(" ", 1)
        node, count = root, int(count)
        root["n"] += count
        for name in stack.split(";"):
            node = node["sub"].setdefault(name, {"name": name, "n": 0, "sub": {}})
            node["n"] += count
    return root


def depth(node):
    return 1 + max((depth(s) for s in node["sub"].values()), default=0)


def colour(name):
    shade = sum(map(ord, name)) % 50
    if name.startswith("bpf:"):
        return "rgb(%d,%d,235)" % (120 + shade, 150 + shade)
    return "rgb(%d,%d,70)" % (205 + shade, 90 + 2 * shade)


def draw(node, x, level, total, height, out):
    width = node["n"] * WIDTH / total
    if width < NARROW:
        return
    y = height - MARGIN - (level + 1) * ROW
    name = node["name"]
    label = name[: int(width / 7)] if width >= 30 else ""
    out.append(
        '<g data-x="%.2f" data-w="%.2f" data-n="%s"><title>%s: %d samples, %.2f %%</title>'
        '<rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s" stroke="white" stroke-width=".4"/>'
        '<text x="%.2f" y="%d">%s</text></g>'
        % (x, width, escape(name), escape(name), node["n"], 100 * node["n"] / total, x, y, width,
           ROW - 1, colour(name), x + 3, y + 12, escape(label)))
    for sub in sorted(node["sub"].values(), key=lambda s: s["name"]):
        draw(sub, x, level + 1, total, height, out)
        x += sub["n"] * WIDTH / total


def svg(lines, title):
    root = tree(lines)
    height = depth(root) * ROW + 2 * MARGIN
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="monospace" '
           'font-size="11">' % (WIDTH, height),
           '<text x="4" y="15">%s: %d samples</text>' % (escape(title), root["n"])]
    if root["n"]:
        draw(root, 0, 0, root["n"], height, out)
    out.append("<script><![CDATA[%s]]></script></svg>" % SCRIPT)
    return "\n".join(out)


def main():
    if sys.argv[1:2] == ["fold"]:
        for stack, count in sorted(fold(sys.stdin).items()):
            print(stack, count)
    elif sys.argv[1:2] == ["svg"]:
        print(svg(sys.stdin, sys.argv[2] if len(sys.argv) > 2 else "flame graph"))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
