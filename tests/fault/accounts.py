"""The books of a fault harness: what was sent, what was promised, what arrived.

Every message has a number, in a header and in the books, and content that follows from the
number, so that any copy can be checked wherever it turns up. A copy is one message for one
recipient. What a client was told decides what is owed:

    acknowledged   250 for the end of data, or exit status 0 of sendmail: must arrive, unaltered
    in doubt       the end of data was sent and no such answer came: may arrive
    refused        the end of data was never sent: must not arrive
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
from dataclasses import dataclass, field

HEADER = re.compile(rb"(?mi)^X-Fault-Number: (\d+)\r?$")

REFUSED, IN_DOUBT, ACKNOWLEDGED = range(3)


def content(seed: int, number: int, smallest: int, largest: int) -> bytes:
    """Body of a message, with LF line ends: sizes spread evenly over their magnitudes, 8-bit
    bytes, and the lines that mail software has altered before."""
    rng = random.Random(f"{seed} {number}")
    size = int(smallest * (largest / smallest) ** rng.random())
    lines = [b"From the first line on", b".", b"..", b"", b".dot", b"caf\xc3\xa9", b" blank at end "]
    length = sum(len(x) + 1 for x in lines)
    raw = rng.randbytes(min(size, 4096)).translate(_PRINTABLE)
    while length < size:
        start = rng.randrange(max(1, len(raw) - 900))
        line = raw[start : start + rng.randrange(900)]
        lines.append(line)
        length += len(line) + 1
    return b"\n".join(lines) + b"\n\n"


_PRINTABLE = bytes(33 + byte % 94 for byte in range(256))


@dataclass
class Record:
    """One message of the books."""

    digest: bytes
    rcpts: list[str]
    state: int = REFUSED
    rejected: str = ""
    """The reply, when it was a refusal for good."""
    copies: dict[str, int] = field(default_factory=dict)
    """How many whole copies each recipient has."""


class Books:
    """Thread-safe accounts of all messages of a run."""

    def __init__(self, seed: int, smallest: int = 1000, largest: int = 200_000) -> None:
        self.seed, self.smallest, self.largest = seed, smallest, largest
        self.records: dict[int, Record] = {}
        self.altered: list[str] = []
        self.strange: list[str] = []
        """Mail that nobody sent: notifications, most likely."""
        self.kills: dict[str, int] = {}
        self.acknowledged = 0
        self._lock = threading.Lock()

    # Sending.

    def new(self, rcpts: list[str]) -> tuple[int, bytes]:
        """Opens a record; returns the number and the message with LF line ends."""
        with self._lock:
            number = len(self.records) + 1
            self.records[number] = Record(b"", rcpts)
        body = content(self.seed, number, self.smallest, self.largest)
        self.records[number].digest = hashlib.sha256(body).digest()
        head = f"From: sender@example.test\nSubject: fault {number}\nX-Fault-Number: {number}\n"
        return number, head.encode() + b"\n" + body

    def set_state(self, number: int, state: int) -> None:
        """What the client was told."""
        with self._lock:
            self.records[number].state = state
            self.acknowledged += state == ACKNOWLEDGED

    def set_rejected(self, number: int, reply: str) -> None:
        """The client was given a permanent refusal, which no local fault may cause."""
        self.records[number].rejected = reply

    def killed(self, program: str) -> None:
        """Counts a kill."""
        self.kills[program] = self.kills.get(program, 0) + 1

    # Arriving.

    def arrived(self, rcpt: str, mail: bytes) -> None:
        """Books a copy; `mail` with either kind of line ends."""
        found = HEADER.search(mail[:8192])
        number = int(found.group(1)) if found else 0
        record = self.records.get(number)
        head, _, body = mail.replace(b"\r\n", b"\n").partition(b"\n\n")
        with self._lock:
            if b"MAILER-DAEMON" in head or record is None:
                self.strange.append(f"for {rcpt}: {mail[:3000].decode('utf-8', 'replace')}")
            elif rcpt not in record.rcpts:
                self.strange.append(f"message {number} for {rcpt}, not its recipient")
            elif hashlib.sha256(body).digest() != record.digest:
                self.altered.append(f"message {number} for {rcpt}: {len(body)} bytes of body")
            else:
                record.copies[rcpt] = record.copies.get(rcpt, 0) + 1

    def missing(self) -> list[str]:
        """Acknowledged copies that have not arrived."""
        with self._lock:
            return [
                f"message {number} for {rcpt}"
                for number, record in self.records.items() if record.state == ACKNOWLEDGED
                for rcpt in record.rcpts if rcpt not in record.copies
            ]

    # The end.

    def line(self, name: str) -> str:
        """The accounting line."""
        return f"{name}: " + ", ".join(f"{value} {what}" for what, value in self.sums().items())

    def sums(self) -> dict[str, int]:
        """The numbers of the accounting line."""
        records = list(self.records.values())
        kills = sum(self.kills.values())
        return {
            "sent": len(records),
            "acknowledged": sum(r.state == ACKNOWLEDGED for r in records),
            "in doubt": sum(r.state == IN_DOUBT for r in records),
            "arrived": sum(bool(r.copies) for r in records),
            "copies lost": len(self.missing()),
            "altered": len(self.altered),
            "duplicated": self.duplicates(),
            "kills": kills,
        }

    def duplicates(self) -> int:
        """Copies beyond the first, over all messages and recipients."""
        return sum(n - 1 for r in self.records.values() for n in r.copies.values())

    def faults(self, duplicates_allowed: float) -> list[str]:
        """Everything that must not be, as text; empty when the run was good."""
        found = [f"lost: {x}" for x in self.missing()]
        found += [f"altered: {x}" for x in self.altered]
        found += [f"nobody sent this: {x}" for x in self.strange]
        for number, record in self.records.items():
            if record.rejected:
                found.append(f"message {number}: refused for good: {record.rejected}")
            if record.state == REFUSED and record.copies:
                found.append(f"message {number}: arrived, though its end was never sent")
        if self.duplicates() > duplicates_allowed:
            found.append(f"{self.duplicates()} duplicates, {duplicates_allowed:.1f} allowed")
        return found
