"""Group F, resources."""

import os
import resource
import socket
import struct
import threading
import time

import pytest
from attack import (
    LONG, MAIN, SANITIZED, STRANGER, alive, clean_log, cpu_s, daemons, descriptors, memory_kb,
    queued, ready, settled, stranger,
)
from client import Client, Closed
from ipc import Channel, message
from mta import poll


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta({**MAIN, "recipient_delimiter": "+", "smtpd_client_connection_rate_limit": "0"})


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
    codes = [c.reply("220|421 4.7.0 ").code for c in clients]
    assert codes.count(220) == 50 and codes.count(421) == 10, codes
    with Client(own.port(), own.host, source="192.0.2.67") as other:
        other.quit()
    for c in clients:
        c.close()
    clean_log(own)


def source(number):
    """An address for each of many clients."""
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def test_F2(mta):
    """A thousand silent clients of as many addresses: a good one is greeted and served at once, and
    no process is spent on them. (tests/system/test_silent_peers.py has more of it.)"""
    before = memory_kb(daemons(mta))
    socks = []
    try:
        for number in range(1000):
            sock = socket.socket()
            sock.bind((source(number), 0))
            sock.connect((mta.host, mta.port()))
            socks.append(sock)
        start = time.monotonic()
        good(mta)
        assert time.monotonic() - start < 5
        assert len(daemons(mta, "smtpd")) <= 4
        assert memory_kb(daemons(mta)) - before < 16 * 1024 or SANITIZED
    finally:
        for sock in socks:
            sock.close()


@pytest.fixture(scope="module")
def strict(make_mta):
    """An instance with time limits for whole requests."""
    return make_mta({**MAIN, "smtpd_timeout": "1s", "smtpd_per_request_deadline": "yes"})


@pytest.mark.parametrize("where", ["greeting", "command", "DATA", "BDAT", "dots"])
def test_F3(strict, where):
    """A client that sends a byte at a time, always before the time limit of one read, is dropped."""
    # The time limit begins behind `start`, however late this client hears of it.
    start = time.monotonic()
    c = Client(strict.port(), strict.host, source=STRANGER)
    if where != "greeting":
        start = time.monotonic()
        c.ehlo()
    if where not in ("greeting", "command"):
        c.mail("a@client.test")
        start = time.monotonic()
        c.rcpt("alice@example.test")
    if where == "DATA" or where == "dots":
        start = time.monotonic()
        c.cmd("DATA", 354)
    if where == "BDAT":
        c.send(b"BDAT 100000 LAST\r\n")
    unit = b"\r\n.." if where == "dots" else b"x"
    while not c.pending(0.2) and time.monotonic() - start < 10:
        try:
            c.send(unit)
        except OSError:
            break
    assert 0.8 < time.monotonic() - start < 5
    assert last_replies(c) in ([421], [])
    settled(strict)
    assert not strict.maildir("alice")
    clean_log(strict)


def test_F3_stress(make_mta):
    """Under stress that limit holds without being asked for."""
    own = make_mta({**MAIN, "smtpd_timeout": "${stress?{1}:{20}}s"},
                   services=["LISTEN0 inet n - n - 10 smtpd"])
    clients = []
    for number in range(10):
        clients.append(Client(own.port(), own.host, source=source(number)))
        clients[-1].ehlo()
    c = clients[-1]
    c.mail("a@client.test")
    c.rcpt("alice@example.test")
    start = time.monotonic()
    c.cmd("DATA", 354)
    while not c.pending(0.2) and time.monotonic() - start < 10:
        try:
            c.send(b"x")
        except OSError:
            break
    assert 0.8 < time.monotonic() - start < 5
    for client in clients:
        client.close()
    clean_log(own)


def test_F4(mta):
    """Recipients beyond the limit are refused, and a client that goes on is dropped."""
    c = stranger(mta)
    c.mail("a@client.test")
    codes = []
    try:
        for first in range(0, 100000, 100):
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
    with pytest.raises((Closed, OSError)):
        c.cmd("NOOP")
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
    # The writer of the file hears of it from smtpd, behind the reply.
    poll(lambda: not [f for f in (mta.queue / "incoming").rglob("*") if f.is_file()])


def test_F12_front(mta):
    """Connections from very many addresses: what is remembered of them is bounded."""
    rounds = 200000 if LONG else 5000
    good(mta)
    pids = daemons(mta, "front") + daemons(mta, "anvil")
    before = memory_kb(pids)
    for number in range(rounds):
        with socket.socket() as sock:
            sock.bind((source(number), 0))
            sock.connect((mta.host, mta.port()))
            # Closed with RST, so that no port is kept waiting.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    good(mta)
    assert memory_kb(pids) - before < min(64 * 1024, 2048 + rounds) or SANITIZED


def test_F12_anvil(make_mta):
    """As many clients as there are addresses, told to anvil: it forgets the oldest ones."""
    own = make_mta({**MAIN, "smtpd_client_message_rate_limit": "100"})
    with stranger(own) as c:
        c.mail("a@client.test")
    rounds = 1000000 if LONG else 70000
    anvil, = daemons(own, "anvil")
    with Channel(own, "smtpd", "anvil") as channel:
        for number in range(rounds):
            channel.send(message("rate_event", kind=1, service="x" * 200, client=f"{number:040x}"))
            channel.receive()
    assert memory_kb([anvil]) < 64 * 1024 or SANITIZED
    assert daemons(own, "anvil") == [anvil]
    clean_log(own)


def test_F13(mta):
    """Connections that are reset at once cost little time and leave nothing open."""
    rounds = 100000 if LONG else 5000
    good(mta)
    front = daemons(mta, "front")
    open_before, cpu_before = descriptors(front), cpu_s(daemons(mta))
    for _ in range(rounds):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.connect((mta.host, mta.port()))
    good(mta)
    poll(lambda: descriptors(front) <= open_before, 10, "descriptors are closed")
    assert cpu_s(daemons(mta)) - cpu_before < rounds * 0.0005 or SANITIZED
    assert daemons(mta, "front") == front


def test_F16(mta):
    """Endless lines before anything was said, many at once: of 80 MB nothing is kept, and a worker
    for each client costs 1 MB."""
    before = memory_kb(daemons(mta))
    clients = [Client(mta.port(), mta.host, source=source(n)) for n in range(20)]
    threads = [threading.Thread(target=flood, args=(c, b"A" * (4 << 20))) for c in clients]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, memory_kb(daemons(mta)))
        time.sleep(0.01)
    assert most - before < 60 * 1024 or SANITIZED
    for c in clients:
        c.close()
    good(mta)


JUNK = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "rdp": b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    "smb": b"\x00\x00\x00\x85\xffSMBr\x00\x00\x00\x00\x18\x53\xc8" + b"\0" * 100 + b"\n",
    "tls13": b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(32) + b"\x20" + b"\n" * 189,
    "ssl2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n" + b"\x00\x00\x05\xdc\x04\x14" + bytes(1500),
    "socks": b"\x05\x03\x00\x01\x02\x04\x01\x00\x19\x7f\x00\x00\x01\x00",
    "dns": b"\x00\x1e\x00\x06\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07version\x04bind\x00\x00\x10\x00\x03",
    "ldap": b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x02\x04\x00\x80\x00",
    "x11": b"l\x00\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    "sip": b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm;branch=foo\r\nContent-Length: 0\r\n\r\n",
    "rtsp": b"OPTIONS / RTSP/1.0\r\n\r\n",
    "redis": b"*1\r\n$4\r\nINFO\r\n",
    "java": b"JRMI\x00\x02K",
    "mqtt": b"\x10\x1a\x00\x04MQTT\x04\x02\x00\x3c\x00\x0escanner-client",
    "proxy1": b"PROXY TCP4 127.0.0.1 127.0.0.1 25 25\r\n",
    "proxy2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([127, 0, 0, 1] * 2) + b"\x00\x19" * 2,
    "telnet": b"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f\xff\xfa\x18\x00xterm\xff\xf0",
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
