#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The stack that BPF programs need, call chain by call chain, as the oldest kernel counts it.

usage: bpf-stack.py OBJECT...

Kernel 6.1 rounds every function's part up to 32 bytes and takes no more than 512 for a chain; newer ones
round less, so that an object which loads here may be refused there. Prints the deepest chain of each
program. Exit status 1 if one is too deep.
"""
import re
import subprocess
import sys

LIMIT = 512
ROUND = 32

FUNCTION = re.compile(r"^([0-9a-f]{16}) <([A-Za-z_]\w*)>:$")
LABEL = re.compile(r"^LBB\d+_\d+$")
INSN = re.compile(r"^\s*(\d+):\s(?:[0-9a-f]{2}\s)+(.*)$")
RELOC = re.compile(r"R_BPF_64_32\s+(\S+)")
CALLBACK = re.compile(r"R_BPF_64_64\s+\.text")
ADDRESS = re.compile(r"^r\d = (0x[0-9a-f]+) ll$")
ACCESS = re.compile(r"r10 - (0x[0-9a-f]+)")
COPY = re.compile(r"^(r\d) = r10$")
ADD = re.compile(r"^(r\d) \+= -(0x[0-9a-f]+)$")
CALL = re.compile(r"^call (-?0x[0-9a-f]+)$")


class Function:
    def __init__(self, section, start, name):
        self.section, self.start, self.name = section, start, name
        self.depth = 0
        self.calls = []  # (section, instruction) or name


def parse(lines):
    functions, section, copies, last, address = [], None, set(), None, 0
    for line in lines:
        if line.startswith("Disassembly of section"):
            section = line.split()[-1].rstrip(":")
        elif match := FUNCTION.match(line):
            if not LABEL.match(match[2]):
                functions.append(Function(section, int(match[1], 16) // 8, match[2]))
                copies = set()
        elif match := RELOC.search(line):
            if last is not None:  # a call to another section, or by name
                imm = functions[-1].calls.pop()[2]
                target = match[1]
                functions[-1].calls.append((target, imm + 1, imm) if target[0] == "." else target)
        elif CALLBACK.search(line):  # a function that a helper is to call
            functions[-1].calls.append((".text", address // 8, 0))
        elif match := INSN.match(line):
            if loaded := ADDRESS.match(match[2].strip()):
                address = int(loaded[1], 16)
            last = instruction(functions[-1], int(match[1]), match[2].strip(), copies)
    return functions


def instruction(function, number, text, copies):
    """Returns the number of a call, which a relocation may follow; else None."""
    for depth in ACCESS.findall(text):
        function.depth = max(function.depth, int(depth, 16))
    if match := COPY.match(text):
        copies.add(match[1])
    elif (match := ADD.match(text)) and match[1] in copies:
        function.depth = max(function.depth, int(match[2], 16))
        copies.discard(match[1])
    if match := CALL.match(text):
        imm = int(match[1], 16)
        function.calls.append((function.section, number + 1 + imm, imm))
        return number
    return None


def deepest(function, find, seen=()):
    if function.name in seen:
        sys.exit(f"{function.name} calls itself")
    own = -(-max(function.depth, 1) // ROUND) * ROUND
    best, chain = 0, []
    for call in function.calls:
        below = find(call)
        if below:
            depth, names = deepest(below, find, seen + (function.name,))
            if depth > best:
                best, chain = depth, names
    return own + best, [f"{function.name} {own}"] + chain


def check(path):
    # Raw bytes tell a call of a function (85 10) from one of a helper (85 00).
    dump = subprocess.run(["llvm-objdump-16", "-dr", path], capture_output=True, text=True,
                          check=True).stdout
    lines = [line for line in dump.splitlines() if not re.search(r"\s85 00 00 00 .*call", line)]
    functions = parse(lines)
    by_name = {f.name: f for f in functions}
    by_place = {(f.section, f.start): f for f in functions}

    def find(call):
        return by_name.get(call) if isinstance(call, str) else by_place.get(call[:2])

    good = True
    for function in functions:
        if function.section == ".text":
            continue
        depth, chain = deepest(function, find)
        good &= depth <= LIMIT
        print(f"{function.name}: {depth} of {LIMIT} bytes: {' > '.join(chain)}")
    return good


if __name__ == "__main__":
    sys.exit(0 if all([check(path) for path in sys.argv[1:]]) else 1)
