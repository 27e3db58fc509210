"""Parameters that no other file is about: biff, filters of DNS answers for smtpd, transcripts of
long sessions, address probes, tables that are not there."""

import socket

import pytest
from mail import message
from mta import STABLE_QUEUE, home, poll
from policy_util import Listeners, try_rcpt

HOST = "198.51.100.70"

ports = Listeners(
    filtered={"smtpd_sender_restrictions": "reject_unknown_sender_domain",
              "smtpd_dns_reply_filter": "regexp:$config_directory/filter"},
    plain={"smtpd_sender_restrictions": "reject_unknown_sender_domain"},
    short={"smtpd_history_flush_threshold": "3", "notify_classes": "protocol"},
    verified={"smtpd_relay_restrictions": "permit_mynetworks, reject",
              "smtpd_recipient_restrictions": "reject_unverified_recipient"},
)


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    for name in ("good", "bad"):
        dns.mx(f"{name}.test", 10, f"mx.{name}.test")
        dns.a(f"mx.{name}.test", HOST)
    return make_mta(
        services=ports.services,
        files={"filter": "/^bad\\.test\\. .* IN MX / IGNORE\n/127\\.in-addr\\.arpa/ IGNORE\n"},
        main={**STABLE_QUEUE, "error_notice_recipient": "carol@example.test",
              "address_verify_poll_delay": "1s", "address_verify_map": "",
              "biff": "yes", "home_mailbox": "mbox"})


def try_sender(mta, sender, listen):
    """The reply to RCPT TO after this sender."""
    with mta.smtp(listen) as c:
        c.ehlo("good.test")
        c.cmd(f"MAIL FROM:<{sender}>", 250)
        return c.cmd("RCPT TO:<alice@example.test>")


def test_dns_reply_filter(mta):
    """smtpd_dns_reply_filter is for what restrictions look up, not for the client's name."""
    try_sender(mta, "a@bad.test", ports["plain"]).check(250)
    try_sender(mta, "a@good.test", ports["filtered"]).check(250)
    try_sender(mta, "a@none.test", ports["filtered"]).check(450)
    # A domain whose records are all left out counts as good.
    try_sender(mta, "a@bad.test", ports["filtered"]).check(250)
    mta.wait_log("warning: bad.test: MX or address lookup error: DNS reply filter drops all results")


def test_history(mta):
    """From smtpd_history_flush_threshold lines on, a transcript is told at RSET, EHLO and the end
    of a message, while the session goes on."""
    with mta.smtp(ports["short"]) as c:
        c.ehlo()
        c.cmd("RCPT TO:<a@b.test>", 503)
        c.cmd("NOOP", 250)
        c.cmd("RSET", 250)
        path = home("carol") / "mbox"
        poll(lambda: path.exists() and "a@b.test" in path.read_text())
        c.cmd("NOOP", 250)


def test_biff(mta):
    """comsat hears who has new mail, and where it begins in his mailbox."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as comsat:
        comsat.bind(("127.0.0.1", 512))
        comsat.settimeout(20)
        said = []
        for number in range(2):
            mta.inject("bob@example.test", f"Subject: {number}\n\n")
            said.append(comsat.recv(1000))
        text = (home("bob") / "mbox").read_bytes()
        second = text.index(b"\n\nFrom ") + 2
        assert said == [b"bob@0\0", b"bob@%d\0" % second]
        with mta.settings(biff="no"):
            mta.inject("bob@example.test", "Subject: 2\n\n")
            poll(lambda: b"Subject: 2" in (home("bob") / "mbox").read_bytes())
            comsat.setblocking(False)
            with pytest.raises(BlockingIOError):
                comsat.recv(1000)


def test_probes(mta):
    """Probes beyond address_verify_pending_request_limit get no try."""
    with socket.create_server((HOST, 25)), \
            mta.settings(address_verify_pending_request_limit="1"):
        # Nobody greets: the first probe is there when the second one comes.
        for local in "xy":
            try_rcpt(mta, f"{local}@good.test", listen=ports["verified"]).check(450)
        mta.wait_log("Too many address verification requests")


def test_owner_and_delay(make_mta):
    """A warning about a command of a list that has to wait goes to who sent the message, although a
    failure would go to the list's owner."""
    instance = make_mta(
        main={"alias_maps": "hash:$config_directory/aliases", "delay_warning_time": "1s"},
        tables={"hash:aliases": 'list: "|exit 75"\nowner-list: bob\n'})
    instance.inject("list@example.test", sender="alice@example.test")
    (warning,) = instance.wait_maildir("alice", timeout=30)
    assert warning.header("Subject").startswith("Delayed Mail")
    assert not instance.maildir("bob")
