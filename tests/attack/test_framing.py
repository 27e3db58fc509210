"""Group A, framing: one body that pretends to end early is one message."""

import itertools
import re
import socket
import time

import pytest
from attack import LONG, MAIN, alive, clean_log, queued, ready, settled

SEPARATORS = {
    "A1": b"\n.\n",
    "A2": b"\n.\r\n",
    "A3": b"\r\n.\n",
    "A4": b"\r.\r",
    "A5": b"\r\n.\r",
    "A6": b"\r.\r\n",
    "A7": b"\r\n.\r\r\n",
    "A8": b"\r\n.\0\r\n",
    "A9": b"\r\n\0.\r\n",
    "A10": b"\n\0.\r\n",
}

INNER = (
    b"MAIL FROM:<evil@client.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
    b"Subject: inner\r\n\r\nSMUGGLED"
)


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta({
        **MAIN, "relay_domains": "relay.test",
        "transport_maps": "inline:{relay.test=smtp:[198.51.100.1]}",
    })


def body(separator):
    return b"Subject: outer\r\n\r\none" + separator + INNER + b"\r\n.\r\n"


@pytest.mark.parametrize("row", SEPARATORS)
def test_separator(mta, row):
    """What looks like an end of data is content."""
    separator = SEPARATORS[row]
    c = ready(mta)
    c.cmd("DATA", 354)
    c.send(body(separator))
    c.reply(250)
    alive(c)
    c.quit()
    settled(mta)
    mail, = mta.wait_maildir("alice")
    assert b"SMUGGLED" in mail.body and b"RCPT TO:<bob" in mail.body
    assert b"\r" not in mail
    assert mail.body.count(b"\0") == separator.count(b"\0")
    assert not mta.maildir("bob") and queued(mta) == 1
    clean_log(mta)


def test_A11(mta):
    """CR CR LF ends a line: the dot after it is the end, what follows are commands."""
    c = ready(mta)
    c.cmd("DATA", 354)
    c.send(body(b"\r\r\n.\r\n"))
    c.reply(250)
    c.reply(250)
    c.reply(250)
    c.reply(554)
    assert c.closed()
    settled(mta)
    mta.wait_maildir("alice")
    assert not mta.maildir("bob") and queued(mta) == 1
    clean_log(mta)


@pytest.mark.parametrize("row", SEPARATORS)
def test_A12(mta, row):
    """The same when the bytes come in two segments, split at every offset."""
    separator = SEPARATORS[row]
    whole = body(separator)
    start = whole.index(separator) - 1
    c = ready(mta)
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    splits = list(range(start, start + len(separator) + 3))
    splits += range(len(whole) - 5, len(whole))
    for number, split in enumerate(splits):
        if number:
            c.mail("evil@client.test")
            c.rcpt("alice@example.test")
        c.cmd("DATA", 354)
        c.send(whole[:split])
        time.sleep(0.01)
        c.send(whole[split:])
        c.reply(250)
        alive(c)
    c.quit()
    settled(mta)
    mails = mta.wait_maildir("alice", len(splits))
    assert len({bytes(mail.body) for mail in mails}) == 1 and b"SMUGGLED" in mails[0].body
    assert not mta.maildir("bob") and queued(mta) == len(splits)


@pytest.mark.parametrize("row", SEPARATORS)
def test_A12_many(mta, row):
    """The same in three segments, at neighbouring offsets (any two in the long form), and with each
    byte of both ends in a segment of its own."""
    separator = SEPARATORS[row]
    whole = body(separator)
    start = whole.index(separator) - 1
    region = [*range(start, start + len(separator) + 3), *range(len(whole) - 5, len(whole))]
    pairs = itertools.combinations(region, 2) if LONG else itertools.pairwise(region)
    splits = [*pairs, region]
    c = ready(mta)
    c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number, cuts in enumerate(splits):
        if number:
            c.mail("evil@client.test")
            c.rcpt("alice@example.test")
        c.cmd("DATA", 354)
        for first, last in itertools.pairwise([0, *cuts, len(whole)]):
            c.send(whole[first:last])
            time.sleep(0.003)
        c.reply(250)
        alive(c, 0.01)
    c.quit()
    settled(mta)
    mails = mta.wait_maildir("alice", len(splits))
    assert len({bytes(mail.body) for mail in mails}) == 1 and b"SMUGGLED" in mails[0].body
    assert not mta.maildir("bob") and queued(mta) == len(splits)


def plain(raw):
    """Whether what was sent by DATA has CRLF line ends only, and stuffed dots."""
    return (not re.search(rb"\r(?!\n)|(?<!\r)\n", raw)
            and not re.search(rb"(?m)^\.(?!\.)", raw) and raw.endswith(b"\r\n"))


def test_A15(mta, make_sink):
    """What is relayed has neither stray CR nor stray LF."""
    sink = make_sink()
    c = ready(mta, "a@relay.test")
    c.cmd("DATA", 354)
    c.send(b"Subject: all\r\n\r\n" + b"x".join(SEPARATORS.values()) + INNER + b"\r\n.\r\n")
    c.reply(250)
    alive(c)
    mail, = sink.wait()
    settled(mta)
    assert plain(mail.raw), mail.raw
    assert b"SMUGGLED" in mail.raw
    assert len(sink.messages) == 1
    assert sink.sessions[0].verbs().count("MAIL") == 1


def test_A16(mta, make_sink):
    """A dot in a BDAT chunk is content, and stuffed when it is relayed by DATA."""
    sink = make_sink()
    c = ready(mta)
    c.rcpt("a@relay.test")
    c.bdat(b"Subject: b\r\n\r\nx\r\n.\r\ny\r\n", last=True)
    alive(c)
    local, = mta.wait_maildir("alice")
    assert local.body == b"x\n.\ny\n"
    mail, = sink.wait()
    assert plain(mail.raw) and mail.raw.endswith(b"x\r\n..\r\ny\r\n")
    settled(mta)
    assert queued(mta) == 1


def test_A16_smuggling(mta, make_sink):
    """Each false end of data in a BDAT chunk is one message, relayed in one piece."""
    sink = make_sink()
    c = ready(mta, "a@relay.test")
    c.bdat(b"Subject: all\r\n\r\n" + b"x".join(SEPARATORS.values()) + INNER + b"\r\n", last=True)
    mail, = sink.wait()
    settled(mta)
    assert plain(mail.raw), mail.raw
    assert len(sink.messages) == 1


@pytest.mark.parametrize("dot_is_text", [False, True])
def test_A17(mta, dot_is_text):
    """sendmail ends at a dot, or not with -i; never is the rest another message."""
    options = ["-i"] if dot_is_text else []
    mta.sendmail(*options, "alice@example.test", stdin="Subject: s\n\na\n.\nafter\n").ok()
    mail, = mta.wait_maildir("alice")
    assert mail.body == (b"a\n.\nafter\n" if dot_is_text else b"a\n")
    settled(mta)
    assert queued(mta) == 1
