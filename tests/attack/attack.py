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

GONE = (FileNotFoundError, ProcessLookupError)
"""What comes of looking at a process that ends meanwhile: before its file was opened, or behind that."""

LOG_LINE = 1024
"""Longest log line, in bytes."""


class Witness(Client):
    """A client that remembers what it was refused, for clean_log()."""

    def __init__(self, mta, **kw):
        self.mta = mta
        self.refused = mta.__dict__.setdefault("refused", [])
        super().__init__(mta.port(), mta.host, source=STRANGER, **kw)

    def reply(self, expect=None):
        reply = super().reply()
        if reply.code >= 400:
            self.refused.append((self.mta.mark, reply))
        return reply.check(expect)


def stranger(mta, **kw) -> Client:
    """Connects as a client without privileges, and says EHLO."""
    c = Witness(mta, **kw)
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
        except GONE:
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
        except GONE:
            pass
    return total


def cpu_s(pids: list[int]) -> float:
    """Seconds of processor time that processes have used, with the children they waited for."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                total += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:15]))
        except GONE:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def descriptors(pids: list[int]) -> int:
    """Open descriptors of processes."""
    total = 0
    for pid in pids:
        try:
            total += len(os.listdir(f"/proc/{pid}/fd"))
        except GONE:
            pass
    return total


SANITIZED = "SAN_REPORTS" in os.environ
"""Sanitizers keep what is freed and take their time: then figures of memory and time say nothing."""


SAID_OTHERWISE = {
    "421": r"too many errors after|limit exceeded: |timeout after ",
    "554 5.5.0": "improper command pipelining after ",
    "451": r"warning: \w+: |reject: ",
    "452 4.5.3": None,
    "552": r"reject: [^\n]*: 552 |reject: message from \S+ exceeds message_size_limit",
    "550 5.6.0": "reject: [^\\n]*: 550 5.6.0|reject: [^\\n]*: 5.6.0 |reject: mime-error ",
    "535": "authentication failed",
}
"""Refusals whose line in the log does not begin with the reply. Recipients over the limit share one."""


def clean_log(mta) -> None:
    """Asserts what holds after every attack: no crash, lines that are short and plain, and one for each
    refusal that a stranger() got."""
    text = mta.log_bytes()
    has_all_refusals(mta, text.decode("utf-8", "replace"))
    for line in text.split(b"\n"):
        assert len(line) <= LOG_LINE, line
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line), line
        assert not re.search(rb"panic:|fatal:|killed by signal|bad command startup", line), line


def has_all_refusals(mta, log) -> None:
    """Asserts that each refusal is in the log: as many lines as there were replies with a code."""
    refused = [str(reply) for mark, reply in mta.__dict__.get("refused", []) if mark == mta.mark]
    mta.__dict__["refused"] = []
    codes = {text[:9] if re.match(r"\d{3} \d\.\d\.\d ", text) else text[:3] for text in refused}
    for code in codes:
        count = sum(text.startswith(code) for text in refused)
        status = code[4:].strip() or code
        pattern = rf"reject: [^\n]*: (?:{re.escape(code.strip())}|{re.escape(status)}) "
        for begin, other in SAID_OTHERWISE.items():
            if code.startswith(begin):
                pattern = other or pattern
                count = count if other else 1
        found = len(re.findall(pattern, log))
        assert found >= count, f"{count} replies {code}, {found} lines like {pattern}\n{log}"


@pytest.fixture
def secret():
    """A file of root, with what must stay in it."""
    path = TMP / "secret"
    path.write_text("root's\n")
    path.chmod(0o600)
    yield path
    assert path.read_text() == "root's\n" and path.stat().st_mode & 0o777 == 0o600
    path.unlink()
