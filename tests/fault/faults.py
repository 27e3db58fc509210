"""Every file and socket call on the whole way of a message, made to fail or to be the last one.

One message goes to a local mailbox, a virtual mailbox, a command, another host, and a recipient
that the other host refuses. It is sent once for each fault: the N-th call of one kind in one
program fails with EIO, ENOSPC, EMFILE and the like, or the process is killed there, for all N that
a message needs. Whatever happens, the client is told the truth: after 250 all four arrive and the
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

from accounts import ACKNOWLEDGED, HEADER, IN_DOUBT, Books
from client import Client, Closed
from harness import (
    SENDER, SINK_HOST, VMAIL, Collector, Refused, conclude, make_instance, parser,
    queue_files, skip, start_dns, submit, wait_until,
)
from mta import TMP
from sink import Sink
from tracer import CALLS, Fault, Trace, count_calls, enumerate_faults, has_hit

PROGRAMS = ("smtpd", "cleanup", "qmgr", "local", "virtual", "pipe", "smtp", "bounce", "pickup",
            "postdrop", "proxymap")
BY_SENDMAIL = ("pickup", "postdrop")
REFUSED = "nobody@relay.test"
PIPED = "piped@pipe.test"
RCPTS = ["alice@example.test", "ann@virtual.test", PIPED, "user0@relay.test"]
TAKE = """\
# Stores the message of standard input, unless there is none: the writer was killed.
cd {directory} || exit 75
cat >tmp.$$ && test -s tmp.$$ && mv tmp.$$ new/$(date +%s%N).$$ || exit 75
"""


class FaultBooks(Books):
    """Books in which the notification for the refused recipient is owed as well."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, 1000, 3000)
        self.wrong: list[str] = []

    def arrived(self, rcpt: str, mail: bytes) -> None:
        failed = set(re.findall(rb"(?mi)^Final-Recipient: *rfc822; *(\S+)", mail))
        numbers = HEADER.findall(mail)
        if rcpt != SENDER or not numbers:
            super().arrived(rcpt, mail)
        elif failed != {REFUSED.encode()}:
            self.wrong.append(f"message {numbers[0].decode()} was returned for {failed}")
        else:
            copies = self.records[int(numbers[0])].copies
            copies[REFUSED] = copies.get(REFUSED, 0) + 1

    def is_complete(self, number: int) -> bool:
        """Whether everything of a message has arrived, if it was promised."""
        record = self.records[number]
        return record.state != ACKNOWLEDGED or all(x in record.copies for x in record.rcpts)


class Bench:
    """The instance, and one message after the other through it."""

    def __init__(self, seed: int) -> None:
        self.books = FaultBooks(seed)
        start_dns()
        self.sink = Sink(SINK_HOST)
        self.sink.rule("RCPT", "550 5.1.1 nobody of that name", match="nobody@")
        self.collector = Collector(self.books, self.sink)
        self.piped = VMAIL / "piped"
        (self.piped / "new").mkdir(parents=True)
        for path in (self.piped, self.piped / "new"):
            os.chown(path, 5100, 5100)
        self.instance = make_instance(
            transport_maps=f"inline:{{ {{relay.test=relay:[{SINK_HOST}]}}, {{pipe.test=taker:}} }}",
            relay_domains="relay.test pipe.test",
            virtual_mailbox_maps="proxy:texthash:$config_directory/vmailbox",
        )
        take = self.instance.write("take", TAKE.format(directory=self.piped))
        self.instance.services.append(
            f"taker unix - n n - - pipe flags=q user=vmail argv=/bin/sh {take}")
        self.instance.write_master()
        self.instance.start()
        self.trace_file = TMP / "trace"

    def collect(self) -> None:
        """Books what has arrived."""
        self.collector.collect()
        self.collector.collect_maildir(PIPED, self.piped / "new")

    def send(self, by_sendmail: bool) -> tuple[int, str]:
        """One message; returns its number and, when it is known, its queue id."""
        rcpts = [*RCPTS, REFUSED]
        if by_sendmail:
            number, message = self.books.new(rcpts)
            self.books.set_state(number, IN_DOUBT)
            result = self.instance.sendmail("-i", "-f", SENDER, *rcpts, stdin=message)
            if result.code == 0:
                self.books.set_state(number, ACKNOWLEDGED)
            return number, ""
        before = len(self.books.records)
        try:
            with Client(self.instance.port(), timeout=6) as client:
                client.ehlo()
                return before + 1, submit(client, self.books, rcpts).queue_id
        except (OSError, Closed, AssertionError, Refused):
            return len(self.books.records), ""

    def settle(self, number: int) -> bool:
        """Has everything delivered that waits; false when something stays."""
        def is_done() -> bool:
            self.collect()
            if self.books.is_complete(number) and not self.waiting():
                return True
            now = time.monotonic()
            if now - self.flushed > 0.3:
                self.flushed = now
                self.instance.postqueue("-f")
            return False

        self.flushed = time.monotonic()
        return wait_until(is_done, 30)

    def waiting(self) -> list[str]:
        """Messages in the queue. Unfinished files of killed writers go by themselves, later."""
        found = []
        for name in queue_files(self.instance):
            try:
                with (self.instance.queue / name).open("rb") as file:
                    is_message = any(file.read(8))
            except OSError:
                continue
            if is_message and not name.startswith(("maildrop/tmp.", "corrupt/")):
                found.append(name)
        return found

    # One fault.

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
        log = self.instance.log_file
        mark = log.stat().st_size
        trace = Trace(fault.program, self.trace_file, fault.call, fault.inject())
        number, queue_id = self.send(fault.program in BY_SENDMAIL)
        wait_until(lambda: self.has_ended(number, trace), 2.5)
        lines = trace.stop()
        text = log.read_bytes()[mark:].decode(errors="replace")
        wrong = [] if not has_hit(lines) else wrong_success(fault, lines, queue_id, text)
        if max(self.books.records[number].copies.values(), default=0) > 2:
            wrong.append("more than one duplicate")
        if not self.settle(number):
            wrong.append(f"stays: {self.waiting()}; missing {self.books.missing()[:3]}")
        return has_hit(lines), [f"{fault}: {x}" for x in wrong]

    def has_ended(self, number: int, trace: Trace) -> bool:
        """Whether there is nothing to wait for with the fault in place."""
        self.collect()
        if has_hit(trace.lines()):
            time.sleep(0.15)
            return True
        record = self.books.records[number]
        return record.state != ACKNOWLEDGED or self.books.is_complete(number)


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
    bench = Bench(args.seed)
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
