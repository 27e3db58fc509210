"""DANE (RFC 7672) against real signed zones: nsd, ldns, and a validating unbound between it and ours."""

import hashlib
import re
import ssl
from pathlib import Path

import pytest
from mta import TMP
from tls_util import RETRY
from web import STS, Web
from zones import RESOLVER, TOP, Zones

A, B = "198.51.100.1", "198.51.100.2"
NAMES = ("ee", "nsec3", "wrong", "ta", "both", "after")


@pytest.fixture(scope="module")
def certs(ca):
    foreign = type(ca)(ca.dir.parent / "foreign-zones", "Foreign CA")
    return {
        "mx": ca.issue("mx", *(f"mx.{n}.{TOP}" for n in NAMES)),
        "foreign": foreign.issue("mx", *(f"mx.{n}.{TOP}" for n in NAMES)),
        "other": ca.issue("nobody.test"),
        "web": ca.issue("web", f"mta-sts.both.{TOP}", f"mta-sts.after.{TOP}"),
    }


def host(zones, name, signed="yes", *records):
    """A zone with an MX host and its TLSA records."""
    domain = f"{name}.{TOP}"
    zone = zones.add(domain, signed)
    zone.mx(domain, f"mx.{domain}")
    zone.a(f"mx.{domain}", A)
    for record in records:
        zone.tlsa(f"mx.{domain}", *record)
    return zone


@pytest.fixture(scope="module")
def zones(ca, certs):
    zones = Zones(TMP / "zones")
    good = (3, 1, 1, certs["mx"].tlsa())
    wrong = (3, 1, 1, bytes(32))
    authority = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca.cert.read_text())).digest()
    host(zones, "ee", "yes", good)
    host(zones, "nsec3", "nsec3", wrong, good)
    host(zones, "wrong", "yes", wrong)
    host(zones, "ta", "yes", (2, 0, 1, authority))
    host(zones, "absent")
    host(zones, "absent3", "nsec3")
    host(zones, "unsigned", "no", wrong)
    host(zones, "expired", "expired", good)
    host(zones, "stripped", "stripped", good)
    host(zones, "bogus", "yes", good).spoil("TLSA", "3 1 1 " + "00" * 32)
    host(zones, "bogusmx", "yes", good).spoil("MX", f"0 mx.ee.{TOP}.")
    host(zones, "bogusa", "yes", good).spoil("A", B)
    # MX records without DNSSEC; the host is in a signed zone.
    zones.add(f"half.{TOP}", "no").mx(f"half.{TOP}", f"mx.ee.{TOP}")
    zones.add(f"halfwrong.{TOP}", "no").mx(f"halfwrong.{TOP}", f"mx.wrong.{TOP}")
    # Two hosts: the first one's records cannot be had.
    zones.add(f"two.{TOP}").mx(f"two.{TOP}", f"mx.bogus.{TOP}", f"mx.ee.{TOP}")
    for name, at in (("cname", "real"), ("before", "mx")):
        domain = f"{name}.{TOP}"
        zone = zones.add(domain)
        zone.mx(domain, f"mx.{domain}")
        zone.add(f"mx.{domain}", "CNAME", f"real.{domain}.")
        zone.a(f"real.{domain}", A)
        zone.tlsa(f"{at}.{domain}", 3, 1, 1, certs["mx"].tlsa())
    # An alias into a zone without DNSSEC: the records at its begin count.
    zone = zones.add(f"out.{TOP}")
    zone.mx(f"out.{TOP}", f"mx.out.{TOP}")
    zone.add(f"mx.out.{TOP}", "CNAME", f"mx.unsigned.{TOP}.")
    zone.tlsa(f"mx.out.{TOP}", 3, 1, 1, certs["mx"].tlsa())
    # MTA-STS beside DANE, and alone in a signed zone.
    both = host(zones, "both", "yes", (3, 1, 1, certs["foreign"].tlsa()))
    for zone in (both, host(zones, "after")):
        zone.txt(f"_mta-sts.{zone.name}", "v=STSv1; id=1;")
    yield zones


@pytest.fixture(scope="module")
def web(zones, certs):
    web = Web(TMP / "web-zones", next(z for z in zones.zones if z.name == f"both.{TOP}"))
    web.site(f"mta-sts.both.{TOP}", certs["web"])
    web.dns = next(z for z in zones.zones if z.name == f"after.{TOP}")
    web.site(f"mta-sts.after.{TOP}", certs["web"])
    web.policy(f"both.{TOP}", STS.replace("mx.", "nobody."))
    web.policy(f"after.{TOP}")
    web.start()
    yield web
    web.stop()


@pytest.fixture(scope="module")
def mta(make_mta, zones, web, ca):
    zones.start()
    path = Path("/etc/resolv.conf")
    old = path.read_text()
    path.write_text(f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n")
    yield make_mta(main={
        **RETRY,
        "compatibility_level": "3.11",
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
        "smtp_tls_CAfile": str(ca.cert),
        "smtp_tls_loglevel": "1",
    })
    path.write_text(old)
    zones.stop()


def deliver(mta, name):
    return mta.wait_delivery(mta.inject(f"x@{name}.{TOP}", sender="bob@example.test"), timeout=30)


def sent(mta, sink, name, word):
    record = deliver(mta, name)
    assert record["status"] == "sent", record
    if word:
        mta.wait_log(rf"{word} TLS connection established to ")
    assert bool(sink.wait()[0].session.tls) is bool(word)
    return sink.messages[0].session


def not_sent(mta, sink, name, dsn):
    record = deliver(mta, name)
    assert record["status"] == "deferred" and re.fullmatch(dsn, record["dsn"]), record
    assert not [s for s in sink.sessions if "MAIL" in s.verbs()]


@pytest.mark.parametrize("name,sni", [
    ("ee", "mx.ee"), ("nsec3", "mx.nsec3"), ("ta", None), ("cname", "real.cname"),
    ("before", "mx.before"), ("out", "mx.out")])
def test_good(mta, make_sink, ca, certs, name, sni):
    """DANE-EE, one record of two, DANE-TA, records behind and before a CNAME."""
    context = certs["mx"].context()
    if name == "ta":
        chain = ca.dir / "chain-zones.pem"
        chain.write_bytes(certs["mx"].cert.read_bytes() + ca.cert.read_bytes())
        context.load_cert_chain(chain, certs["mx"].key)
    session = sent(mta, make_sink(A, tls=context), name, "Verified")
    assert session.sni == f"{sni or 'mx.ta'}.{TOP}"


@pytest.mark.parametrize("name", ["ee", "nsec3", "ta", "cname", "wrong", "before", "out", "half"])
def test_wrong_certificate(mta, make_sink, certs, name):
    """Another key than the records have, an authority's certificate for another name."""
    not_sent(mta, make_sink(A, tls=certs["other"].context()), name, "4.7.5")


@pytest.mark.parametrize("name", ["ee", "nsec3", "ta", "cname", "wrong", "before", "out", "half"])
def test_downgraded(mta, make_sink, name):
    """Somebody has taken STARTTLS away."""
    not_sent(mta, make_sink(A), name, "4.7.4")


@pytest.mark.parametrize("name", ["absent", "absent3", "unsigned"])
def test_no_dane(mta, make_sink, name):
    """It is proven that there is none, or nobody vouches for what is there: TLS is no must."""
    sent(mta, make_sink(A), name, "")


def test_half(mta, make_sink, certs):
    """MX records that nobody vouches for lead to a host with records: they count for the host."""
    sent(mta, make_sink(A, tls=certs["mx"].context()), "half", "Trusted")


def test_half_wrong(mta, make_sink, certs):
    not_sent(mta, make_sink(A, tls=certs["mx"].context()), "halfwrong", "4.7.5")


@pytest.mark.parametrize("name,dsn", [
    ("bogus", "4.7.5"), ("bogusmx", "4.4.3"), ("bogusa", "4.4.3"), ("expired", "4.4.3"),
    ("stripped", "4.4.3")])
def test_bogus(mta, make_sink, name, dsn):
    """Signatures that are wrong, too old or missing: mail waits, and never goes in clear text."""
    here, there = make_sink(A), make_sink(B)
    not_sent(mta, here, name, dsn)
    assert not here.sessions and not there.sessions


def test_next_host(mta, make_sink, certs):
    """A host whose records cannot be had makes room for the next one."""
    session = sent(mta, make_sink(A, tls=certs["mx"].context()), "two", "Verified")
    assert session.sni == f"mx.ee.{TOP}"
    mta.wait_log(rf"TLSA lookup error for mx\.bogus\.{TOP}:25")


def test_dane_before_sts(mta, web, make_sink, certs):
    """Usable records count alone: the policy would refuse this host and this certificate."""
    sink = make_sink(A, tls=certs["foreign"].context())
    sent(mta, sink, "both", "Verified")
    sink.close()
    not_sent(mta, make_sink(A, tls=certs["mx"].context()), "both", "4.7.5")


def test_sts_without_dane(mta, web, make_sink, certs):
    """In a signed zone without TLSA records MTA-STS counts."""
    sink = make_sink(A)
    not_sent(mta, sink, "after", "4.7.4")
    sink.close()
    sink = make_sink(A, tls=certs["foreign"].context())
    not_sent(mta, sink, "after", "4.7.5")
    sink.close()
    sent(mta, make_sink(A, tls=certs["mx"].context()), "after", "Verified")
    assert web.hits(f"mta-sts.after.{TOP}") == 1
