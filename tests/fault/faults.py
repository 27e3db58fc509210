"""Every file and socket call on the whole way of a message, made to fail or to be the last one.

The message of way.py is sent once for each fault: the N-th call of one kind in one program fails
with EIO, ENOSPC, EMFILE and the like, or the process is killed there, for all N that a message
needs. Whatever happens, the client is told the truth: after 250 all four arrive and the
refused one is returned; nothing is returned because of a local fault; nothing is altered.

    tests/fault/run faults [--n HOW_MANY, 0: all] [--seed N]        MTA programs: --only NAME
"""

from __future__ import annotations

import math
import os
import random
import re
import shutil
import time

from harness import conclude, parser, skip, wait_until
from mta import TMP
from tracer import CALLS, Fault, Trace, count_calls, enumerate_faults, has_hit
from way import BY_SENDMAIL, Bench

PROGRAMS = ("smtpd", "cleanup", "qmgr", "local", "virtual", "pipe", "smtp", "bounce", "pickup",
            "postdrop", "proxymap")


class FaultBench(Bench):
    """The instance, and one fault after the other in it."""

    trace_file = TMP / "trace"

    def count(self, program: str) -> dict[str, int]:
        """How often a message makes a program do each call."""
        if program == "postdrop":
            return {}
        trace = Trace(program, self.trace_file, ",".join(CALLS))
        number, _ = self.send(program in BY_SENDMAIL)
        assert self.settle(number), f"without any fault: {self.waiting()}"
        return count_calls(trace.stop())

    def try_fault(self, fault: Fault) -> tuple[bool, list[str]]:
        """Sends a message through it. Whether the fault happened, and what went wrong."""
        self.instance.set_mark()
        trace = Trace(fault.program, self.trace_file, fault.call, fault.inject())
        number, queue_id = self.send(fault.program in BY_SENDMAIL)
        wait_until(lambda: self.has_ended(number, trace), 2.5)
        lines = trace.stop()
        text = self.instance.log()
        wrong = [] if not has_hit(lines) else wrong_success(fault, lines, queue_id, text)
        if number > 0 and max(self.books.records[number].copies.values(), default=0) > 2:
            wrong.append("more than one duplicate")
        if not self.settle(number):
            wrong.append(f"stays: {self.waiting()}; missing {self.books.missing()[:3]}")
        return has_hit(lines), [f"{fault}: {x}" for x in wrong]

    def has_ended(self, number: int, trace: Trace) -> bool:
        """Whether there is nothing to wait for with the fault in place."""
        if has_hit(trace.lines()):
            time.sleep(0.15)
            return True
        return self.is_over(number)


def wrong_success(fault: Fault, lines: list[str], queue_id: str, log: str) -> list[str]:
    """A success that was told although a flush had failed."""
    if fault.call != "fsync" or fault.error == "KILL":
        return []
    failed = [x for x in lines if "(INJECTED)" in x]
    if fault.program == "cleanup" and queue_id and any(queue_id in x for x in failed):
        return ["250 although the queue file could not be flushed"]
    for mailbox in re.findall(r"/(\w+)(?:/Maildir)?/(?:tmp/|new>)", "\n".join(failed)):
        first = re.search(rf"to=<{mailbox}@.*status=(\w+)", log)
        if first and first.group(1) == "sent":
            return [f"delivered although the mailbox of {mailbox} could not be flushed"]
    return []


def main() -> None:
    """Runs it."""
    command_line = parser(__doc__, 25)
    command_line.add_argument("--only", default="")
    args = command_line.parse_args()
    if not shutil.which("strace"):
        skip("faults", "no strace here")
    bench = FaultBench(args.seed)
    chosen: list[Fault] = []
    for program in [args.only] if args.only else PROGRAMS:
        chosen += enumerate_faults(program, bench.count(program))
    total = len(chosen)
    if 0 < args.n < total:
        chosen = random.Random(args.seed).sample(chosen, args.n)
    faults: list[str] = []
    happened = 0
    for fault in chosen:
        began = time.monotonic()
        has_happened, wrong = bench.try_fault(fault)
        happened += has_happened
        if fault.error == "KILL" and has_happened:
            bench.books.killed(fault.program)
        for text in wrong:
            print(f"faults: {text}", flush=True)
        faults += wrong
        if os.environ.get("VERBOSE"):
            print(f"{fault}: {time.monotonic() - began:.1f} s{'' if has_happened else ' (no hit)'}",
                  flush=True)
    bench.collect()
    faults += bench.books.wrong + bench.books.faults(math.inf)
    line = bench.books.line("faults").replace(
        "faults: ", f"faults: {len(chosen)} of {total} tried, {happened} happened, "
                    f"{len(bench.books.wrong)} wrongly returned, ")
    conclude(line, faults, bench.instance)


main()
