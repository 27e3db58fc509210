"""Group B, the state of a session and BDAT."""

import os

import pytest
from attack import MAIN, STRANGER, alive, clean_log, queued, ready, rest, settled, stranger
from client import Client


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta(MAIN)


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


def test_B1(mta):
    """Commands out of order."""
    c = stranger(mta)
    c.cmd("RCPT TO:<alice@example.test>", "503")
    c.cmd("DATA", "503|554 5.5.1")
    c.mail("a@client.test")
    c.cmd("DATA", "554 5.5.1")
    c.cmd("MAIL FROM:<a@client.test>", 503)
    alive(c)


def test_B2(mta):
    """Commands before the reply to EHLO are not run."""
    c = Client(mta.port(), mta.host, source=STRANGER)
    c.send(b"EHLO a.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\n")
    replies = rest(c)
    assert replies[-1].code in (554, 521) and len(replies) <= 2, replies
    assert queued(mta) == 0


def test_B3(mta):
    """A whole transaction in one segment is refused at DATA."""
    c = stranger(mta)
    c.send(b"MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
           b"Subject: x\r\n\r\nx\r\n.\r\n")
    assert [r.code for r in rest(c)] == [250, 250, 554]
    settled(mta)
    assert queued(mta) == 0 and not mta.maildir("alice")


def test_B4(mta):
    """DATA after BDAT."""
    c = ready(mta)
    c.bdat("abc")
    c.cmd("DATA", 503)
    alive(c)


@pytest.mark.parametrize(
    "size", ["99999999999999999999", "-1", "x", "5 FIRST", "+5", "0x5", "", "5 LAST LAST"])
def test_B5(mta, size):
    """Without the length of a chunk its end is not known: the session ends."""
    c = ready(mta)
    c.send(f"BDAT {size}\r\nMAIL FROM:<x@client.test>\r\nRCPT TO:<bob@example.test>\r\n")
    replies = rest(c)
    assert len(replies) == 1 and replies[0].code // 100 == 5, replies
    settled(mta)
    assert not mta.maildir("alice") and not mta.maildir("bob")


def test_B6(mta):
    """A bad BDAT after a good one leaves no half transaction."""
    c = ready(mta)
    c.bdat("abc")
    c.send(b"BDAT zz\r\nDATA\r\n")
    replies = rest(c)
    assert len(replies) == 1 and replies[0].code // 100 == 5, replies
    settled(mta)
    assert not mta.maildir("alice")


def test_B8(mta):
    """VRFY of a UTF-8 address does not half reset the transaction."""
    c = ready(mta)
    c.cmd("VRFY <é@example.test>", "252|5")
    c.data("Subject: x\n\nx\n")
    mail, = mta.wait_maildir("alice")
    assert mail.header("Return-Path") == "<evil@client.test>"


def resident(mta):
    """Resident memory of all processes of the instance, in kB."""
    master = int((mta.queue / "pid/master.pid").read_text())
    total, todo = 0, [master]
    while todo:
        pid = todo.pop()
        try:
            with open(f"/proc/{pid}/status") as f:
                total += sum(int(x.split()[1]) for x in f if x.startswith("VmRSS"))
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as f:
                    todo += map(int, f.read().split())
        except FileNotFoundError:
            pass
    return total


def test_B10(mta):
    """A hundred thousand chunks of one byte cost no memory."""
    c = ready(mta)
    c.bdat("abc\r\n")
    before = resident(mta)
    for _ in range(100):
        c.send(b"BDAT 1\r\nx" * 1000)
        for _ in range(1000):
            c.reply(250)
    # Sanitizers keep what is freed.
    assert resident(mta) - before < 1024 or "SAN_REPORTS" in os.environ
    c.bdat("\r\n", last=True)
    mail, = mta.wait_maildir("alice", timeout=30)
    assert mail.replace(b"\n", b"").count(b"x" * 900) > 0


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT a:25", "Host: a"])
def test_B11(mta, line):
    """What other protocols say first ends the session before their payload is read."""
    c = Client(mta.port(), mta.host, source=STRANGER)
    c.send(f"{line}\r\nEHLO a.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\n")
    replies = rest(c)
    assert len(replies) <= 2 and replies[-1].code in (221, 421, 521, 554), replies
    assert all(r.code // 100 == 5 for r in replies[:-1])


@pytest.mark.parametrize("verb", ["RSET", "EHLO a.test", "QUIT", None])
def test_B12(mta, verb):
    """A transaction that is given up leaves nothing, in BDAT and (None) in DATA."""
    c = ready(mta)
    if verb:
        c.bdat("Subject: half\r\n\r\n")
        c.cmd(verb, "2")
    else:
        c.cmd("DATA", 354)
        c.send(b"Subject: half\r\n\r\nx\r\n")
        c.close()
    if verb and verb != "QUIT":
        c.cmd("DATA", 503 if verb == "RSET" else "5")
        alive(c)
    settled(mta)
    files = [f for sub in ("incoming", "active", "deferred") for f in mta.queue.glob(f"{sub}/**/*")
             if f.is_file()]
    assert not files and not mta.maildir("alice")


def test_B13(mta):
    """An empty message; a body type that was not announced."""
    c = stranger(mta)
    c.mail("a@client.test", "BODY=BINARYMIME", "5[05][1-5]")
    c.mail("a@client.test")
    c.rcpt("alice@example.test")
    c.send(b"BDAT 0 LAST\r\n")
    c.reply(250)
    alive(c)
    mail, = mta.wait_maildir("alice")
    assert mail.body == b""


@pytest.mark.parametrize("line", [
    "XCLIENT ADDR=127.0.0.1", "XFORWARD ADDR=127.0.0.1", "ETRN example.test", "TURN", "DEBUG",
    "WIZ", "KILL", "SHOWQ"])
def test_B14(mta, line):
    """Commands that are not for strangers."""
    c = stranger(mta)
    c.cmd(line, "459" if line.startswith("ETRN") else "5")
    alive(c)
