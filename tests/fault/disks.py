"""The instance on two small file systems, one under the queue and one under the mailboxes, which can
be made to refuse writes: the rounds that diskfull, quota and readonly share.

Under the queue, every client hears 4xx within five seconds and sendmail says that it was a temporary
failure. Under the mailboxes, mail is taken and waits. When writing works again, mail is taken within
ten seconds, and everything that was acknowledged arrives; nothing is returned.
"""

from __future__ import annotations

import math
import random
import time
from typing import Callable

from accounts import ACKNOWLEDGED, IN_DOUBT, Books
from client import Client, Closed
from filesystem import FileSystem
from harness import (
    HOMES, LOCAL, RELAY, SENDER, SINK_HOST, VIRTUAL, VMAIL, Collector, Refused, conclude, drain,
    kill_all, make_instance, queue_files, start_dns, submit, wait_until,
)
from mta import Instance
from sink import Sink

BYTES = 48_000_000
INODES = 300
ANSWER_SECONDS = 5
SERVICE_BACK_SECONDS = 10
EX_TEMPFAIL = 75
Action = Callable[[], None]


class Disks:
    """The instance on its two file systems, and what went wrong."""

    def __init__(self, seed: int, kind: type[FileSystem] = FileSystem) -> None:
        self.rng = random.Random(seed)
        self.books = Books(seed, largest=60_000)
        self.faults: list[str] = []
        start_dns()
        self.collector = Collector(self.books, Sink(SINK_HOST))
        self.instance: Instance = make_instance()
        self.queue = kind(
            "queue", {"queue": self.instance.queue, "data": self.instance.data}, BYTES, INODES)
        self.mailboxes = kind("mailboxes", {"home": HOMES, "vmail": VMAIL}, BYTES, INODES)
        self.instance.start()

    def send(self, rcpts: list[str]) -> str:
        """One message over SMTP; "" or the refusal."""
        try:
            with Client(self.instance.port(), timeout=60) as client:
                client.ehlo()
                submit(client, self.books, rcpts)
        except Refused as e:
            return str(e)
        except (OSError, Closed, AssertionError) as e:
            return f"broken: {e!r}"
        return ""

    def sendmail(self, rcpts: list[str]) -> int:
        """One message with sendmail; its exit status."""
        number, message = self.books.new(rcpts)
        self.books.set_state(number, IN_DOUBT)
        code = self.instance.sendmail("-i", "-f", SENDER, *rcpts, stdin=message).code
        if code == 0:
            self.books.set_state(number, ACKNOWLEDGED)
        return code

    def everywhere(self) -> list[str]:
        """One recipient of each kind."""
        return [self.rng.choice(kind) for kind in (LOCAL, VIRTUAL, RELAY)]

    # The two kinds of rounds.

    def without_queue(self, name: str, break_it: Action, mend_it: Action) -> None:
        """The queue cannot be written to."""
        break_it()
        for _ in range(3):
            began = time.monotonic()
            answer = self.send(self.everywhere())
            if not answer.startswith("4"):
                self.faults.append(f"{name}: the client was told: {answer or 'all is well'}")
            if time.monotonic() - began > ANSWER_SECONDS:
                self.faults.append(f"{name}: answer after {time.monotonic() - began:.1f} s")
        code = self.sendmail(self.everywhere())
        if code != EX_TEMPFAIL:
            self.faults.append(f"{name}: exit status {code} of sendmail")
        mend_it()
        self.back(name)

    def without_mailboxes(self, name: str, break_it: Action, mend_it: Action) -> None:
        """The mailboxes cannot be written to."""
        break_it()
        for _ in range(3):
            answer = self.send(self.everywhere())
            if answer:
                self.faults.append(f"{name}: the client was told: {answer}")
        if not wait_until(self.waits, 10):
            self.faults.append(f"{name}: nothing waits in the queue")
        mend_it()
        self.back(name)

    def repair(self, filesystem: FileSystem) -> None:
        """Takes everything down, as one does to repair a disk, and up again."""
        kill_all()
        filesystem.repair()
        self.instance.start()

    def waits(self) -> bool:
        """Whether mail was tried and waits."""
        return any(x.startswith("deferred/") for x in queue_files(self.instance))

    def back(self, name: str) -> None:
        """Service is back, and what waited goes on."""
        if not wait_until(lambda: not self.send(self.everywhere()), SERVICE_BACK_SECONDS):
            self.faults.append(f"{name}: no service {SERVICE_BACK_SECONDS} s after there was room")
        self.instance.postqueue("-f")
        left = drain(self.instance, self.collector, 15)
        self.faults += [f"{name}: left in the queue: {x}" for x in left]

    def conclude(self, name: str) -> None:
        """The end of the program."""
        conclude(self.books.line(name), self.faults + self.books.faults(math.inf), self.instance)
