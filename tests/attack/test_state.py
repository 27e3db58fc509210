"""Group B, the state of a session and BDAT."""

import pytest
from attack import (
    LONG, MAIN, SANITIZED, STRANGER, alive, clean_log, daemons, memory_kb, queued, ready, rest,
    settled, stranger,
)
from client import Client
from mta import poll
from policy_util import Listeners, Policy

POLICY = "check_policy_service inet:198.51.100.20:10031"


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta(MAIN)


@pytest.fixture
def policy():
    server = Policy()
    yield server
    server.close()


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


def test_B7(mta, policy):
    """A message that the policy server refuses at its end leaves nothing of its transaction, and the
    next one is asked about like the first."""
    with mta.settings(smtpd_end_of_data_restrictions=POLICY):
        policy.action = "REJECT first"
        c = ready(mta)
        c.data("Subject: first\n\nx\n", "5.. 5.7.1 .*first")
        c.cmd("RCPT TO:<bob@example.test>", 503)
        c.cmd("DATA", "503|554 5.5.1")
        c.bdat("x\r\n", last=True, expect="503|554 5.5.1")
        c.mail("second@client.test")
        c.rcpt("alice@example.test")
        c.data("Subject: second\n\nx\n", "5.. 5.7.1 .*first")
        policy.action = "DUNNO"
        c.mail("third@client.test")
        c.rcpt("alice@example.test")
        c.data("Subject: third\n\nx\n")
        assert [r["sender"] for r in policy.requests] == [
            "evil@client.test", "second@client.test", "third@client.test"]
        assert {r["recipient_count"] for r in policy.requests} == {"1"}
        mail, = mta.wait_maildir("alice")
        assert mail.header("Subject") == "third"
        settled(mta)


REFUSALS = {
    "550 5.7.2": "550 5.7.2", "550": "550 5", "550 5.": "550 5", "450 4.7.2": "450 4.7.2",
    "REJECT": "554 5.7.1", "REJECT 5.7.2": "554 5.7.2", "DEFER 4.7.2": "450 4.7.2",
    "DEFER_IF_PERMIT 4.7.2": "450 4.7.2",
}
"""What a table or a policy server may say without a text, and what the client then hears."""

LISTED = {"$$rbl_code 5.7.2": "554 5.7.2", "550 5.7.2": "550 5.7.2", "550": "451 4.3.5",
          "$$rbl_code": "451 4.3.5"}
"""The same of replies for clients in a block list."""


def test_C6(make_mta, dns, policy):
    """Refusals without a text, from an access table, a policy server and a block list."""
    table = " ".join(f"{{alice+{n}@example.test = {text}}}," for n, text in enumerate(REFUSALS))
    replies = " ".join(f"{{bl{n}.test = {text}}}," for n, text in enumerate(LISTED))
    lists = ", ".join(f"reject_rbl_client bl{n}.test" for n in range(len(LISTED)))
    ports = Listeners(
        table={"smtpd_recipient_restrictions": f"check_recipient_access inline:{{{table}}}"},
        policy={"smtpd_recipient_restrictions": POLICY},
        lists={"smtpd_recipient_restrictions": lists, "rbl_reply_maps": f"inline:{{{replies}}}"})
    own = make_mta({**MAIN, "recipient_delimiter": "+"}, services=ports.services)
    for listen in ("table", "policy"):
        for number, (policy.action, expect) in enumerate(REFUSALS.items()):
            c = Client(own.port(ports[listen]), own.host, source=STRANGER)
            c.ehlo()
            c.mail("a@client.test")
            reply = c.cmd(f"RCPT TO:<alice+{number}@example.test>", expect)
            assert str(reply).isprintable(), reply
            alive(c)
            c.close()
    for number, expect in enumerate(LISTED.values()):
        dns.a(f"{100 + number}.2.0.192.bl{number}.test", "127.0.0.2")
        c = Client(own.port(ports["lists"]), own.host, source=f"192.0.2.{100 + number}")
        c.ehlo()
        c.mail("a@client.test")
        assert str(c.cmd("RCPT TO:<alice@example.test>", expect)).isprintable()
        alive(c)
        c.close()
    clean_log(own)


def test_B8(mta):
    """VRFY of a UTF-8 address does not half reset the transaction."""
    c = ready(mta)
    c.cmd("VRFY <é@example.test>", "252|5")
    c.data("Subject: x\n\nx\n")
    mail, = mta.wait_maildir("alice")
    assert mail.header("Return-Path") == "<evil@client.test>"


def test_B10(mta):
    """A hundred thousand chunks of one byte (a million in the long form) cost no memory."""
    c = ready(mta)
    c.bdat("abc\r\n")
    # Without those that start meanwhile.
    pids = daemons(mta)
    before = memory_kb(pids)
    for _ in range(1000 if LONG else 100):
        c.send(b"BDAT 1\r\nx" * 1000)
        for _ in range(1000):
            c.reply(250)
    assert memory_kb(pids) - before < 1024 or SANITIZED
    c.bdat("\r\n", last=True)
    mail, = mta.wait_maildir("alice", timeout=30)
    assert mail.replace(b"\n", b"").count(b"x" * 900) > 0


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT a:25", "Host: a"])
def test_B11(mta, line):
    """What other protocols say first ends the session before their payload is read."""
    c = Client(mta.port(), mta.host, source=STRANGER)
    c.send(f"{line}\r\nEHLO a.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.test>\r\n")
    replies = rest(c)
    assert len(replies) == 1 and replies[0].code in (221, 421), replies


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

    def files():
        return [f for sub in ("incoming", "active", "deferred") for f in mta.queue.glob(f"{sub}/**/*")
                if f.is_file()]
    # The writer of the file hears of it from smtpd, behind the reply.
    poll(lambda: not files(), what=lambda: str(files()))
    settled(mta)
    assert not mta.maildir("alice")


def test_B13(mta):
    """An empty message; a body type that was not announced."""
    c = stranger(mta)
    c.mail("a@client.test", "BODY=BINARYMIME", 555)
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
    c.cmd(line, {"XCLIENT": "550", "XFORWARD": "550", "ETRN": "459"}.get(line.split()[0], "5"))
    alive(c)
