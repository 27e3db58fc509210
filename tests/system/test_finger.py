"""posttls-finger: what it shows of servers, by MX, DANE, names and fingerprints; without a mail system."""

import re
import ssl
import subprocess

import pytest
from mta import program
from tls_util import secure_root, tlsa_host

A, B = "198.51.100.1", "198.51.100.2"
WHERE = rf"mx\.one\.test\[{re.escape(A)}\]:25"


@pytest.fixture(scope="module")
def certs(ca):
    return {"mx": ca.issue("mx.one.test", "mx.one.test", "*.wild.test"),
            "other": type(ca)(ca.dir.parent / "foreign", "Foreign CA").issue("mx.one.test"),
            "own": ca.issue("client.example.test")}


@pytest.fixture(scope="module")
def mta(make_mta, dns, certs):
    """An instance that never runs: the command must do without."""
    secure_root(dns)
    dns.mx("one.test", 10, "mx.one.test")
    dns.a("mx.one.test", A)
    der = certs["mx"].tlsa()
    tlsa_host(dns, "dane.test", "mx.dane.test", A, (3, 1, 1, der), (3, 1, 1, bytes(32)))
    tlsa_host(dns, "bad.test", "mx.bad.test", A, (3, 1, 1, bytes(32)))
    tlsa_host(dns, "odd.test", "mx.odd.test", A, (1, 1, 1, der))
    return make_mta(start=False, main={"myhostname": "client.example.test",
                                       "smtp_tls_policy_maps": "hash:/nowhere",
                                       "smtp_tls_CAfile": "/nowhere"})


@pytest.fixture
def finger(mta):
    def run(*args, code=0):
        result = mta.run("posttls-finger", *args)
        assert result.code == code, result
        run.out = result.out
        return result.err
    return run


def has(text, *lines):
    """The lines, which are patterns, are there in this order."""
    at = 0
    for line in lines:
        found = re.compile(rf"(?m)^posttls-finger: {line}").search(text, at)
        assert found, f"no {line!r} in\n{text}"
        at = found.end()


def test_dialogue(finger, make_sink, certs):
    """The lines of Postfix's command, in their order."""
    make_sink(A, tls=certs["mx"].context())
    text = finger("-l", "may", "one.test")
    has(text, rf"Connected to {WHERE}$", r"< 220 \S+ ESMTP", r"> EHLO client\.example\.test$",
        r"< 250-", "> STARTTLS$", "< 220 ",
        rf"{WHERE}: subject_CN=mx\.one\.test, issuer_CN=.*, fingerprint={certs['mx'].fingerprint()}, "
        r"pkey_fingerprint=[0-9A-F:]+$",
        rf"Untrusted TLS connection established to {WHERE}: TLSv1\.3 with cipher \S+ \(\d+/\d+ bits\)",
        "> EHLO", "> QUIT$", "< 221 ")
    text = finger("-c", "-L", "none", "-l", "may", "one.test")
    assert text == ""


@pytest.mark.parametrize("match, trusts, outcome", [
    ((), True, "Verified"), (("a.wild.test",), True, "Verified"), (("two.test",), True, "Trusted"),
    ((), False, "Untrusted"),
])
def test_secure(finger, make_sink, certs, ca, match, trusts, outcome):
    """Names, given or those of the destination, and authorities."""
    make_sink(A, tls=certs["mx"].context())
    anchor = ("-F", str(ca.cert)) if trusts else ()
    text = finger("-c", "-l", "secure", *anchor, "[mx.one.test]", *match)
    if outcome == "Verified":
        name = "mx.one.test" if not match else "*.wild.test"
        has(text, rf"{WHERE}: matched peername: {re.escape(name)}$")
    else:
        has(text, rf"certificate verification failed for {WHERE}: ")
    has(text, rf"{outcome} TLS connection established to {WHERE}")


def test_trust_anchor(finger, make_sink, certs, ca):
    """-A counts alone, several times; -P has files of authorities."""
    make_sink(A, tls=certs["mx"].context())
    has(finger("-c", "-l", "secure", "-A", str(certs["other"].cert), "-A", str(ca.cert), "[mx.one.test]"),
        "Verified TLS")
    has(finger("-c", "-l", "secure", "-A", str(certs["other"].cert), "-F", str(ca.cert), "[mx.one.test]"),
        "Untrusted TLS")


def test_fingerprint(finger, make_sink, certs):
    """Of the certificate, by any digest; another one matches nothing."""
    make_sink(A, tls=certs["mx"].context())
    for digest in ("sha256", "sha1"):
        mark = certs["mx"].fingerprint(digest)
        has(finger("-c", "-l", "fingerprint", "-d", digest, "one.test", mark),
            rf"{WHERE}: Matched fingerprint: {mark}$", "Verified TLS")
    has(finger("-c", "-l", "fingerprint", "one.test", ":".join(["00"] * 32)),
        "certificate verification failed .*another fingerprint", "Untrusted TLS")


def test_dane(finger, make_sink, certs, ca):
    """TLSA records that match, that do not, that are of no use, and none."""
    make_sink(A, tls=certs["mx"].context())
    mark = certs["mx"].tlsa().hex().upper()
    where = WHERE.replace("one", "dane")
    has(finger("-c", "dane.test"), rf"using DANE RR: _25\._tcp\.mx\.dane\.test IN TLSA 3 1 1 {mark}$",
        rf"{where}: Matched DANE EE certificate at depth 0: 3 1 1 {mark}$", f"Verified TLS .* {where}")
    has(finger("-c", "bad.test"), "using DANE RR: .* 3 1 1 0+$", "certificate verification failed",
        "Untrusted TLS")
    for domain in ("odd.test", "one.test"):
        for level in ("dane", "dane-only"):
            has(finger("-c", "-l", level, "-F", str(ca.cert), domain),
                "no usable DNSSEC-signed TLSA records for mx", ".*TLS connection established")


def test_chain(finger, make_sink, certs):
    """-C: what was sent, in PEM, on standard output."""
    make_sink(A, tls=certs["mx"].context())
    finger("-c", "-C", "-l", "may", "one.test")
    assert finger.out.startswith("\n---\nCertificate chain\n 0 subject: /CN=mx.one.test\n    issuer: /CN=")
    assert f"\n   cert digest={certs['mx'].fingerprint()}\n   pkey digest=" in finger.out
    pem = re.search(r"-----BEGIN.*?END CERTIFICATE-----\n", finger.out, re.DOTALL).group()
    assert ssl.PEM_cert_to_DER_cert(pem) == ssl.PEM_cert_to_DER_cert(
        re.search(r"-----BEGIN C.*?END CERTIFICATE-----\n", certs["mx"].cert.read_text(), re.DOTALL).group())


def test_reconnect(finger, make_sink, certs):
    """-r: the second session is a resumed one; where none is, it says so after -m connections."""
    sink = make_sink(A, tls=certs["mx"].context())
    text = finger("-c", "-r", "1", "-l", "may", "one.test")
    has(text, "Reconnecting after 1 seconds", f"{WHERE}: Reusing old session", ".*TLS connection reused to",
        "Found a previously used server")
    assert len(sink.sessions) == 2


def test_wrapper_and_own_certificate(finger, make_sink, certs, ca):
    """-w, -k with -K, and -H: a server that asks gets it; -s is what the server hears."""
    sink = make_sink(A, 465, tls=certs["mx"].context(ca.cert), wrap=True)
    both = certs["own"].cert.with_suffix(".both")
    both.write_text(certs["own"].key.read_text() + certs["own"].cert.read_text())
    for own in (("-k", str(certs["own"].cert), "-K", str(certs["own"].key)), ("-H", str(both)),
                ("-k", str(both))):
        has(finger("-c", "-w", "-l", "encrypt", "-s", "sni.test", *own, "[mx.one.test]:465"),
            ".*TLS connection established")
    own = ssl.PEM_cert_to_DER_cert(certs["own"].cert.read_text().partition("-----BEGIN")[1] +
                                   certs["own"].cert.read_text().partition("-----BEGIN")[2])
    assert [(session.sni, session.client_cert) for session in sink.sessions] == [("sni.test", own)] * 3


def test_lmtp(finger, make_sink, certs, tmp_path):
    """-S, over a UNIX socket and port 24."""
    make_sink(str(tmp_path / "lmtp"), lmtp=True, tls=certs["mx"].context())
    has(finger("-S", "-l", "encrypt", f"unix:{tmp_path}/lmtp"), "Connected to ", "> LHLO ",
        "Untrusted TLS connection established", "> LHLO ")
    make_sink(A, 24, lmtp=True, tls=certs["mx"].context())
    has(finger("-S", "-c", "-l", "encrypt", "inet:[mx.one.test]"), "Untrusted TLS .*:24")


def test_failures(finger, make_sink, certs):
    """Nobody there, no TLS, no such domain, and nonsense for arguments."""
    has(finger("-c", "one.test"), rf"Failed to establish session to one\.test via mx\.one\.test: "
        rf"connect to {WHERE}: Connection refused$")
    has(finger("-c", "no.such.test"), r"Failed to establish session to no\.such\.test via no\.such\.test: "
        "Host or domain name not found")
    make_sink(A)
    has(finger("-c", "-l", "encrypt", "one.test"), "Failed to establish session .*TLS is required, but was not")
    has(finger("-l", "bogus", "one.test", code=1), 'fatal: Invalid TLS level "bogus"')
    for arguments in ((), ("-X", "one.test"), ("-t", "soon", "one.test"), ("-L", "all", "one.test"),
                      ("-o", "nonsense", "one.test"), ("-H", "a", "-k", "b", "one.test")):
        has(finger(*arguments, code=1), "fatal: ")


def test_any_user(mta, make_sink, certs):
    """It needs no rights but those of its caller."""
    make_sink(A, tls=certs["mx"].context())
    done = subprocess.run([program("posttls-finger"), "-c", "-l", "may", "one.test"], capture_output=True,
                          text=True, user="alice", env={"MAIL_CONFIG": str(mta.config)}, check=True)
    assert "Untrusted TLS connection established" in done.stderr
