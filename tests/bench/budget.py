#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What one message costs, program by program: system calls, context switches, forks, bytes.

Usage:  budget.py [--scenarios S1a,S2a,S3] [--messages N] [--md FILE]
        --start POSTERN --daemons DIR --tools DIR [--work DIR]

Each scenario runs twice: as it is, for the context switches, which /proc counts for each process;
and, with a tenth of the messages, under strace, for calls, forks and bytes (read, write and their
kin, sockets included).  Frame and cgroups are those of compare.py.
"""
import collections, os, re, signal, subprocess, sys

import alone
from compare import Sink, Up, drained, note, source, until

MODES = {"S1a": "discard", "S2a": "maildir", "S3": "relay"}
IN = {"read", "readv", "pread64", "recvfrom", "recvmsg", "recvmmsg"}
OUT = {"write", "writev", "pwrite64", "sendto", "sendmsg", "sendmmsg", "sendfile"}
FORKS = {"clone", "clone3", "fork", "vfork"}
CALL = re.compile(rb"^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\().*?(?: = (-?\d+)[^=]*| <unfinished \.\.\.>)$")


def program(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return None


def switches(box):
    """{pid: (program, context switches so far)}"""
    found = {}
    for pid in box.pids("server"):
        try:
            with open("/proc/%d/status" % pid) as f:
                counts = re.findall(r"ctxt_switches:\s+(\d+)", f.read())
        except OSError:
            continue
        found[pid] = (program(pid), sum(map(int, counts)))
    return found


def load(d, n):
    source(d.box, n)
    drained(d)


def count_switches(d, n):
    before = switches(d.box)
    load(d, n)
    sums = collections.Counter()
    for pid, (name, count) in switches(d.box).items():
        sums[name] += count - before.get(pid, (name, 0))[1]
    return {name: count / n for name, count in sums.items()}


def trace(d, n, path):
    """Runs a load under strace; {program: Counter of what it did}."""
    pids = [pid for pid in d.box.pids("server")]
    names = {pid: program(pid) for pid in pids}
    tracer = subprocess.Popen(["strace", "-f", "-o", path] +
                              [word for pid in pids for word in ("-p", str(pid))],
                              stderr=subprocess.DEVNULL)
    until(lambda: all(traced(pid) for pid in pids), 20)
    load(d, n)
    names.update({pid: program(pid) for pid in d.box.pids("server")})
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    return read_trace(path, names)


def traced(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            return "TracerPid:\t0" not in f.read()
    except OSError:
        return True


def read_trace(path, names):
    sums = collections.defaultdict(collections.Counter)
    with open(path, "rb") as f:
        for line in f:
            m = CALL.match(line.rstrip())
            name = m and names.get(int(m[1]))
            if not name:
                continue
            call = (m[2] or m[3]).decode()
            if m[3]:
                sums[name]["calls"] += 1
            if m[4] is None or int(m[4]) < 0:
                continue
            sums[name]["forks"] += call in FORKS
            sums[name]["in"] += int(m[4]) if call in IN else 0
            sums[name]["out"] += int(m[4]) if call in OUT else 0
    return sums


def table(scenario, messages, switched, traced_messages, sums):
    """Programs by the calls they make; what comes to less than a tenth of a call is left out."""
    rows = []
    for name, s in sums.items():
        per = {k: v / traced_messages for k, v in s.items()}
        rows.append([name, per.get("calls", 0), switched.get(name, 0), per.get("forks", 0),
                     per.get("in", 0), per.get("out", 0)])
    rows = sorted((r for r in rows if r[1] >= 0.1), key=lambda r: -r[1])
    rows.append(["all"] + [sum(r[i] for r in rows) for i in range(1, 6)])
    out = ["", "### One message of %s (%d messages, %d of them traced)" %
           (scenario, messages + traced_messages, traced_messages), "",
           "| program | system calls | context switches | forks | bytes read | bytes written |",
           "|---|---|---|---|---|---|"]
    out += ["| %s | %.1f | %.1f | %.3f | %d | %d |" % tuple(r) for r in rows]
    return "\n".join(out)


def budget(d, scenario, messages, path):
    """The table of one scenario."""
    few = max(messages // 10, 1)
    sink = Sink(d.box) if MODES[scenario] == "relay" else None
    try:
        with Up(d, mode=MODES[scenario]):
            load(d, 500)
            switched = count_switches(d, messages)
            sums = trace(d, few, path)
    finally:
        if sink:
            sink.close()
    note(scenario, "done")
    return table(scenario, messages, switched, few, sums)


def main():
    ap = alone.parser()
    ap.add_argument("--scenarios", default="S1a,S2a,S3")
    ap.add_argument("--messages", type=int, default=3000)
    a = ap.parse_args()
    # Workers that live on: what one did is still there to be read at the end.
    alone.run(a, lambda d: [budget(d, s, a.messages, os.path.join(a.work, "trace"))
                            for s in a.scenarios.split(",")], max_use="100000")


if __name__ == "__main__":
    sys.exit(main())
