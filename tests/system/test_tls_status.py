"""smtp_log_tls_feature_status: what the line of a recipient says of TLS. The form is Postfix 3.11's."""

import pytest
from sink import CLOSE, EXTENSIONS
from test_requiretls import submit
from tls_util import RETRY, V12, secure_root, server_context, tlsa_host

A, B = "198.51.100.1", "198.51.100.2"


@pytest.fixture(scope="module")
def certs(ca):
    return {"mx": ca.issue("mx.dane.test"), "other": ca.issue("nobody.test"),
            "own": ca.issue("mail.example.test")}


@pytest.fixture(scope="module")
def mta(make_mta, dns, ca, certs):
    secure_root(dns)
    tlsa_host(dns, "dane.test", "mx.dane.test", A, (3, 1, 1, certs["mx"].tlsa()))
    for name in ("dane2.test", "plain.test", "new.test"):
        dns.mx(name, 10, f"mx.{name}")
        dns.a(f"mx.{name}", A)
    return make_mta(
        main={**RETRY, "smtp_tls_security_level": "may", "smtp_tls_CAfile": str(ca.cert),
              "smtp_dns_support_level": "dnssec",
              "smtp_tls_policy_maps": "hash:$config_directory/policy",
              "smtp_requiretls_policy": "inline:{dane2.test=opportunistic} enforce",
              "smtpd_tls_security_level": "may",
              "smtpd_tls_chain_files": f"{certs['own'].key} {certs['own'].cert}",
              "transport_maps": "inline:{lmtp.test=lmtp:inet:198.51.100.2:24 quiet.test=quiet:[198.51.100.1]}"},
        services=["quiet unix - - n - - smtp -o smtp_log_tls_feature_status=no"],
        tables={"hash:policy": """
new.test may protocols=>=TLSv1.3
dane.test dane
dane2.test dane
"""})


def status(mta, nexthop, outcome="sent"):
    """What the first line says with that outcome."""
    qid = mta.inject(f"x@{nexthop}", sender="bob@example.test")
    return mta.wait_delivery(qid, status=outcome).get("tls")


@pytest.mark.parametrize("nexthop, cert, outcome, tls", [
    ("plain.test", "mx", "sent", "may"),
    ("plain.test", None, "sent", "may:none"),
    ("dane.test", "mx", "sent", "dane"),
    ("dane.test", None, "deferred", "!dane:none"),
    ("dane.test", "other", "deferred", "!dane:encrypt"),
    ("dane2.test", "mx", "sent", "dane:may"),
    ("dane2.test", None, "sent", "dane:none"),
    ("quiet.test", "mx", "sent", None),
])
def test_domains(mta, make_sink, certs, nexthop, cert, outcome, tls):
    """The level that was wanted, and what it came to."""
    make_sink(A, tls=certs[cert].context() if cert else None)
    assert status(mta, nexthop, outcome) == tls


@pytest.mark.parametrize("level, cert, outcome, tls", [
    ("none", "mx", "sent", "none"),
    ("encrypt", "other", "sent", "encrypt"),
    ("encrypt", None, "deferred", "!encrypt:none"),
    ("secure", "other", "sent", "secure"),
    ("secure", "mx", "deferred", "!secure:encrypt"),
])
def test_levels(mta, make_sink, ca, certs, level, cert, outcome, tls):
    make_sink(A, tls=certs[cert].context() if cert else None)
    words = " match=nobody.test" if level == "secure" else ""
    with mta.settings(smtp_tls_policy_maps=f"static:{{{level}{words}}}"):
        assert status(mta, "plain.test", outcome) == tls


def test_handshake(mta, make_sink, certs):
    """A handshake that fails, and the clear text that follows where it may."""
    make_sink(A, tls=server_context(certs["mx"], V12))
    qid = mta.inject("x@new.test", sender="bob@example.test")
    assert mta.wait_delivery(qid, status="sent", timeout=60)["tls"] == "may:none"
    assert mta.deliveries(qid)[0]["tls"] == "!may:none"


def test_undecided(mta, make_sink, certs):
    """A connection that breaks before."""
    make_sink(A, tls=certs["mx"].context()).rule("EHLO", CLOSE)
    assert status(mta, "plain.test", "deferred") == "may?"


def test_no_session(mta):
    """Nobody there: nothing to say."""
    assert status(mta, "plain.test", "deferred") is None


def test_lmtp(mta, make_sink):
    make_sink(B, 24, lmtp=True)
    assert status(mta, "lmtp.test") == "none"


@pytest.mark.parametrize("nexthop, words, outcome, tls", [
    ("dane.test", ("REQUIRETLS",), "sent", "dane/requiretls"),
    ("dane.test", (), "bounced", "dane/!requiretls"),
    ("dane2.test", (), "sent", "dane:may/requiretls:none"),
])
def test_requiretls_message(mta, make_sink, certs, nexthop, words, outcome, tls):
    """A message with REQUIRETLS has a second part."""
    make_sink(A, tls=certs["mx"].context(), extensions=(*EXTENSIONS, *words))
    qid = submit(mta, f"x@{nexthop}")
    assert mta.wait_delivery(qid, status=outcome)["tls"] == tls
