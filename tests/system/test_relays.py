"""Several relays: what makes mail go on to the next, that it is remembered by all workers, and for how long."""

import re
import time

import pytest
from mta import poll
from sink import CLOSE, EXTENSIONS, HANG

A, B = "198.51.100.1", "198.51.100.2"

REFUSALS = {
    "greeting": ("CONNECT", "421 4.3.2 not now"),
    "greeting5": ("CONNECT", "554 5.3.2 go away"),
    "silent": ("CONNECT", CLOSE),
    "ehlo": ("EHLO", "421 4.7.0 busy"),
    "login": ("AUTH", "535 5.7.8 who are you"),
    "quota": ("MAIL", "452 4.5.3 You have sent too many messages today"),
    "tls": ("MAIL", "454 4.7.0 relaying is suspended"),
    "rate": ("RCPT", "450 4.7.1 Rate limit exceeded"),
    "bye": ("RCPT", "421 4.7.0 enough for now"),
    "lost": ("RCPT", CLOSE),
    "data": ("DATA", "451 4.7.1 quota of the hour is used up"),
    "dot": ("DOT", "452 4.2.2 Daily QUOTA is used up"),
}
"""What is about whoever sends."""

OTHERS = {
    "busy": ("RCPT", "450 4.2.1 mailbox busy"),
    "unknown": ("RCPT", "550 5.1.1 nobody of that name"),
    "sender": ("MAIL", "450 4.1.8 sender domain not found"),
    "content": ("DOT", "451 4.6.0 strange content, try later"),
}
"""What is about a message."""

NAMES = (*REFUSALS, *OTHERS, "refused", "many", "probe", "back", "second", "both", "off", "single", "falls", "case")


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    for name in NAMES:
        dns.a(f"a-{name}.test", A)
        dns.a(f"b-{name}.test", B)

    def nexthop(name):
        transport = {"probe": "quick", "back": "quick", "second": "quick", "off": "off", "falls": "falls"}.get(name, "smtp")
        if name in ("falls", "single"):
            return f"{name}.test {transport}:[a-{name}.test]:587\n"
        return f"{name}.test {transport}:[a-{name}.test]:587, [b-{name}.test]:587\n"
    return make_mta(
        main={
            "compatibility_level": "3.11",
            "transport_maps": "hash:$config_directory/transport",
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_password_maps": "static:me:secret",
            "smtp_helo_timeout": "3s",
            "smtp_connection_cache_on_demand": "no",
        },
        tables={"hash:transport": "".join(nexthop(name) for name in NAMES)},
        services=[
            "quick unix - - n - - smtp -o smtp_relay_minimal_backoff_time=1s",
            "off unix - - n - - smtp -o smtp_relay_minimal_backoff_time=0",
            "falls unix - - n - - smtp"
            " -o { smtp_fallback_relay = [b-falls.test]:587, [b-case.test]:587 }",
        ])


@pytest.fixture
def relays(make_sink):
    """The two relays; both want a login."""
    return [make_sink(host, 587, extensions=(*EXTENSIONS, "AUTH PLAIN"), auth="PLAIN",
                      users={"me": "secret"}) for host in (A, B)]


def send(mta, name, *, rcpts=("x",)):
    return mta.inject([f"{r}@{name}.test" for r in rcpts])


def sent_by(mta, name, letter):
    record = mta.wait_delivery(send(mta, name))
    assert record["status"] == "sent" and record["relay"].startswith(f"{letter}-{name}.test["), record


def out(mta, name, letter="a"):
    return mta.grep_log(rf"smtp\[\d+\]: warning: relay \[{letter}-{name}\.test\]:587 is out of service "
                        r"for (\d+) seconds: ")


@pytest.mark.parametrize("name", REFUSALS)
def test_moves_on(mta, relays, name):
    """The same delivery goes on to the next relay, and the following ones begin there."""
    a, b = relays
    event, reply = REFUSALS[name]
    a.rule(event, reply)
    sent_by(mta, name, "b")
    assert len(out(mta, name)) == 1 and out(mta, name)[0].group(1) == "60"
    assert len(a.sessions) == 1
    for _ in range(3):
        sent_by(mta, name, "b")
    assert len(a.sessions) == 1 and len(b.messages) == 4 and len(out(mta, name)) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_stays(mta, relays, name):
    """What is about a recipient or a message says nothing of the relay."""
    a, _ = relays
    event, reply = OTHERS[name]
    a.rule(event, reply, times=1)
    record = mta.wait_delivery(send(mta, name))
    assert record["status"] == ("bounced" if name == "unknown" else "sent")
    sent_by(mta, name, "a")
    assert not out(mta, name) and len(a.sessions) == 2


def test_too_many_recipients(mta, relays):
    """RFC 5321 4.5.3.1.10: the others go to the next relay, each to one of them, and this one stays."""
    a, b = relays
    a.rule("RCPT", "452 4.5.3 too many recipients", match="z@")
    qid = send(mta, "many", rcpts=("x", "y", "z"))
    poll(lambda: len(mta.deliveries(qid)) == 3, 10, "three outcomes")
    assert [len(m.rcpts) for s in (a, b) for m in s.messages] == [2, 1]
    assert not out(mta, "many")


def test_refused_connection(mta, relays):
    """Nobody listens: found out once, for all workers."""
    a, b = relays
    a.close()
    sent_by(mta, "refused", "b")
    assert "Connection refused" in mta.wait_log(r"relay \[a-refused\.test\]:587 is out of service .*").group()
    ids = [send(mta, "refused") for _ in range(10)]
    assert {mta.wait_delivery(i)["status"] for i in ids} == {"sent"}
    assert len(mta.grep_log(r"smtp\[\d+\]: connect to a-refused\.test")) == 1 and len(b.messages) == 11


def test_one_probe(mta, relays):
    """After the back-off one worker tries it, whatever the others have to do; then it waits longer."""
    a, b = relays
    a.rule("CONNECT", "421 4.3.2 not now", times=1)
    out_at = time.monotonic()  # or a little later
    sent_by(mta, "probe", "b")
    a.rule("CONNECT", HANG)
    ids = []

    def probed():
        ids.append(send(mta, "probe"))
        return len(a.sessions) > 1
    poll(probed, 10, "a probe")
    assert time.monotonic() - out_at > 0.9
    ids += [send(mta, "probe") for _ in range(10)]
    assert {mta.wait_delivery(i)["status"] for i in ids} == {"sent"}
    assert len(a.sessions) == 2 and len(b.messages) == len(ids) + 1
    mta.wait_log(r"warning: relay \[a-probe\.test\]:587 is still out of service for 2 seconds: conversation with")


def test_back_in_service(mta, relays):
    """A probe that goes well brings it back in front."""
    a, _ = relays
    a.rule("MAIL", "452 4.5.3 too many messages", times=1)
    sent_by(mta, "back", "b")

    def is_back():
        return mta.wait_delivery(send(mta, "back"))["relay"].startswith("a-back")
    poll(is_back, 10, "a message by way of the first relay")
    mta.wait_log(r"relay \[a-back\.test\]:587 is tried again")
    mta.wait_log(r"relay \[a-back\.test\]:587 is back in service")
    sent_by(mta, "back", "a")


def test_second_is_not_probed(mta, relays):
    """A relay behind one that works is not tried, and nothing says that it is."""
    a, b = relays
    for sink in relays:
        sink.rule("MAIL", "452 4.5.3 too many messages", times=1)
    assert mta.wait_delivery(send(mta, "second"))["status"] == "deferred"

    def is_over():
        record = mta.wait_delivery(send(mta, "second"))
        return record["status"] == "sent" and mta.grep_log(r"relay \[a-second\.test\]:587 is back in service")
    poll(is_over, 10, "a message by way of the first relay")
    wait_out = time.monotonic() + 1.1  # the back-off of the second, which began before
    while time.monotonic() < wait_out:
        sent_by(mta, "second", "a")
    sent_by(mta, "second", "a")
    assert len(b.sessions) == 1
    assert not mta.grep_log(r"relay \[b-second\.test\]:587 is tried again")


def test_both(mta, relays):
    """Nobody is left out when all are out of service, and the first that works comes back at once."""
    a, b = relays
    for sink in relays:
        sink.rule("MAIL", "452 4.5.3 too many messages", times=2)
    for count in (1, 2):
        record = mta.wait_delivery(send(mta, "both"))
        assert record["status"] == "deferred" and record["relay"][0] in "ab"
        assert "too many messages" in record["text"]
        assert [len(s.sessions) for s in relays] == [count, count]
        # The outcome of the message is in the log before what it says of the relay.
        mta.wait_log(r"relay \[b-both\.test\]:587 is out of service")
        mta.purge()  # before it is tried again
    assert len(out(mta, "both")) == len(out(mta, "both", "b")) == 1
    sent_by(mta, "both", "a")
    mta.wait_log(r"relay \[a-both\.test\]:587 is back in service")
    sent_by(mta, "both", "a")


@pytest.mark.parametrize("name", ["off", "single"])
def test_not_remembered(mta, relays, name):
    """With 0 each message begins with the first; a relay that is the only one is no matter."""
    a, _ = relays
    a.rule("MAIL", "452 4.5.3 too many messages")
    for _ in range(2):
        record = mta.wait_delivery(send(mta, name))
        assert record["status"] == ("sent" if name == "off" else "deferred")
        if name == "single":
            mta.purge()
    assert len(a.sessions) >= 1 if name == "single" else len(a.sessions) == 2
    assert not mta.grep_log("out of service")


def test_fallback(mta, relays):
    """The relays of smtp_fallback_relay are a list of their own, behind the others in any case."""
    a, b = relays
    a.rule("MAIL", "450 4.2.0 try later")
    b.rule("MAIL", "452 4.5.3 too many messages", times=1)
    for relay in ("b-case", "b-case"):
        record = mta.wait_delivery(send(mta, "falls"))
        assert record["status"] == "sent" and record["relay"].startswith(relay), record
    assert len(a.sessions) == 2 and len(b.sessions) == 3
    assert len(mta.grep_log(re.escape("relay [b-falls.test]:587 is out of service"))) == 1
