"""At a limit a client hears so at once, who is there keeps the pace, and the log names the limit, once."""

import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

import pytest
from client import Client
from mta import poll, program

ALICE = "alice@example.test"
QUICKLY = 1.0
STRANGER = "192.0.2.66"


@contextmanager
def pace(client):
    """Asserts that a session is served as before, by a function to be called now and then."""
    slowest = [0.0]

    def step():
        start = time.monotonic()
        client.cmd("NOOP", 250)
        slowest[0] = max(slowest[0], time.monotonic() - start)
    yield step
    step()
    assert slowest[0] < QUICKLY, slowest


def refused(mta, expect):
    """How long a stranger's connection takes to be refused."""
    start = time.monotonic()
    with Client(mta.port(), mta.host, source=STRANGER, banner=None) as c:
        c.reply(expect)
        assert c.closed()
    return time.monotonic() - start


@pytest.mark.parametrize("limit,name", [
    ({"smtpd_client_connection_count_limit": "2"}, "smtpd_client_connection_count_limit"),
    ({"smtpd_client_connection_rate_limit": "2"}, "smtpd_client_connection_rate_limit")])
def test_connections(make_mta, limit, name):
    """A client with too many connections."""
    mta = make_mta(main=limit)
    with Client(mta.port(), mta.host, source=STRANGER) as first, \
            Client(mta.port(), mta.host, source=STRANGER), pace(first) as step:
        for _ in range(10):
            assert refused(mta, "421 4.7.0 ") < QUICKLY
            step()
        mta.wait_log(r"warning: Connection \S+ limit exceeded: \d+ from \S+ for service", count=10)
        assert len(mta.grep_log(f"warning: .*{name} = 2")) == 1
        assert len(mta.grep_log("smtpd_client_event_limit_exceptions")) == 1


def test_messages(make_mta):
    """A client with too many messages: each is refused, the parameter is named once."""
    mta = make_mta(main={"smtpd_client_message_rate_limit": "1", "smtpd_client_recipient_rate_limit": "3"})
    for number in range(5):
        with Client(mta.port(), mta.host, source=STRANGER) as c:
            c.ehlo()
            start = time.monotonic()
            c.mail("a@client.test", expect="450 4.7.1 " if number else 250)
            assert time.monotonic() - start < QUICKLY
    with Client(mta.port(), mta.host, source="192.0.2.67") as c:
        c.ehlo()
        c.mail("a@client.test")
        for number in range(6):
            c.rcpt(ALICE, expect="450 4.7.1 " if number > 2 else 250)
    assert len(mta.grep_log("warning: Message delivery request rate limit exceeded")) == 4
    assert len(mta.grep_log("smtpd_client_message_rate_limit = 1")) == 1
    assert len(mta.grep_log("smtpd_client_recipient_rate_limit = 3")) == 1


def test_no_free_space(make_mta):
    """The queue has less room than queue_minfree: no new message; the one that was begun is taken."""
    mta = make_mta()
    with mta.smtp() as begun:
        begun.ehlo()
        begun.mail("a@client.test")
        begun.rcpt(ALICE)
        with mta.settings(queue_minfree="1000000000000000"):
            for _ in range(5):
                with mta.smtp() as c:
                    c.ehlo()
                    start = time.monotonic()
                    c.mail("b@client.test", expect="452 4.3.1 ")
                    assert time.monotonic() - start < QUICKLY
            begun.data("Subject: x\n\nx\n")
            assert len(mta.grep_log("warning: .*queue_minfree")) == 1
            assert len(mta.grep_log(r"NOQUEUE: reject: MAIL from \S+: 452 4\.3\.1 ")) == 5
    with mta.smtp() as c:
        c.ehlo()
        c.transaction("c@client.test", ALICE, "Subject: x\n\nx\n")


def test_full_disk(make_mta):
    """The disk is full when the message is written: 452, at once, and nothing is left of it; mail is
    taken again when there is room."""
    mta = make_mta()
    mta.stop()
    incoming = mta.queue / "incoming"
    owner = incoming.stat()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=256k,uid={owner.st_uid},mode=700", "tmpfs",
                    incoming], check=True)
    try:
        mta.start()
        with mta.smtp() as other, pace(other) as step, mta.smtp() as c:
            c.ehlo()
            for _ in range(3):
                c.mail("a@client.test")
                c.rcpt(ALICE)
                start = time.monotonic()
                c.data("Subject: x\n\n" + ("y" * 70 + "\n") * 10000, expect="452 4.3.1 ")
                assert time.monotonic() - start < QUICKLY
                step()
            poll(lambda: not [f for f in incoming.rglob("*") if f.is_file()])
            mta.wait_log("warning: .*No space left on device")
            c.transaction("c@client.test", ALICE, "Subject: x\n\nx\n")
            mta.wait_maildir("alice")
            mta.wait_empty_queue()
    finally:
        mta.stop()
        subprocess.run(["umount", incoming], check=True)


def test_descriptors(make_mta):
    """No more descriptors for clients: those who were silent for longest go."""
    mta = make_mta(services=["LISTEN0 inet n - n - 400 smtpd"], start=False)
    subprocess.run(["prlimit", "--nofile=800:800", program("postern"), "-c", mta.config, "start"], check=True)
    with ExitStack() as stack:
        speaker = stack.enter_context(mta.smtp())
        speaker.ehlo()
        step = stack.enter_context(pace(speaker))
        socks = []
        for number in range(350):
            sock = stack.enter_context(socket.create_connection((mta.host, mta.port()), 5))
            assert sock.recv(1000).startswith(b"220 ")
            socks.append(sock)
            if number % 10 == 0:
                step()
        start = time.monotonic()
        with mta.smtp() as new:
            new.ehlo()
        assert time.monotonic() - start < QUICKLY
        assert socks[0].recv(1000).startswith(b"421 4.3.2 ")
        assert len(mta.grep_log("warning: .*RLIMIT_NOFILE")) == 1
