"""A message that goes the whole way: to a local mailbox, a virtual one, a command, another host, and
a recipient that the other host refuses. Its books, and the instance that it goes through."""

from __future__ import annotations

import math
import os
import re
import time

from accounts import ACKNOWLEDGED, HEADER, IN_DOUBT, Books
from client import Client, Closed
from harness import (
    SENDER, SINK_HOST, VMAIL, Collector, Refused, drain, make_instance, queue_files, start_dns, submit,
    wait_until,
)
from mta import Instance
from sink import Sink

DAEMONS = ("front", "smtpd", "cleanup", "qmgr", "local", "virtual", "pipe", "smtp", "bounce", "pickup",
           "proxymap", "dns")
BY_SENDMAIL = ("sendmail", "postdrop", "pickup")
CRASH = re.compile(r"(?m)^.*(?:killed by signal (?!9$)|panic: ).*$")
"""Signal 9 is the harness's."""
REFUSED = "nobody@relay.test"
PIPED = "piped@pipe.test"
RCPTS = ["alice@example.test", "ann@virtual.test", PIPED, "user0@relay.test"]
TAKE = """\
# Stores the message of standard input, unless there is none: the writer was killed. The shell itself
# may not get a process.
status=75
trap 'exit $status' EXIT
cd {directory} && cat >tmp.$$ && test -s tmp.$$ && mv tmp.$$ new/$(date +%s%N).$$ && status=0
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
        if number == 0:
            return True
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
        self.instance: Instance = make_instance(
            transport_maps=f"inline:{{ {{relay.test=relay:[{SINK_HOST}]}}, {{pipe.test=taker:}} }}",
            relay_domains="relay.test pipe.test",
            virtual_mailbox_maps="proxy:texthash:$config_directory/vmailbox",
        )
        take = self.instance.write("take", TAKE.format(directory=self.piped))
        self.instance.services.append(
            f"taker unix - n n - - pipe flags=q user=vmail argv=/bin/sh {take}")
        self.instance.write_master()
        self.instance.start()

    def collect(self) -> None:
        """Books what has arrived."""
        self.collector.collect()
        self.collector.collect_maildir(PIPED, self.piped / "new")

    def send(self, by_sendmail: bool) -> tuple[int, str]:
        """One message; returns its number, 0 when it was not even begun, and its queue id, when that is
        known."""
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
            number = len(self.books.records)
            return (number if number > before else 0), ""

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

    # After a fault.

    def is_over(self, number: int) -> bool:
        """Whether there is nothing to wait for with the fault in place: all has arrived, or the
        client was not promised anything."""
        self.collect()
        return not self.is_owed(number) or self.books.is_complete(number)

    def is_owed(self, number: int) -> bool:
        """Whether a message was promised to arrive."""
        return number > 0 and self.books.records[number].state == ACKNOWLEDGED

    def recover(self, number: int) -> list[str]:
        """Without the fault all goes on: master runs or starts again, the message arrives, and a client
        that was told to come later is heard. What went wrong."""
        wrong = []
        if not self.instance.status() and (result := self.instance.control("start")).code != 0:
            wrong.append(f"does not start again: {result!r}")
        if not self.settle(number):
            wrong.append(f"stays: {self.waiting()}; missing {self.books.missing()[:3]}")
        if number > 0 and max(self.books.records[number].copies.values(), default=0) > 2:
            wrong.append("more than one duplicate")
        if not self.is_owed(number) and not wait_until(self.is_taken, 10):
            wrong.append("no service afterwards")
        return wrong

    def end(self) -> list[str]:
        """Everything is delivered that waits; what was wrong over the whole run."""
        left = drain(self.instance, self.collector, 15)
        self.collect()
        return [f"left in the queue: {x}" for x in left] + self.books.wrong + self.books.faults(math.inf)

    def is_taken(self) -> bool:
        """Whether another message is taken, and arrives."""
        number, _ = self.send(False)
        return self.is_owed(number) and self.settle(number)


def crashes(log: str) -> list[str]:
    """Lines of the log that say that a program crashed."""
    return CRASH.findall(log)
