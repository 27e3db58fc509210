"""Variable envelope return paths (VERP_README)."""

import pytest
from mail import message
from mta import STABLE_QUEUE, poll

LIST = "owner-list@example.test"
HOST = "198.51.100.1"


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    dns.mx("remote.test", 10, "mx.remote.test")
    dns.a("mx.remote.test", HOST)
    return make_mta(
        main={
            **STABLE_QUEUE,
            "smtpd_authorized_verp_clients": "127.0.0.1",
            "recipient_delimiter": "+",
            "propagate_unmatched_extensions": "",
            "alias_maps": "hash:$config_directory/aliases",
            "virtual_alias_maps": "hash:$config_directory/virtual",
        },
        tables={"hash:aliases": "owner-list: alice\npair: x@remote.test, y@remote.test\n",
                "hash:virtual": "old@example.test new@remote.test\n"},
        services=["LISTEN1 inet n - n - - smtpd -o smtpd_authorized_verp_clients=192.0.2.0/24",
                  "LISTEN2 inet n - n - - smtpd -o default_verp_delimiters=-="],
    )


@pytest.fixture
def sink(make_sink):
    return make_sink(HOST)


def envelopes(messages):
    return sorted((m.sender, *m.rcpts) for m in messages)


def test_announced_to_authorized_clients(mta):
    """XVERP is announced to, and accepted from, the clients of smtpd_authorized_verp_clients
    alone; postconf(5)."""
    with mta.smtp() as c:
        assert "XVERP" in c.ehlo()
        c.mail(LIST, "XVERP")
    with mta.smtp(listen=1) as c:
        assert "XVERP" not in c.ehlo()
        c.mail(LIST, "XVERP", r"555 5\.5\.4 ")
    with mta.smtp(listen=1, source="192.0.2.7") as c:
        assert "XVERP" in c.ehlo()
        c.mail(LIST, "XVERP")


def test_without_ehlo(mta):
    """An authorized client may ask for it after HELO as well; VERP_README."""
    with mta.smtp() as c:
        c.helo()
        c.mail(LIST, "XVERP")


@pytest.mark.parametrize("params, reply", [
    ("XVERP", 250), ("xverp", 250), ("XVERP=+=", 250), ("XVERP==+", 250), ("XVERP=-=", 250),
    ("SIZE=100 XVERP==- BODY=8BITMIME", 250), ("XVERP XVERP", 250),
    ("XVERP=", r"501 5\.5\.4 "), ("XVERP=+", r"501 5\.5\.4 "), ("XVERP=+=-", r"501 5\.5\.4 "),
    ("XVERP=ab", r"501 5\.5\.4 "), ("XVERP=+%", r"501 5\.5\.4 "), ("XVERPS", r"555 5\.5\.4 "),
])
def test_parameter(mta, params, reply):
    """Without value, or with two characters of verp_delimiter_filter; VERP_README."""
    with mta.smtp() as c:
        c.ehlo()
        c.mail(LIST, params, reply)


def test_null_sender(mta):
    """There is nothing to put a recipient into; smtpd(8)."""
    with mta.smtp() as c:
        c.ehlo()
        c.mail("", "XVERP", r"503 5\.5\.4 ")


def test_filter(mta):
    """verp_delimiter_filter has the characters that may be delimiters; postconf(5)."""
    with mta.settings(verp_delimiter_filter="_=+"), mta.smtp() as c:
        c.ehlo()
        c.mail(LIST, "XVERP=_=", 250)
        c.cmd("RSET", 250)
        c.mail(LIST, "XVERP=-=", r"501 5\.5\.4 ")


def test_sender_of_each_recipient(mta, sink):
    """Each recipient gets a copy of its own, with its address in the sender's; VERP_README."""
    mta.inject(["a@remote.test", "b@remote.test", "c+d@remote.test", '"e f"@remote.test'],
               sender=LIST, mail_params="XVERP")
    assert envelopes(sink.wait(4)) == [
        ('"owner-list+e f=remote.test"@example.test', '"e f"@remote.test'),
        ("owner-list+a=remote.test@example.test", "a@remote.test"),
        ("owner-list+b=remote.test@example.test", "b@remote.test"),
        ("owner-list+c+d=remote.test@example.test", "c+d@remote.test"),
    ]


def test_delimiters_of_the_client(mta, sink):
    """The client's delimiters count before default_verp_delimiters; VERP_README."""
    mta.inject("a@remote.test", sender=LIST, mail_params="XVERP=-+")
    assert envelopes(sink.wait(1)) == [("owner-list-a+remote.test@example.test", "a@remote.test")]


def test_default_delimiters(mta, sink):
    """default_verp_delimiters of the server that took the message; postconf(5)."""
    mta.inject("a@remote.test", sender=LIST, mail_params="XVERP", listen=2)
    assert envelopes(sink.wait(1)) == [("owner-list-a=remote.test@example.test", "a@remote.test")]


def test_sender_without_domain(mta, sink):
    """The domain that is appended stays behind the recipient; VERP_README."""
    mta.inject("a@remote.test", sender="owner-list", mail_params="XVERP")
    assert envelopes(sink.wait(1)) == [
        ("owner-list+a=remote.test@mail.example.test", "a@remote.test")]


def test_virtual_alias(mta, sink):
    """The sender has the address that the client gave, not what an alias made of it."""
    mta.inject("old@example.test", sender=LIST, mail_params="XVERP")
    assert envelopes(sink.wait(1)) == [
        ("owner-list+old=example.test@example.test", "new@remote.test")]


def test_local_recipient(mta):
    """Mail for a local mailbox has it in Return-Path:; local(8)."""
    mta.inject("bob@example.test", sender=LIST, mail_params="XVERP")
    (mail,) = mta.wait_maildir("bob")
    assert mail.header("Return-Path") == "<owner-list+bob=example.test@example.test>"


def test_forwarded_by_alias(mta, sink):
    """Mail that a local alias forwards keeps the sender with the address that was given."""
    mta.inject("pair@example.test", sender=LIST, mail_params="XVERP")
    assert envelopes(sink.wait(1)) == [
        ("owner-list+pair=example.test@example.test", "x@remote.test", "y@remote.test")]


def test_bounces(mta, sink):
    """A notification for each failed recipient, to the address made for it; VERP_README."""
    sink.rule("RCPT", "550 5.1.1 unknown")
    mta.inject(["a@remote.test", "b@remote.test"], sender=LIST, mail_params="XVERP")
    mails = mta.wait_maildir("alice", 2)
    assert sorted(m.header("To") for m in mails) == [
        "owner-list+a=remote.test@example.test", "owner-list+b=remote.test@example.test"]
    for mail in mails:
        (r,) = mail.dsn().recipients
        who = r["Final-Recipient"].split(";")[1].strip()
        assert mail.header("To") == f"owner-list+{who.replace('@', '=')}@example.test"
        assert mail.header("Delivered-To") == mail.header("To")


def test_bounce_of_virtual_alias(mta, sink):
    """It goes to the same address that the message had as sender."""
    sink.rule("RCPT", "550 5.1.1 unknown")
    mta.inject("old@example.test", sender=LIST, mail_params="XVERP")
    (mail,) = mta.wait_maildir("alice")
    assert mail.header("To") == "owner-list+old=example.test@example.test"


def test_disable_verp_bounces(mta, sink):
    """One notification for all, to the sender itself; postconf(5) disable_verp_bounces."""
    sink.rule("RCPT", "550 5.1.1 unknown")
    with mta.settings(disable_verp_bounces="yes"):
        mta.inject(["a@remote.test", "b@remote.test"], sender=LIST, mail_params="XVERP")
        (mail,) = mta.wait_maildir("alice")
    assert mail.header("To") == LIST and len(mail.dsn().recipients) == 2


def test_expired(mta, sink):
    """At the end of the queue lifetime each recipient has its own notification as well."""
    sink.rule("RCPT", "450 4.1.1 later")
    with mta.settings(maximal_queue_lifetime="0"):
        mta.inject(["a@remote.test", "b@remote.test"], sender=LIST, mail_params="XVERP")
        mails = mta.wait_maildir("alice", 2)
    assert sorted(m.header("To") for m in mails) == [
        "owner-list+a=remote.test@example.test", "owner-list+b=remote.test@example.test"]


def test_delay_notice(mta, sink):
    """A delay notice is one for all recipients, to the sender itself; bounce(8)."""
    sink.rule("RCPT", "450 4.1.1 later")
    with mta.settings(delay_warning_time="1s"):
        qid = mta.inject(["a@remote.test", "b@remote.test"], sender=LIST, mail_params="XVERP")

        def warned():
            mta.wait_queue(qid, "deferred")
            mta.flush()
            return mta.maildir("alice")
        (mail,) = poll(warned, 15, "the delay notice")
    assert mail.header("To") == LIST and len(mail.dsn().recipients) == 2


@pytest.mark.parametrize("option, sender", [
    ("-XV", "owner-list+to=remote.test@example.test"),
    ("-XV-=", "owner-list-to=remote.test@example.test"),
    ("-V==", "owner-list=to=remote.test@example.test"),
    ("-Vabc", LIST),
])
def test_sendmail(mta, sink, option, sender):
    """sendmail -XV and -XVxy, and the old -Vxy; any other -V is an envelope id; sendmail(1)."""
    mta.submit("to@remote.test", message(), option, "-f", LIST)
    assert envelopes(sink.wait(1)) == [(sender, "to@remote.test")]


def test_sendmail_old_option(mta, sink):
    """-V before another option is the old form of -XV; VERP_README."""
    mta.submit("to@remote.test", message(), "-V", "-f", LIST)
    assert envelopes(sink.wait(1)) == [("owner-list+to=remote.test@example.test",
                                        "to@remote.test")]


@pytest.mark.parametrize("args", [("-XVab", "-f", LIST), ("-XV+", "-f", LIST), ("-XV", "-f", "")])
def test_sendmail_refuses(mta, args):
    """Bad delimiters, or no sender, are an error at once; sendmail(1)."""
    result = mta.sendmail("-i", *args, "to@remote.test", stdin=message())
    assert result.code != 0 and "fatal" in result.err
    assert not mta.queue_ids()
