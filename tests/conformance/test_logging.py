"""Log lines and log files: how addresses look, which sessions are logged in detail, rotation."""

import gzip
import re
import stat

import pytest
from mail import message
from mta import poll

HOST = "198.51.100.60"


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    dns.mx("remote.test", 10, "mx.remote.test")
    dns.a("mx.remote.test", HOST)
    return make_mta(services=["LISTEN1 inet n - n - - smtpd -o debug_peer_list=127.0.0.0/8",
                              "LISTEN2 inet n - n - - smtpd -o debug_peer_list=127.0.0.2"])


def rejects(mta, form):
    """The addresses of an smtpd's and a delivery agent's lines."""
    with mta.smtp() as c:
        c.ehlo()
        c.cmd('MAIL FROM:<"a b"@client.test>', 250)
        c.cmd('RCPT TO:<"c d"@elsewhere.test>')
    with mta.smtp() as c:
        c.ehlo()
        qid = c.transaction('"a b"@client.test', '"alice+x y"@example.test', message()).queue_id
    mta.wait_log(rf"{qid}: from=<{form('a b')}@client.test>, size=")
    mta.wait_log(rf"{qid}: to=<{form('alice.x y')}@example.test>")
    mta.wait_gone(qid)


def test_address_format(mta):
    """info_log_address_format: with quotes, as in SMTP, or without."""
    with mta.settings(recipient_delimiter="+"):
        rejects(mta, lambda local: f'"{local}"')
    with mta.settings(recipient_delimiter="+", info_log_address_format="internal"):
        rejects(mta, lambda local: local)


def test_debug_peer_smtpd(mta):
    """A client in debug_peer_list has its whole dialogue in the log, another one has not."""
    for listen in (1, 2):
        with mta.smtp(listen) as c:
            c.ehlo(f"client{listen}.test")
            c.cmd("NOOP", 250)
            c.quit()
        mta.wait_log("disconnect from", count=listen)
    mta.wait_log(r"< \S*\[127\.0\.0\.1\]: EHLO client1\.test")
    mta.wait_log(r"> \S*\[127\.0\.0\.1\]: 250 2\.0\.0 Ok")
    assert not mta.grep_log("client2.test")


@pytest.mark.parametrize("pattern, is_logged", [(HOST, True), ("mx.remote.test", True),
                                                ("198.51.100.61", False)])
def test_debug_peer_smtp(mta, make_sink, pattern, is_logged):
    """The same of a server."""
    make_sink(HOST)
    with mta.settings(debug_peer_list=pattern):
        qid = mta.inject("x@remote.test")
        assert mta.wait_delivery(qid)["status"] == "sent"
        mta.wait_gone(qid)
        lines = mta.grep_log(r"> mx\.remote\.test\[198\.51\.100\.60\]\S*: MAIL FROM:")
        assert bool(lines) == is_logged


def test_logrotate(mta):
    """logrotate puts the file aside, compresses it, and the next lines are in a new file."""
    qid = mta.inject("alice@example.test")
    mta.wait_delivery(qid)
    with mta.settings(maillog_file_rotate_suffix="%Y-put-aside"):
        mta.control("logrotate").ok()
        (old,) = mta.log_file.parent.glob(mta.log_file.name + ".*")
        assert re.fullmatch(r"log\.\d{4}-put-aside\.gz", old.name)
        assert qid in gzip.decompress(old.read_bytes()).decode()
        mta.mark = 0
        qid = mta.inject("alice@example.test")
        assert mta.wait_delivery(qid)["status"] == "sent"
        old.unlink()


def test_logrotate_without_file(make_mta, mta):
    """What is no file is not rotated."""
    with mta.settings(maillog_file="/dev/stdout", maillog_file_prefixes="/dev/stdout"):
        assert mta.control("logrotate").code != 0
