"""Row C12: servers that are not what DANE or MTA-STS want them to be get no mail."""

import re
import ssl
import subprocess

import pytest
from attack import MAIN
from ca import Cert
from mta import TMP
from tls_util import secure_root, tlsa_host
from web import STS, Web

HOST = "198.51.100.1"


def self_signed(directory, name):
    cert, key = directory / "self.pem", directory / "self.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", key, "-out", cert, "-days", "9", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name},DNS:mx.dane.test"],
                   check=True, capture_output=True)
    return Cert(cert, key)


@pytest.fixture(scope="module")
def certs(ca):
    names = ("mx.sts.test", "mx.dane.test")
    return {
        "right": ca.issue("mx", *names),
        "wrong": ca.issue("elsewhere.test"),
        "expired": ca.issue("mx", *names, days=-1),
        "self-signed": self_signed(ca.dir, "mx.sts.test"),
    }


@pytest.fixture(scope="module")
def mta(make_mta, dns, ca, certs):
    secure_root(dns)
    tlsa_host(dns, "dane.test", "mx.dane.test", HOST, (3, 1, 1, certs["right"].tlsa()))
    dns.mx("sts.test", 10, "mx.sts.test")
    dns.a("mx.sts.test", HOST)
    dns.txt("_mta-sts.sts.test", "v=STSv1; id=1;")
    web = Web(TMP / "web", dns)
    web.site("mta-sts.sts.test", ca.issue("mta-sts.sts.test"))
    web.policy("sts.test", STS)
    web.start()
    # MTA-STS is on with today's defaults.
    yield make_mta(main={**MAIN, "smtp_tls_security_level": "dane", "smtp_dns_support_level": "dnssec",
                         "smtp_tls_CAfile": str(ca.cert), "smtp_tls_loglevel": "1"})
    web.stop()


def context(certs, how):
    if how == "none":
        return None
    if not how.startswith("tls"):
        return certs[how].context()
    old = certs["right"].context()
    old.minimum_version = old.maximum_version = (
        ssl.TLSVersion.TLSv1 if how == "tls1.0" else ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    return old


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("domain", ["dane.test", "sts.test"])
@pytest.mark.parametrize("how,dsn,reason", [
    ("none", "4.7.4", "TLS is required, but was not offered"), ("wrong", "4.7.5", "not verified"),
    ("expired", "4.7.5", "not verified"), ("self-signed", "4.7.5", "not verified"),
    ("tls1.0", "4.7.5", "Cannot start TLS"), ("tls1.1", "4.7.5", "Cannot start TLS")])
def test_C12(mta, make_sink, certs, domain, how, dsn, reason):
    sink = make_sink(HOST, tls=context(certs, how))
    got = mta.wait_delivery(mta.inject(f"x@{domain}", sender="alice@example.test"))
    assert got["status"] == "deferred" and got["dsn"] == dsn, got
    assert re.search(reason, str(got)), got
    assert not [s for s in sink.sessions if "MAIL" in s.verbs()]


@pytest.mark.parametrize("domain", ["dane.test", "sts.test"])
def test_C12_right(mta, make_sink, certs, domain):
    """The cases above fail for the reason that they are about."""
    make_sink(HOST, tls=certs["right"].context())
    got = mta.wait_delivery(mta.inject(f"x@{domain}", sender="alice@example.test"))
    assert got["status"] == "sent", got
    mta.wait_log(rf"Verified TLS connection established to mx\.{domain}")
