"""Group E, headers and MIME."""

import pytest
from attack import (
    MAIN, SANITIZED, alive, clean_log, cpu_s, daemons, memory_kb, queued, ready, settled,
)

NAMED_EXE = r"/^Content-(Disposition|Type):.*name\s*=\s*\"?[^\";]*\.exe/ REJECT program"


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta(MAIN)


@pytest.fixture(scope="module")
def looking(make_mta):
    """An instance that looks into the parts of messages, for programs and backtracking."""
    return make_mta({
        **MAIN, "header_checks": f"pcre:{{{{{NAMED_EXE}}}, {{/^X-Slow: (a+)+$$/ REJECT slow}}}}",
        "header_size_limit": "1000000"})


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


def peak_kb(mta):
    """The most memory that any worker of cleanup had."""
    return max(memory_kb([pid], "VmHWM") for pid in daemons(mta, "cleanup"))


def used_s(mta, action):
    """Processor time of cleanup for an action; the best of three."""
    def once():
        before = cpu_s(daemons(mta, "cleanup"))
        action()
        return cpu_s(daemons(mta, "cleanup")) - before
    return min(once() for _ in range(3))


def test_E1(mta):
    """A NUL in a header is refused: else the rest of the line would be lost to some."""
    send(mta, b"Subject: a\0b\r\nX-Next: c\r\n\r\nx\r\n", "550 5.6.0")


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
    """Of a huge header header_size_limit bytes stay; it costs no more memory than that."""
    delivered(mta, b"Subject: a\r\n\r\nx\r\n")
    before = peak_kb(mta)
    send(mta, b"Subject: " + b"a" * 200000 + b"\r\nX-B: c\r\n\r\nbody\r\n")
    mail, = [m for m in mta.wait_maildir("alice", 2) if m.header("X-B")]
    assert mail.body == b"body\n"
    subject, = [line for line in mail.split(b"\n") if line.startswith(b"Subject:")]
    assert 1000 < len(subject) <= 102400
    assert peak_kb(mta) - before < 2048 or SANITIZED


def test_E5_many(mta):
    """Fifty thousand headers."""
    delivered(mta, b"Subject: a\r\n\r\nx\r\n")
    before = peak_kb(mta)
    assert used_s(mta, lambda: send(mta, b"X-H: v\r\n" * 50000 + b"\r\nbody\r\n")) < 0.5 or SANITIZED
    mail = [m for m in mta.wait_maildir("alice", 4) if m.header("X-H")][0]
    assert mail.count(b"X-H: v\n") == 50000 and mail.body == b"body\n"
    assert peak_kb(mta) - before < 2048 or SANITIZED


def test_E5_cap(mta):
    """The header section as a whole has a limit, whatever message_size_limit is."""
    send(mta, b"X-H: v\r\n" * 600000 + b"\r\nbody\r\n", "552 5.3.4")
    settled(mta)
    assert not mta.maildir("alice")


@pytest.mark.parametrize("boundary", [b"b%d", b"x" * 3000 + b"%d"], ids=["deep", "long"])
@pytest.mark.parametrize("is_looking", [False, True])
def test_E6(mta, looking, boundary, is_looking):
    """Deep multiparts and a long boundary: what nobody looks into is passed on as it came; who looks
    gives up at mime_nesting_limit, and needs no memory to speak of."""
    parts = [b"MIME-Version: 1.0\r\n"]
    for level in range(150):
        name = boundary % level
        parts.append(b'Content-Type: multipart/mixed;\r\n boundary="%s"\r\n\r\n--%s\r\n' % (name, name))
    content = b"".join(parts) + b"\r\nend\r\n"
    if not is_looking:
        mail = delivered(mta, content)
        assert mail.body == content.split(b"\r\n\r\n", 1)[1].replace(b"\r\n", b"\n")
        return
    delivered(looking, b"Subject: a\r\n\r\nx\r\n")
    before = peak_kb(looking)
    send(looking, content, "550 5.6.0 .*nesting")
    assert peak_kb(looking) - before < 2048 or SANITIZED
    clean_log(looking)


PROGRAM = b"Content-Disposition: attachment; filename=a.exe\r\n\r\nx\r\n"


@pytest.mark.parametrize("types,part,is_found", [
    ("multipart/mixed; boundary=a; boundary=b", b"--a\r\n", True),
    ("multipart/mixed; boundary=a; boundary=b", b"--b\r\n", False),
    ("multipart/mixed; boundary=a; boundary*0=b", b"--a\r\n", True),
    ("multipart/mixed; boundary=a\r\nContent-Type: text/plain", b"--a\r\n", True),
    ("multipart/mixed; boundary=a\r\nContent-Type: multipart/mixed; boundary=b", b"--b\r\n", False),
    ("text/plain\r\nContent-Type: multipart/mixed; boundary=a", b"--a\r\n", False)])
def test_E7(looking, types, part, is_found):
    """Of two boundaries or types the first holds; what is accepted is unchanged, and the log says that
    it is ambiguous."""
    head = b"MIME-Version: 1.0\r\nContent-Type: " + types.encode() + b"\r\n\r\n"
    send(looking, head + part + PROGRAM, "550 5.7.1 program" if is_found else 250)
    if not is_found:
        looking.wait_log("warning: mime-error ambiguous MIME structure")
        mail, = looking.wait_maildir("alice")
        assert mail.body == (part + PROGRAM).replace(b"\r\n", b"\n")
    settled(looking)
    clean_log(looking)


@pytest.mark.parametrize("header,is_found", [
    (b'attachment; filename*0="a"; filename*1=".exe"', True),
    (b'attachment;\r\n filename*1=".e";\r\n filename*2=xe;\r\n filename*0=a', True),
    (b"attachment; filename*=utf-8''a%2eexe", True),
    (b"attachment; filename=a.txt; filename*0*=utf-8''a%2e; filename*1=exe", True),
    (b'attachment; filename*0="a"; filename*1=".txt"', False),
    (b'attachment; filename*1=".exe"', False)])
@pytest.mark.parametrize("is_part", [False, True])
def test_E8(looking, header, is_found, is_part):
    """A name in pieces is seen in one piece, in the message's header and in that of a part."""
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
    content = (head if is_part else b"") + b"Content-Disposition: " + header + b"\r\n\r\nx\r\n"
    send(looking, content, "550 5.7.1 program" if is_found else 250)
    settled(looking)
    clean_log(looking)


def test_E8_type(looking):
    """The same of the name in Content-Type."""
    send(looking, b"Content-Type: application/x; name*0=a; name*1=.exe\r\n\r\nx\r\n", "550 5.7.1 program")


@pytest.mark.parametrize("name", [b"a*%d=b", b"filename*%d*=b"])
def test_E9(mta, looking, name):
    """Fifty thousand parameters take linear time, also where header checks put them together."""
    def content(count):
        value = b";\r\n ".join(name % number for number in range(count))
        return (b"MIME-Version: 1.0\r\nContent-Disposition: attachment;\r\n " + value
                + b"\r\n\r\n" + b"x" * 70 + b"\r\n")
    for own in (mta, looking):
        send(own, content(1))
        assert used_s(own, lambda: send(own, content(50000))) < 0.1 or SANITIZED
        settled(own)
        clean_log(own)


def test_F15(looking):
    """A pattern that backtracks without end stops at a limit, and the mail waits."""
    send(looking, b"X-Slow: " + b"a" * 50000 + b"\r\n\r\nx\r\n", "451 4.3.0|550 5.7.1 slow")
    assert used_s(looking, lambda: send(
        looking, b"X-Slow: " + b"a" * 50000 + b"b\r\n\r\nx\r\n", "451 4.3.0")) < 5
    settled(looking)
    assert not looking.maildir("alice")
    clean_log(looking)


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
        assert b"\nbcc:" not in mail.lower()
        assert user == "carol" or b"carol" not in mail
        assert user == "bob" or b"bob" not in mail


@pytest.mark.parametrize("count,expect", [(49, "250"), (51, "554 5.4.0")])
def test_E14(mta, count, expect):
    """Too many hops."""
    send(mta, b"Received: from a by b; Mon, 1 Jan 2001 00:00:00 +0000\r\n" * count + b"\r\nx\r\n", expect)
    settled(mta)
    assert len(mta.maildir("alice")) == (count < 50)
