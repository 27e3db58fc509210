"""The front of smtpd: peers that say nothing, or little, and the good client beside them.

PEERS=10000 in the environment makes more of them; figures are printed (pytest -s).
"""

import os
import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from client import Closed
from mail import message
from mta import poll

PEERS = int(os.environ.get("PEERS", "1000"))
ALICE = "alice@example.test"
NO_EXCEPTIONS = {"smtpd_client_event_limit_exceptions": ""}


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def daemons(mta, name=None):
    """Process ids of the instance's daemons, master included, or of those of one program."""
    children, names = {}, {}
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            names[int(proc.name)] = Path(os.readlink(proc / "exe")).name
            parent = int((proc / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(proc.name))
    found = [int((mta.queue / "pid/master.pid").read_text())]
    for pid in found:
        found += children.get(pid, [])
    return [pid for pid in found if name in (None, names.get(pid))]


def memory_mb(mta):
    """Memory of all its daemons: their proportional set sizes."""
    kb = 0
    for pid in daemons(mta):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended
        kb += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kb / 1024


def source(number):
    """Every peer has an address of its own."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def peers(stack, mta, count, say=b""):
    """Connects that many and leaves them alone; with the greeting read, and something said."""
    socks = []
    for number in range(count):
        sock = stack.enter_context(socket.socket())
        sock.settimeout(30)
        sock.bind((source(number), 0))
        sock.connect((mta.host, mta.port()))
        assert sock.recv(1000).startswith(b"220 ")
        if say:
            sock.sendall(say)
        socks.append(sock)
    return socks


def serve_good_client(mta):
    """Time to the greeting, and to the acceptance of a message, in seconds."""
    start = time.monotonic()
    with mta.smtp(source="127.9.9.9") as c:
        greeted = time.monotonic() - start
        c.ehlo()
        c.transaction("good@client.test", ALICE, message())
        return greeted, time.monotonic() - start


def test_silent(make_mta):
    """Silent peers cost no worker and little memory, and a good client does not notice them."""
    mta = make_mta(main=NO_EXCEPTIONS)
    before = memory_mb(mta)
    with ExitStack() as stack:
        start = time.monotonic()
        peers(stack, mta, PEERS)
        connected = time.monotonic() - start
        greeted, accepted = serve_good_client(mta)
        after = memory_mb(mta)
        print(f"\n{PEERS} silent peers, connected and greeted in {connected:.1f} s: "
              f"memory {before:.1f} MB before, {after:.1f} MB with them; "
              f"good client: banner after {greeted * 1000:.1f} ms, message after {accepted * 1000:.1f} ms")
        assert greeted < 1
        assert after < 256 or "SAN_REPORTS" in os.environ
        assert len(daemons(mta, "smtpd")) <= 4
    mta.wait_maildir("alice")


def test_spoke_and_fell_silent(make_mta):
    """The workers stay within maxproc; the longest silent make room for a new client."""
    mta = make_mta(main=NO_EXCEPTIONS, services=["LISTEN0 inet n - n - 20 smtpd"])
    with ExitStack() as stack:
        socks = peers(stack, mta, PEERS, b"EHLO silent.test\r\n")
        # All but those in the workers hear 421: they waited for too long, or made room.
        deadline = time.monotonic() + 15 + PEERS / 100
        told = 0
        while told < PEERS - 20 and time.monotonic() < deadline:
            told = 0
            for sock in socks:
                try:
                    data = sock.recv(4000, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                    told += b"421 " in data
                except BlockingIOError:
                    pass
            time.sleep(0.2)
        assert told >= PEERS - 20
        assert len(daemons(mta, "smtpd")) <= 21  # with the template
        greeted, accepted = serve_good_client(mta)
        print(f"\n{PEERS} peers that said EHLO: good client: banner after {greeted * 1000:.1f} ms, "
              f"message after {accepted:.2f} s")
        assert greeted < 1
        assert accepted < 4
    mta.wait_log(r'warning: service "\S+" has reached its process limit "20"')
    mta.wait_log(r"timeout after EHLO from \S*\[127\.1\.")


def test_spoke_at_once(make_mta):
    """Many who speak at once, and then are slow, do not hold up each other."""
    mta = make_mta(main=NO_EXCEPTIONS)
    with ExitStack() as stack:
        socks = peers(stack, mta, 80)
        start = time.monotonic()
        for sock in socks:
            sock.sendall(b"EHLO slow.test\r\n")
        for sock in socks:
            assert sock.recv(4000).startswith(b"250-")
        assert time.monotonic() - start < 5
        assert len(daemons(mta, "smtpd")) >= 81  # with the template


def test_longest_silent_makes_room(make_mta):
    """Who has been silent for longest goes, whoever came first; with 421 4.4.2."""
    mta = make_mta(services=["LISTEN0 inet n - n - 2 smtpd"])
    first, second = mta.smtp(), mta.smtp()
    first.ehlo()
    second.ehlo()
    for _ in range(5):
        time.sleep(0.5)
        first.cmd("NOOP", 250)
    with mta.smtp() as third:
        third.ehlo()
        second.reply(r"421 4\.4\.2 ")
        assert second.closed()
        first.cmd("NOOP", 250)


def test_share(make_mta):
    """No client has more than a quarter of the workers, if it is not in the exceptions."""
    mta = make_mta(main={"mynetworks": "127.0.0.1"}, services=["LISTEN0 inet n - n - 8 smtpd"])
    with ExitStack() as stack:
        clients = [stack.enter_context(mta.smtp(source="127.2.2.2")) for _ in range(3)]
        for c in clients[:2]:
            c.ehlo()
        clients[2].line("EHLO third.test")
        assert not clients[2].pending(1)
        with mta.smtp(source="127.2.2.3") as other:
            other.ehlo()
        for _ in range(4):
            stack.enter_context(mta.smtp()).ehlo()
        clients[0].quit()
        clients[2].reply(250)


def test_waits_no_longer_than_ten_seconds(make_mta):
    """A client for whom no worker is found in time gets 421."""
    mta = make_mta(services=["LISTEN0 inet n - n - 1 smtpd"])
    with mta.smtp() as busy, mta.smtp() as waiting:
        busy.ehlo()
        waiting.line("EHLO waiting.test")
        end = time.monotonic() + 12
        while not waiting.pending(0.5) and time.monotonic() < end:
            busy.cmd("NOOP", 250)
        waiting.reply(r"421 4\.3\.2 ")
        assert waiting.closed()


def test_reload_keeps_the_silent(make_mta):
    """Who was greeted before a reload is served after it, with the new configuration."""
    mta = make_mta()
    with mta.smtp() as c:
        mta.main["smtpd_helo_required"] = "yes"
        mta.write_main()
        assert mta.control("reload").code == 0
        with mta.smtp() as other:
            other.mail("a@client.test", expect=503)
        c.mail("a@client.test", expect=503)
        c.ehlo()
        c.transaction("a@client.test", ALICE, message())
    mta.wait_maildir("alice")
    poll(lambda: len(daemons(mta, "front")) == 1)


def test_stop_tells_the_silent(make_mta):
    """A stop waits for nobody who says nothing."""
    mta = make_mta()
    with mta.smtp() as c:
        start = time.monotonic()
        assert mta.control("stop").code == 0
        assert time.monotonic() - start < 3
        c.reply(r"421 4\.3\.2 ")
        assert c.closed()


def test_partial_line_and_timeout(make_mta):
    """A part of a line is not a line: smtpd_timeout ends it, with 421 4.4.2."""
    mta = make_mta(main={"smtpd_timeout": "2s"})
    with mta.smtp() as c:
        c.send("EH")
        c.reply(r"421 4\.4\.2 ")
        assert c.closed()
    with mta.smtp() as c:
        c.send("EH")
        time.sleep(0.3)
        c.send("LO part.test\r\n")
        c.reply(250)
        c.quit()


def test_refused_by_name(make_mta, dns):
    """When the exceptions have names, smtpd decides, and the limits hold all the same."""
    dns.host("friend.client.test", "192.0.2.90")
    mta = make_mta(main={"smtpd_client_connection_count_limit": "1",
                         "smtpd_client_event_limit_exceptions": ".client.test"})
    for address, code in (("192.0.2.90", 220), ("192.0.2.91", 421)):
        with mta.smtp(source=address), mta.smtp(source=address, banner=None) as second:
            try:
                assert second.reply().code == code
            except Closed:
                assert code == 421
