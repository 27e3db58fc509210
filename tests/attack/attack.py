"""What the attack cases share: a system with today's defaults, and clients that it does not know."""

from __future__ import annotations

import re
import time

from client import Client, Closed, Reply

STRANGER = "192.0.2.66"
"""Client address outside mynetworks."""

MAIN = {
    "compatibility_level": "3.11",
    # The delays are not what most cases are about.
    "smtpd_error_sleep_time": "0",
    "smtpd_client_connection_count_limit": "0",
}

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


def alive(c: Client) -> None:
    """Asserts that the session answers the next command, and just that."""
    assert not c.pending(0.05), c.buffer
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


def clean_log(mta) -> None:
    """Asserts what holds after every attack: no crash, and lines that are short and plain."""
    text = mta.log_file.read_bytes()[mta.mark:]
    for line in text.split(b"\n"):
        assert len(line) <= LOG_LINE, line
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line), line
        assert not re.search(rb"panic:|fatal:|killed by signal|bad command startup", line), line
