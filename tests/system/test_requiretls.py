"""REQUIRETLS and "TLS-Required: no" (RFC 8689): where mail with them may go, and what it becomes."""

import re

import pytest
from sink import CLOSE, EXTENSIONS
from tls_util import RETRY, secure_root, tls_client, tlsa_host

A, B = "198.51.100.1", "198.51.100.2"
KNOWING = (*EXTENSIONS, "REQUIRETLS")


@pytest.fixture(scope="module")
def certs(ca):
    return {"mx": ca.issue("mx.test", "mx.one.test", "mx.two.test"), "other": ca.issue("nobody.test"),
            "own": ca.issue("mail.example.test")}


@pytest.fixture(scope="module")
def mta(make_mta, dns, ca, certs):
    secure_root(dns)
    return make_mta(main={
        **RETRY,
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
        "smtp_tls_CAfile": str(ca.cert),
        "smtpd_tls_security_level": "may",
        "smtpd_tls_chain_files": f"{certs['own'].key} {certs['own'].cert}",
        "smtp_connection_cache_destinations": "one.test",
    })


@pytest.fixture(autouse=True)
def zones(dns, certs):
    """one.test has DANE, two.test only TLS."""
    secure_root(dns)
    tlsa_host(dns, "one.test", "mx.one.test", A, (3, 1, 1, certs["mx"].tlsa()))
    dns.mx("two.test", 10, "mx.two.test")
    dns.a("mx.two.test", A)


def submit(mta, rcpt, params="REQUIRETLS", sender="bob@example.test", header=""):
    """A message over TLS; its queue id."""
    c = tls_client(mta, 0)
    assert c.cmd(f"MAIL FROM:<{sender}> {params}").code == 250
    assert c.cmd(f"RCPT TO:<{rcpt}>").code == 250
    assert c.cmd("DATA").code == 354
    reply = c.cmd(f"From: bob@example.test\r\nTo: {rcpt}\r\nSubject: t\r\n{header}\r\nthe secret\r\n.")
    c.close()
    return re.search(r"queued as (\w+)", reply.text)[1]


# The server.


def test_offer(mta):
    """The keyword is said in TLS alone, the parameter needs TLS."""
    c = mta.smtp(0)
    assert "REQUIRETLS" not in c.ehlo()
    assert c.cmd("MAIL FROM:<bob@example.test> REQUIRETLS").text.startswith("5.7.10")
    c.starttls()
    assert "REQUIRETLS" in c.ehlo()
    assert c.cmd("MAIL FROM:<bob@example.test> REQUIRETLS=1").code == 555
    assert c.cmd("MAIL FROM:<bob@example.test> REQUIRETLS").code == 250
    c.close()


@pytest.mark.parametrize("setting", [{"requiretls_enable": "no"},
                                     {"smtpd_discard_ehlo_keywords": "requiretls"}])
def test_off(mta, setting):
    """Switched off, it is an unknown parameter."""
    with mta.settings(**setting):
        c = tls_client(mta, 0)
        assert "REQUIRETLS" not in c.words
        assert c.cmd("MAIL FROM:<bob@example.test> REQUIRETLS").code == 555
        c.close()


# The client.


def test_goes_on(mta, make_sink, certs):
    """A verified server that knows REQUIRETLS is told of it; a kept session is used for more."""
    sink = make_sink(A, tls=certs["mx"].context(), extensions=KNOWING)
    for _ in range(2):
        mta.wait_sent(submit(mta, "x@one.test"))
    messages = sink.wait(2)
    assert all("REQUIRETLS" in m.params and m.session.tls for m in messages)
    assert messages[0].session is messages[1].session
    assert b"Require-TLS-ESMTP: yes" in messages[0].raw
    assert mta.wait_delivery(submit(mta, "x@one.test", ""))["status"] == "sent"
    assert "REQUIRETLS" not in sink.wait(3)[2].params


@pytest.mark.parametrize("domain,words,tls", [
    ("one.test", EXTENSIONS, True), ("two.test", KNOWING, True), ("one.test", KNOWING, False)])
def test_returned(mta, make_sink, certs, domain, words, tls):
    """Without the keyword, without a policy that verifies, without TLS: it comes back, redacted."""
    sink = make_sink(A, tls=certs["mx"].context() if tls else None, extensions=words)
    home = make_sink(B)
    with mta.settings(transport_maps=f"inline:{{ {{ home.test = smtp:[{B}] }} }}"):
        record = mta.wait_delivery(submit(mta, f"x@{domain}", sender="bob@home.test"))
        assert record["status"] == "bounced" and record["dsn"] == "5.7.30", record
        notice = home.wait()[0]
    assert not sink.messages
    assert b"5.7.30" in notice.raw and b"text/rfc822-headers" in notice.raw
    assert b"the secret" not in notice.raw and "REQUIRETLS" not in notice.params


def test_next_host(mta, dns, make_sink, certs):
    """A host that does not know it is passed over for one that does."""
    for preference, (host, address) in enumerate((("mx1", A), ("mx2", B))):
        dns.mx("three.test", preference, f"{host}.three.test")
        dns.a(f"{host}.three.test", address)
        dns.tlsa(f"_25._tcp.{host}.three.test", 3, 1, 1, certs["mx"].tlsa())
    dns.secure("three.test")
    first = make_sink(A, tls=certs["mx"].context())
    second = make_sink(B, tls=certs["mx"].context(), extensions=KNOWING)
    assert mta.wait_delivery(submit(mta, "x@three.test"))["status"] == "sent"
    assert not first.messages and "REQUIRETLS" in second.wait()[0].params
    # One that cannot be reached may do better another time: it is not returned.
    first.close()
    second.close()
    make_sink(A, tls=certs["mx"].context(), extensions=KNOWING).rule("CONNECT", CLOSE)
    make_sink(B, tls=certs["mx"].context())
    record = mta.wait_delivery(submit(mta, "x@three.test"))
    assert record["status"] == "deferred", record


def test_relay_stays_in_service(mta, make_sink, certs):
    """That a relay is nothing for one message says nothing of it for the others."""
    sink = make_sink(A, tls=certs["mx"].context(), extensions=KNOWING)
    with mta.settings(smtp_relay_minimal_backoff_time="60s",
                      transport_maps="inline:{ { list.test = smtp:[mx.two.test], [mx.one.test] } }"):
        record = mta.wait_delivery(submit(mta, "x@list.test"))
        assert record["status"] == "sent" and record["relay"].startswith("mx.one.test["), record
        record = mta.wait_delivery(submit(mta, "x@list.test", ""))
        assert record["status"] == "sent" and record["relay"].startswith("mx.two.test["), record
    assert len(sink.wait(2)) == 2 and not mta.grep_log("out of service")


@pytest.mark.parametrize("policy,words,tls,outcome", [
    ("opportunistic+starttls", EXTENSIONS, True, "sent"),
    ("opportunistic+starttls", EXTENSIONS, False, "bounced"),
    ("opportunistic", EXTENSIONS, False, "sent"),
    ("opportunistic", KNOWING, True, "told"),
    ("disable", KNOWING, True, "sent"),
    ("inline:{ { .test = opportunistic } } enforce", EXTENSIONS, True, "sent"),
    ("inline:{ { .other = opportunistic } }", EXTENSIONS, True, "bounced"),
    ("inline:{ { two.test = perhaps } }", KNOWING, True, "deferred")])
def test_policy(mta, make_sink, certs, policy, words, tls, outcome):
    """smtp_requiretls_policy: the first that says something about the next hop."""
    sink = make_sink(A, tls=certs["mx"].context() if tls else None, extensions=words)
    with mta.settings(smtp_requiretls_policy=policy):
        record = mta.wait_delivery(submit(mta, "x@two.test"))
        assert record["status"] == {"told": "sent"}.get(outcome, outcome), record
        if record["status"] == "sent":
            assert ("REQUIRETLS" in sink.wait()[0].params) is (outcome == "told")


def test_notification_goes(mta, make_sink, certs):
    """RFC 8689 5: mail of the null sender needs TLS, and no more; requiretls_redact_dsn=no."""
    first = make_sink(A, tls=certs["mx"].context())
    home = make_sink(B, tls=certs["other"].context(), extensions=KNOWING)
    with mta.settings(requiretls_redact_dsn="no",
                      smtp_requiretls_policy="enforce",
                      transport_maps=f"inline:{{ {{ home.test = smtp:[{B}] }} }}"):
        assert mta.wait_delivery(submit(mta, "x@one.test", sender="b@home.test"))["dsn"] == "5.7.30"
        notice = home.wait()[0]
    assert not first.messages
    assert notice.session.tls and "REQUIRETLS" in notice.params
    assert b"the secret" not in notice.raw


def test_forwarded(mta, make_sink, certs):
    """An alias keeps it, and so does the header without the parameter."""
    sink = make_sink(A, tls=certs["mx"].context(), extensions=KNOWING)
    with mta.settings(alias_maps="inline:{ { fwd = x@one.test } }",
                      smtp_connection_cache_destinations=""):
        submit(mta, "fwd@localhost")
        assert "REQUIRETLS" in sink.wait()[0].params
        submit(mta, "x@one.test", "", header="Require-TLS-ESMTP: yes\r\n")
        assert "REQUIRETLS" in sink.wait(2)[1].params
        with mta.settings(requiretls_esmtp_header="no"):
            submit(mta, "x@one.test", "", header="Require-TLS-ESMTP: yes\r\n")
            assert "REQUIRETLS" not in sink.wait(3)[2].params


# TLS-Required: no.


@pytest.mark.parametrize("tls", ["other", None])
def test_optional(mta, make_sink, certs, tls):
    """What DANE forbids goes with that header; the header stays; the next message waits as ever."""
    sink = make_sink(A, tls=certs[tls].context() if tls else None)
    qid = submit(mta, "x@one.test", "", header="TLS-Required: No\r\n")
    assert mta.wait_delivery(qid)["status"] == "sent"
    message = sink.wait()[0]
    assert bool(message.session.tls) is bool(tls) and b"TLS-Required: No\r\n" in message.raw
    # Not over the session that is kept.
    assert mta.wait_delivery(submit(mta, "x@one.test", ""))["status"] == "deferred"
    assert len(sink.messages) == 1


@pytest.mark.parametrize("params,header,settings", [
    ("REQUIRETLS", "TLS-Required: no", {}), ("", "TLS-Required: yes", {}),
    ("", "TLS-Required: no", {"tls_required_enable": "no"})])
def test_not_optional(mta, make_sink, certs, params, header, settings):
    """REQUIRETLS is stronger; other values mean nothing; it can be switched off."""
    sink = make_sink(A)
    with mta.settings(**settings):
        record = mta.wait_delivery(submit(mta, "x@one.test", params, header=header + "\r\n"))
        assert record["status"] == ("bounced" if params else "deferred")
        assert not sink.messages


def test_optional_notification(mta, make_sink):
    """The notification about such a message has the header too."""
    sink = make_sink(A)
    sink.rule("RCPT", "550 5.1.1 no")
    home = make_sink(B)
    with mta.settings(transport_maps=f"inline:{{ {{ home.test = smtp:[{B}] }} }}"):
        submit(mta, "x@one.test", "", sender="b@home.test", header="TLS-Required: no\r\n")
        head = home.wait()[0].raw.split(b"\r\n\r\n")[0]
    assert b"TLS-Required: no" in head
