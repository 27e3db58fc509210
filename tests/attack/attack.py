"""What the attack cases share: a system with today's defaults, and clients that it does not know."""

from __future__ import annotations

import os
import re
import time

import pytest
from client import Client, Closed, Reply
from mta import TMP

STRANGER = "192.0.2.66"
"""Client address outside mynetworks."""

MAIN = {
    "compatibility_level": "3.11",
    # The delays are not what most cases are about.
    "smtpd_error_sleep_time": "0",
    "smtpd_client_connection_count_limit": "0",
}

LONG = bool(os.environ.get("ATTACK_LONG"))
"""Whether cases have their full number of rounds; tests/check long sets it."""

LOG_LINE = 1024
"""Longest log line, in bytes."""


def stranger(mta, **kw) -> Client:
    """Connects as a client without privileges, and says EHLO."""
    c = Client(mta.port(), mta.host, source=STRANGER, **kw)
    c.ehlo()
    return c


def ready(mta, rcpt: str = "alice@example.test", params: str = "") -> Client:
    """A session with sender and recipient."""
    c = stranger(mta)
    c.mail("evil@client.test", params)
    c.rcpt(rcpt)
    return c


def alive(c: Client, wait: float = 0.05) -> None:
    """Asserts that the session answers the next command, and just that."""
    assert not c.pending(wait), c.buffer
    c.cmd("NOOP", 250)


def rest(c: Client) -> list[Reply]:
    """All replies until the server closes."""
    replies = []
    while True:
        try:
            replies.append(c.reply())
        except Closed:
            return replies


def queued(mta) -> int:
    """Number of messages that entered the queue since the case began."""
    return len(mta.grep_log(r"/cleanup\[\d+\]: \w+: message-id="))


def settled(mta) -> None:
    """Waits until no session and no queue file is left."""
    time.sleep(0.05)
    mta.wait_empty_queue()


def daemons(mta, name: str | None = None) -> list[int]:
    """Process ids of the instance, master first, or of those that run one program."""
    found = [int((mta.queue / "pid/master.pid").read_text())]
    for pid in found:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as f:
                    found += map(int, f.read().split())
        except FileNotFoundError:
            pass
    return [pid for pid in found if name in (None, program_of(pid))]


def program_of(pid: int) -> str:
    """What a process runs; empty when it has ended."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def memory_kb(pids: list[int], field: str = "VmRSS") -> int:
    """Memory of processes: VmRSS now, VmHWM the most it ever was."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith(field))
        except FileNotFoundError:
            pass
    return total


def cpu_s(pids: list[int]) -> float:
    """Seconds of processor time that processes have used, with the children they waited for."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                total += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:15]))
        except FileNotFoundError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def descriptors(pids: list[int]) -> int:
    """Open descriptors of processes."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


SANITIZED = "SAN_REPORTS" in os.environ
"""Sanitizers keep what is freed and take their time: then figures of memory and time say nothing."""


def clean_log(mta) -> None:
    """Asserts what holds after every attack: no crash, and lines that are short and plain."""
    text = mta.log_file.read_bytes()[mta.mark:]
    for line in text.split(b"\n"):
        assert len(line) <= LOG_LINE, line
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line), line
        assert not re.search(rb"panic:|fatal:|killed by signal|bad command startup", line), line


@pytest.fixture
def secret():
    """A file of root, with what must stay in it."""
    path = TMP / "secret"
    path.write_text("root's\n")
    path.chmod(0o600)
    yield path
    assert path.read_text() == "root's\n" and path.stat().st_mode & 0o777 == 0o600
    path.unlink()
