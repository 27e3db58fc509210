"""Group J, as far as it is about the login and From: (smtpd_header_from_login_check)."""

import pytest
from attack import MAIN, STRANGER, alive, clean_log
from client import Client

A, EVIL = b"alice@example.test", b"boss@bank.test"
ODD = r"550 5\.7\.1 <END-OF-MESSAGE>: Sender address rejected: no single clear From: header"


@pytest.fixture(scope="module")
def mta(make_mta):
    instance = make_mta(
        start=False, main={**MAIN, "smtpd_sasl_type": "passwd", "smtpd_sasl_passwd_delay": "0",
         "smtpd_sender_login_maps": "inline:{{alice@example.test=alice}, {@bank.test=bank}}",
         "smtpd_hard_error_limit": "100000"},
        services=["LISTEN1 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes"
                  " -o smtpd_header_from_login_check=reject"])
    assert instance.run("postern", "user", "add", "alice", stdin="secret\n").code == 0
    return instance.start()


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


def submit(mta, head, expect, params=""):
    c = Client(mta.port(1), mta.host, source=STRANGER)
    c.ehlo()
    c.auth_plain("alice", "secret")
    c.mail(A.decode(), params)
    c.rcpt("bob@example.test")
    c.cmd("DATA", 354)
    c.send(head + b"Subject: x\r\n\r\ntext\r\n.\r\n")
    c.reply(expect)
    alive(c)
    c.close()


PAD = b"X-Pad: " + b"x" * 900 + b"\r\n"


@pytest.mark.parametrize("head, expect", [
    (b"", ODD),
    (b"From: %s\r\nFrom: %s\r\n" % (A, EVIL), ODD),
    (b"From: %s\r\nfrom : %s\r\n" % (EVIL, A), ODD),
    (b"From: %s\r\nFROM:\r\n" % A, ODD),
    (b"From: %s, %s\r\n" % (A, EVIL), f"550 5.7.1 <{EVIL.decode()}>"),
    (b"X: y\r\nFrom : %s\r\n" % EVIL, f"550 5.7.1 <{EVIL.decode()}>"),
    (b"From\t: %s\r\n" % A, 250),
    (PAD * 1100 + b"From: %s\r\n" % EVIL, f"550 5.7.1 <{EVIL.decode()}>"),
    (PAD * 1100 + b"From: %s\r\n" % A, 250),
    (b"From: %s,\r\n" % A + b" %s,\r\n" % A * 6000 + b" %s\r\n" % EVIL, ODD),
    (b"From: undisclosed:;\r\n", ODD),
    (b"Resent-From: %s\r\n" % A, ODD),
    (b"From %s\r\n" % A, ODD),
])
def test_J2(mta, head, expect):
    """None, two From:, two addresses, a blank before the colon, far down, cut off in the middle."""
    submit(mta, head, expect)


@pytest.mark.parametrize("value", [
    b"alice@example.test(.bank.test", b"alice@example.test(.bank.test)", b"alice@example.test;boss@bank.test",
    b"<alice@example.test>, <boss@bank.test", b"alice@example.test boss@bank.test", b"alice",
    b"<alice@example.test> <boss@bank.test>", b"<alice@example.test>boss@bank.test", b"alice@example.test,",
    b"<@bank.test:alice@example.test>", b"<alice(x)@example.test>", b"alice @example.test", b"<>",
    b"alice@(x)example.test", b"<alice@example.test > (", b"(alice@example.test)", b'"alice@example.test',
    b"=?utf-8?q?boss=40bank.test=00?=@example.test", b"<=?utf-8?b?Ym9zcw==?=@example.test>",
    b"\xff\xfe <alice@example.test>", b"alice@example.test\x01", b"\x1b[0m <alice@example.test>",
    b"alice@example..test", b".alice@example.test", b"alice@[bank.test]", b"a:b:alice@example.test;;",
    b"alice@example.test <boss@bank.test>", b"alice@example.test\\", b'"alice\r\n "@example.test', b"alice@example.test@bank.test",
])
def test_J4(mta, value):
    """Addresses that two programs could read in two ways belong to nobody."""
    submit(mta, b"From: " + value + b"\r\n", ODD)


def test_J4_nul(mta):
    """A NUL in a header is refused whatever else it says."""
    submit(mta, b"From: alice@example.test\0.bank.test\r\n", 550)
