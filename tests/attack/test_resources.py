"""Group F, resources."""

import os
import socket
import time

import pytest
from attack import MAIN, STRANGER, alive, clean_log, queued, ready, rest, settled, stranger
from client import Client, Closed


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta({**MAIN, "recipient_delimiter": "+"})


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


def flood(c, data):
    """Sends until everything is sent or the server has closed; returns the bytes sent."""
    sent = 0
    try:
        while sent < len(data):
            sent += c.sock.send(data[sent:sent + 65536])
    except OSError:
        pass
    return sent


def last_replies(c):
    """Codes that can be read until the server closes or says no more."""
    codes = []
    c.sock.settimeout(3)
    try:
        while True:
            codes.append(c.reply().code)
    except (Closed, TimeoutError, OSError):
        return codes


def good(mta):
    """Another client is served."""
    c = stranger(mta)
    c.quit()


def test_F1(make_mta):
    """Connections from one address beyond the limit are told so."""
    own = make_mta({**MAIN, "smtpd_client_connection_count_limit": "50"})
    clients = [Client(own.port(), own.host, source=STRANGER, banner=None) for _ in range(60)]
    codes = [c.reply().code for c in clients]
    assert codes.count(220) == 50 and codes.count(421) == 10, codes
    with Client(own.port(), own.host, source="192.0.2.67") as other:
        other.quit()
    for c in clients:
        c.close()
    clean_log(own)


def test_F4(mta):
    """Recipients beyond the limit are refused, and a client that goes on is dropped."""
    c = stranger(mta)
    c.mail("a@client.test")
    codes = []
    try:
        for first in range(0, 5000, 100):
            codes += [r.code for r in c.pipeline(*(
                f"RCPT TO:<alice+{n}@example.test>" for n in range(first, first + 100)))]
    except (Closed, OSError):
        pass
    assert codes[:1000] == [250] * 1000
    assert set(codes[1000:]) <= {452, 421} and codes[1000:1100] == [452] * 100
    assert len(codes) < 2500
    settled(mta)


def test_F5(mta):
    """Too many errors end the session."""
    c = stranger(mta)
    codes = []
    for number in range(40):
        try:
            codes.append(c.cmd(f"XYZZY{number}").code)
        except (Closed, OSError):
            break
    assert codes[:18] == [502] * 18 and 19 <= len(codes) <= 21
    assert c.buffer.startswith(b"421") or codes[-1] == 421 or last_replies(c) in ([421], [])


def test_F5_delay(make_mta):
    """Errors after the soft limit are answered late."""
    own = make_mta({**MAIN, "smtpd_error_sleep_time": None})
    c = stranger(own)
    start = time.monotonic()
    for number in range(10):
        c.cmd("XYZZY", 502)
    assert time.monotonic() - start < 1
    c.cmd("XYZZY", 502)
    c.cmd("XYZZY", 502)
    assert time.monotonic() - start > 1


def test_F6(mta):
    """An endless command."""
    c = stranger(mta)
    flood(c, b"A" * (1 << 20) + b"\r\n")
    assert set(last_replies(c)) <= {500, 421}
    assert not mta.grep_log("A" * 1000)
    good(mta)


def test_F7(mta):
    """Messages over the limit, announced, unannounced and with a lie."""
    c = stranger(mta)
    c.mail("a@client.test", "SIZE=20000000", 552)
    for params in ("", "SIZE=10"):
        c.mail("a@client.test", params)
        c.rcpt("alice@example.test")
        c.data(b"Subject: x\n\n" + (b"y" * 70 + b"\n") * 150000, 552)
        alive(c)
    settled(mta)
    assert not mta.maildir("alice")
    c.mail("a@client.test")
    c.rcpt("alice@example.test")
    c.send(b"BDAT 10500000 LAST\r\n")
    flood(c, b"y" * 10500000)
    c.reply("552|521")
    settled(mta)
    assert not mta.maildir("alice")


JUNK = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "rdp": b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    "smb": b"\x00\x00\x00\x85\xffSMBr\x00\x00\x00\x00\x18\x53\xc8" + b"\0" * 100 + b"\n",
    "nul": b"\0" * 5000 + b"\r\n\r\n",
    "lines": b"\n" * 5000,
    "random": os.urandom(1 << 20),
}


@pytest.mark.parametrize("row", JUNK)
def test_F14(mta, row):
    """What is not SMTP."""
    c = Client(mta.port(), mta.host, source=STRANGER)
    flood(c, JUNK[row])
    try:
        c.sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    assert all(code >= 400 or code == 221 for code in last_replies(c))
    good(mta)
    assert queued(mta) == 0
