"""Group E, headers and MIME."""

import time

import pytest
from attack import MAIN, alive, clean_log, queued, ready, settled


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta(MAIN)


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


def send(mta, content, expect=250):
    """Sends bytes, which end with CRLF, as they are."""
    c = ready(mta)
    c.cmd("DATA", 354)
    c.send(content + b".\r\n")
    reply = c.reply(expect)
    alive(c)
    c.close()
    return reply


def delivered(mta, content):
    """What the recipient finds after send(), which must accept."""
    send(mta, content)
    mail, = mta.wait_maildir("alice")
    settled(mta)
    assert queued(mta) == 1
    return mail


def test_E1(mta):
    """A NUL in a header is refused or kept: the rest of the line is not lost."""
    if send(mta, b"Subject: a\0b\r\nX-Next: c\r\n\r\nx\r\n", "250|550 5.6.0").code == 250:
        mail, = mta.wait_maildir("alice")
        subject, = [line for line in mail.split(b"\n") if line.startswith(b"Subject:")]
        assert subject.endswith(b"b") and b"X-Next: c\n" in mail.head


def test_E2(mta):
    """A NUL in the body."""
    assert delivered(mta, b"Subject: a\r\n\r\nx\0y\r\n\0\r\n").body == b"x\0y\n\0\n"


@pytest.mark.parametrize("line", [b"no header at all", b" begins with space"])
def test_E3(mta, line):
    """The body begins with the first line that is no header."""
    mail = delivered(mta, b"Subject: a\r\nX-A: b\r\n" * (line[:1] != b" ") + line + b"\r\nX-B: c\r\n")
    assert mail.body == line + b"\nX-B: c\n"


def test_E4(mta):
    """An mbox separator at the beginning is no header, and is not lost in silence."""
    mail = delivered(mta, b"From evil Mon Jan  1 00:00:00 2001\r\nSubject: a\r\n\r\nFrom x\r\n")
    assert mail.header("Subject") == "a" and mail.body == b"From x\n"
    assert mail.header("From") is None and b": From evil Mon Jan" in mail.head


def test_E5(mta):
    """A huge header, and very many."""
    mail = delivered(mta, b"Subject: " + b"a" * 200000 + b"\r\nX-B: c\r\n\r\nbody\r\n")
    assert mail.count(b"a" * 1000) and mail.endswith(b"body\n")


def test_E5_many(mta):
    """Fifty thousand headers."""
    start = time.monotonic()
    mail = delivered(mta, b"X-H: v\r\n" * 50000 + b"\r\nbody\r\n")
    assert mail.count(b"X-H: v\n") == 50000 and mail.body == b"body\n"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("boundary", [b"b%d", b"x" * 3000 + b"%d"])
def test_E6(mta, boundary):
    """Deep multiparts and a long boundary."""
    parts = [b"MIME-Version: 1.0\r\n"]
    for level in range(150):
        name = boundary % level
        parts.append(b'Content-Type: multipart/mixed;\r\n boundary="%s"\r\n\r\n--%s\r\n' % (name, name))
    content = b"".join(parts) + b"\r\nend\r\n"
    mail = delivered(mta, content)
    assert mail.body == content.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")


def test_E9(mta):
    """Fifty thousand parameters take linear time."""
    start = time.monotonic()
    value = b";\r\n ".join(b"a*%d=b" % number for number in range(50000))
    delivered(mta, b"MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n " + value + b"\r\n\r\nx\r\n")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("size", [998, 999, 2048, 2049, 1 << 20])
def test_E10(mta, size):
    """Long lines are delivered as they came."""
    assert delivered(mta, b"Subject: a\r\n\r\n" + b"y" * size + b"\r\nz\r\n").body == b"y" * size + b"\nz\n"


def test_E11(mta):
    """Stray CR and LF."""
    assert delivered(mta, b"Subject: a\r\n\r\nx\ry\nz\r\r\n").body.startswith(b"x y\nz")


def test_E12(mta):
    """Bcc: goes to its recipients and is seen by nobody."""
    mta.sendmail("-t", stdin="To: alice@example.test\nBcc: bob@example.test,\n carol@example.test\n\nx\n").ok()
    for user in ("alice", "bob", "carol"):
        mail, = mta.wait_maildir(user)
        assert b"bcc" not in mail.lower()
        assert user == "carol" or b"carol" not in mail
        assert user == "bob" or b"bob" not in mail


@pytest.mark.parametrize("count,expect", [(49, "250"), (51, "554 5.4.0")])
def test_E14(mta, count, expect):
    """Too many hops."""
    send(mta, b"Received: from a by b; Mon, 1 Jan 2001 00:00:00 +0000\r\n" * count + b"\r\nx\r\n", expect)
    settled(mta)
    assert len(mta.maildir("alice")) == (count < 50)
