"""TLS in smtp and lmtp, as far as conformance cases and attacks do not have it: DANE behind CNAMEs and
forged MX records, trust anchors, connections that are kept, old parameters, where private keys are."""

import hashlib
import re
import shutil
import ssl
import subprocess

import pytest
from dnslib import RD
from sink import CLOSE
from test_tls_server import is_alive, looks_at_memory, memory, processes, secrets
from tls_util import RETRY, V12, V13, secure_root, server_context, tlsa_host

A, B = "198.51.100.1", "198.51.100.2"


@pytest.fixture(scope="module")
def certs(ca):
    foreign = type(ca)(ca.dir.parent / "foreign", "Foreign CA")
    return {
        "mx": ca.issue("mx.one.test", "mx.one.test", "mx.two.test"),
        "domain": ca.issue("ta.test", "ta.test"),
        "other": ca.issue("nobody.test"),
        "foreign": foreign.issue("mx.one.test"),
        "foreign-ca": foreign,
        "own": ca.issue("mail.example.test"),
    }


@pytest.fixture(scope="module")
def mta(make_mta, dns, ca, certs):
    secure_root(dns)
    for name in ("one", "two", "keep", "nokeep", "old", "tafile"):
        dns.mx(f"{name}.test", 10, f"mx.{name}.test")
        dns.a(f"mx.{name}.test", A)
    return make_mta(
        main={
            **RETRY,
            "smtp_tls_security_level": "may",
            "smtp_tls_policy_maps": "hash:$config_directory/policy",
            "smtp_tls_CAfile": str(ca.cert),
            "smtp_tls_cert_file": str(certs["own"].cert),
            "smtp_tls_key_file": str(certs["own"].key),
            "smtp_tls_loglevel": "2",
            "smtp_tls_session_cache_database": "btree:$data_directory/smtp_scache",
            "smtp_dns_support_level": "dnssec",
            "smtp_connection_cache_destinations": "keep.test nokeep.test old.test",
        },
        tables={"hash:policy": """
keep.test encrypt
nokeep.test encrypt connection_reuse=no
old.test may protocols=<=TLSv1.2
tafile.test verify tafile=/nowhere
half.test dane
alias.test dane
ta.test dane
short1.test dane
short2.test dane
short3.test dane
short19.test dane
"""},
        services=["loclmtp unix - - n - - lmtp -o lmtp_tls_security_level=encrypt"],
    )


def deliver(mta, domain):
    return mta.wait_delivery(mta.inject(f"x@{domain}", sender="bob@example.test"))


def deferred(record, dsn):
    assert record["status"] == "deferred" and record["dsn"] == dsn, record


def test_log_lines(mta, make_sink, certs):
    """What is known of the server: fingerprints, and whether anybody vouches for it."""
    sink = make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "one.test")["status"] == "sent"
    where = rf"mx\.one\.test\[{re.escape(A)}\]:25"
    mta.wait_log(rf"setting up TLS connection to {where}")
    mta.wait_log(rf"{where}: subject_CN=mx\.one\.test, issuer_CN=.*, "
                 rf"fingerprint={certs['mx'].fingerprint()}, pkey_fingerprint=")
    mta.wait_log(rf"Trusted TLS connection established to {where}: TLSv1\.3 with cipher ")
    sink.close()
    make_sink(A, tls=certs["foreign"].context())
    assert deliver(mta, "two.test")["status"] == "sent"
    mta.wait_log(r"Untrusted TLS connection established to mx\.two\.test")


def test_why_not_verified(mta, make_sink, certs):
    """Who is refused is in the log with the reason."""
    make_sink(A, tls=certs["foreign"].context())
    with mta.settings(smtp_tls_security_level="verify"):
        deferred(deliver(mta, "one.test"), "4.7.5")
        mta.wait_log(r"certificate verification failed for mx\.one\.test.*: unable to verify the first cert")


@pytest.mark.parametrize("anchor,sent", [("foreign-ca", True), ("foreign", True), ("own", False)])
def test_trust_anchor(mta, make_sink, certs, anchor, sent):
    """smtp_tls_trust_anchor_file: a root, or the certificate itself; nobody else is trusted then."""
    make_sink(A, tls=certs["foreign"].context())
    with mta.settings(smtp_tls_security_level="verify",
                      smtp_tls_trust_anchor_file=str(certs[anchor].cert)):
        record = deliver(mta, "one.test")
        assert (record["status"] == "sent") is sent, record


@pytest.mark.parametrize("rehash,sent", [(True, True), (False, False)])
def test_directory_of_authorities(mta, make_sink, certs, tmp_path, rehash, sent):
    """smtp_tls_CApath, where OpenSSL finds certificates by the names of openssl-rehash(1) alone."""
    shutil.copy(certs["foreign-ca"].cert, tmp_path / "authority.pem")
    if rehash:
        subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    make_sink(A, tls=certs["foreign"].context())
    with mta.settings(smtp_tls_security_level="verify", smtp_tls_CApath=str(tmp_path)):
        record = deliver(mta, "one.test")
        assert (record["status"] == "sent") is sent, record


@pytest.mark.parametrize("probe,reason", [
    ("ns:.", None), ("", None), ("ns:insecure.test", "received a response that is not DNSSEC validated"),
    ("ns:broken.test", "received no response: .*"), ("nonsense", None)])
def test_dnssec_probe(mta, dns, make_sink, certs, probe, reason):
    """An answer without DNSSEC, where it is wanted, makes one worker ask whether there is any."""
    dns.ns("insecure.test", "ns.insecure.test")
    dns.rcode("broken.test", "SERVFAIL")
    make_sink(A, tls=certs["mx"].context())
    with mta.settings(dnssec_probe=probe):
        for _ in range(2):
            assert deliver(mta, "one.test")["status"] == "sent"
        if reason:
            mta.wait_log(rf"warning: reason: dnssec_probe '{probe}' {reason}")
        warned = mta.grep_log("warning: DNSSEC validation may be unavailable")
        assert len(warned) == (1 if reason else 0)
        if probe == "nonsense":
            mta.wait_log('warning: dnssec_probe: expected type:name in place of "nonsense"')


def test_unknown_attribute(mta, make_sink, certs):
    """What a policy says and is not understood defers, and no connection is made."""
    sink = make_sink(A, tls=certs["mx"].context())
    deferred(deliver(mta, "tafile.test"), "4.7.5")
    assert not sink.sessions
    mta.wait_log(r'TLS policy for tafile\.test: invalid attribute "tafile=/nowhere"')


@pytest.mark.parametrize("old,level", [
    ({"smtp_enforce_tls": "yes"}, "verify"),
    ({"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "no"}, "encrypt"),
    ({"smtp_use_tls": "yes"}, "may"), ({}, "none")])
def test_old_parameters(mta, make_sink, certs, old, level):
    """smtp_use_tls, smtp_enforce_tls and smtp_tls_enforce_peername, without a level."""
    sink = make_sink(A, tls=certs["other"].context())
    with mta.settings(smtp_tls_security_level="", **old):
        record = deliver(mta, "one.test")
        if level == "verify":
            deferred(record, "4.7.5")
            return
        assert record["status"] == "sent"
        assert bool(sink.wait()[0].session.tls) is (level != "none")
        sink.close()
        make_sink(A)
        record = deliver(mta, "one.test")
        assert record["status"] == ("deferred" if level == "encrypt" else "sent")


@pytest.mark.parametrize("value,on", [("NONE", False), ("MAY", True), ("MUST_NOPEERMATCH", True),
                                      ("MUST", None), ("PERHAPS", None)])
def test_per_site(mta, make_sink, certs, value, on):
    """smtp_tls_per_site, by the name of the host."""
    sink = make_sink(A, tls=certs["other"].context())
    with mta.settings(smtp_tls_policy_maps="",
                      smtp_tls_per_site=f"inline:{{ mx.one.test={value} }}"):
        record = deliver(mta, "one.test")
        if on is None:
            deferred(record, "4.7.5")
        else:
            assert bool(sink.wait()[0].session.tls) is on


def test_connection_reuse(mta, make_sink, certs):
    """A connection with TLS is kept for the next message; with connection_reuse=no a new one resumes."""
    sink = make_sink(A, tls=server_context(certs["mx"], V12))
    for domain, sessions in (("keep.test", 1), ("nokeep.test", 2)):
        sink.reset()
        first = len(sink.sessions)
        for _ in range(2):
            mta.wait_sent(mta.inject(f"x@{domain}", sender="bob@example.test"))
        assert len(sink.sessions) - first == sessions
    mta.wait_log(r"TLS connection reused to mx\.nokeep\.test")


def test_out_of_step(mta, make_sink, certs):
    """Behind a reply that cannot belong to its command a connection is not kept: the next replies might be taken
    for those to other recipients."""
    sink = make_sink(A, tls=certs["mx"].context())
    sink.rule("DATA", "250 2.1.5 late", times=1)
    deferred(deliver(mta, "keep.test"), "4.5.0")
    mta.purge()  # before it is tried again
    assert deliver(mta, "keep.test")["status"] == "sent"
    assert len(sink.sessions) == 2


def test_clear_text_is_not_kept(mta, make_sink, certs):
    """A connection in clear text behind a handshake that failed is for mail that has waited for it: the
    next message tries TLS anew."""
    sink = make_sink(A, tls=server_context(certs["mx"], V13))
    mta.wait_delivery(mta.inject("x@old.test"), status="sent")
    assert sink.wait()[0].session.tls is None
    record = mta.wait_delivery(mta.inject("x@old.test"))
    deferred(record, "4.7.5")
    assert sink.sessions[-1].verbs()[-1] == "STARTTLS"


def test_segments_are_acknowledged(mta, make_sink, certs):
    """A server that sends nothing while something of it is on its way (Nagle's algorithm) does not wait for the
    40 ms of a delayed acknowledgement: neither behind session tickets, nor between the replies to a group of
    commands. The quickest of five deliveries shows it."""
    make_sink(A, tls=server_context(certs["mx"], V13))
    with mta.settings(smtp_tls_session_cache_database=""):
        delays = [deliver(mta, "one.test")["delays"].split("/") for _ in range(5)]
    for part in (2, 3):
        assert min(float(d[part]) for d in delays) < 0.04, delays


def test_resumption_tls13(mta, make_sink, certs):
    """TLS 1.3 gives its tickets behind the handshake."""
    make_sink(A, tls=server_context(certs["mx"], V13))
    for _ in range(2):
        assert deliver(mta, "two.test")["status"] == "sent"
    mta.wait_log(r"TLS connection reused to mx\.two\.test.*TLSv1\.3")


def test_wrappermode_needs_encrypt(mta, make_sink, certs):
    """Wrapper mode with a level that would do without TLS is an error, and nothing is sent."""
    sink = make_sink(A, tls=certs["mx"].context(), wrap=True)
    with mta.settings(smtp_tls_wrappermode="yes"):
        deferred(deliver(mta, "one.test"), "4.7.5")
    assert not sink.sessions


def test_lmtp(mta, make_sink, certs):
    """lmtp has parameters of its own."""
    sink = make_sink(B, 2400, lmtp=True, tls=certs["mx"].context())
    with mta.settings(transport_maps=f"inline:{{ lmtp.test=loclmtp:inet:[{B}]:2400 }}"):
        assert deliver(mta, "lmtp.test")["status"] == "sent"
        session = sink.wait()[0].session
        assert session.tls and session.verbs()[:3] == ["LHLO", "STARTTLS", "LHLO"]
        sink.close()
        plain = make_sink(B, 2400, lmtp=True)
        deferred(deliver(mta, "lmtp.test"), "4.7.4")
        assert "MAIL" not in plain.sessions[0].verbs()


def test_no_clear_text_with_password(mta, make_sink, certs):
    """Mail that waited is not sent in the clear after a failed handshake when a password would be."""
    sink = make_sink(A, tls=certs["mx"].context(), auth="PLAIN", users={"user": "secret"})
    sink.rule("STARTTLS", CLOSE)
    settings = {
        "smtp_sasl_auth_enable": "yes", "smtp_tls_security_level": "may",
        "smtp_sasl_password_maps": "inline:{ mx.one.test=user:secret }",
        "smtp_sasl_security_options": "",
    }
    with mta.settings(**settings):
        qid = mta.inject("x@one.test", sender="bob@example.test")
        mta.wait_delivery(qid, status="deferred")
        sink.wait_session(2)
        assert not any(s.auth or "MAIL" in s.verbs() for s in sink.sessions)


# DANE.


@pytest.fixture
def half(dns, certs):
    """MX record that nobody vouches for; the host is in a signed zone."""
    dns.mx("half.test", 10, "mx.safe.test")
    dns.a("mx.safe.test", A)
    dns.tlsa("_25._tcp.mx.safe.test", 3, 1, 1, certs["mx"].tlsa())
    dns.secure("safe.test")


@pytest.mark.parametrize("policy,cert,outcome", [
    ("dane", "mx", "Trusted"), ("dane", "other", "4.7.5"), ("dane", None, "4.7.4"),
    ("encrypt", "other", "Trusted"), ("encrypt", None, "4.7.4"), ("may", None, "sent")])
@pytest.mark.usefixtures("half")
def test_insecure_mx(mta, make_sink, certs, policy, cert, outcome):
    """smtp_tls_dane_insecure_mx_policy."""
    make_sink(A, tls=certs[cert].context() if cert else None)
    with mta.settings(smtp_tls_dane_insecure_mx_policy=policy):
        record = deliver(mta, "half.test")
        if outcome.startswith("4"):
            deferred(record, outcome)
        else:
            assert record["status"] == "sent"
        if outcome == "Trusted":
            mta.wait_log(r"Trusted TLS connection established to mx\.safe\.test")


@pytest.mark.parametrize("at", ["mx.alias.test", "real.alias.test"])
def test_cname(mta, dns, make_sink, certs, at):
    """TLSA records at the end of a CNAME chain, or where it begins; SNI says which."""
    dns.mx("alias.test", 10, "mx.alias.test")
    dns.cname("mx.alias.test", "real.alias.test")
    dns.a("real.alias.test", A)
    for name in ("mx.alias.test", "real.alias.test"):
        dns.remove(f"_25._tcp.{name}")
    dns.tlsa(f"_25._tcp.{at}", 3, 1, 1, certs["other"].tlsa())
    dns.secure("alias.test")
    sink = make_sink(A, tls=certs["other"].context())
    with mta.settings(mail_name=f"Test {at}"):  # a new generation: nothing is cached
        assert deliver(mta, "alias.test")["status"] == "sent"
        assert sink.wait()[0].session.sni == at


@pytest.mark.parametrize("cert,sent", [("domain", True), ("other", False), ("foreign", False)])
def test_trust_anchor_record(mta, dns, make_sink, ca, certs, cert, sent):
    """DANE-TA: the certificate must come from that authority, and be for host or domain."""
    der = ssl.PEM_cert_to_DER_cert(ca.cert.read_text())
    for name in ("ta.test", "mx.ta.test", "_25._tcp.mx.ta.test"):
        dns.remove(name)
    tlsa_host(dns, "ta.test", "mx.ta.test", A, (2, 0, 1, hashlib.sha256(der).digest()))
    context = certs[cert].context()
    # The authority must be in what the server shows: RFC 7672 3.1.2.
    both = ca.dir / f"chain-{cert}.pem"
    both.write_bytes(certs[cert].cert.read_bytes() + ca.cert.read_bytes())
    context.load_cert_chain(both, certs[cert].key)
    make_sink(A, tls=context)
    record = deliver(mta, "ta.test")
    if sent:
        assert record["status"] == "sent", record
    else:
        deferred(record, "4.7.5")


@pytest.mark.parametrize("size", [1, 2, 3, 19])
def test_short_records(mta, dns, make_sink, certs, size):
    """TLSA records that are too short forbid clear text, and prove nothing."""
    domain = f"short{size}.test"
    tlsa_host(dns, domain, f"mx.{domain}", A)
    dns.add(f"_25._tcp.mx.{domain}", "TLSA", RD(bytes([3, 1, 1] + [7] * 16)[:size]))
    plain = make_sink(A)
    deferred(deliver(mta, domain), "4.7.4")
    assert "MAIL" not in plain.sessions[0].verbs()
    plain.close()
    make_sink(A, tls=certs["foreign"].context())
    mta.flush()
    mta.wait_log(rf"Untrusted TLS connection established to mx\.short{size}\.test")


@pytest.mark.parametrize("digests,good,wrong,outcome", [
    ("sha512 sha256", 1, 2, "4.7.5"), ("sha512 sha256", 2, 1, "Verified"),
    ("sha256, sha512=2", 1, 2, "Verified"), ("sha256=1 sha512", 2, 1, "4.7.5"),
    ("sha256", 1, 2, "Verified"), ("sha512", None, 1, "Untrusted"),
    ("sha384=7 sha256", 7, 1, "Verified"), ("sha256=2", None, 1, "Untrusted"),
    ("sha256 sha384", None, 1, "Untrusted"), ("sha384=1", None, 1, "Untrusted")])
def test_digests(mta, dns, make_sink, certs, digests, good, wrong, outcome):
    """tls_dane_digests: the best digest alone counts, and what is not listed never; RFC 7671 9."""
    domain = re.sub(r"\W", "", digests) + f"-{good}-{wrong}.test".lower()
    data = {1: hashlib.sha256, 2: hashlib.sha512, 7: hashlib.sha384}
    key = certs["foreign"].spki
    rows = [(3, 1, kind, data[kind](key).digest()) for kind in (good,) if kind]
    rows.append((3, 1, wrong, data[wrong](b"another").digest()))
    tlsa_host(dns, domain, f"mx.{domain}", A, *rows)
    make_sink(A, tls=certs["foreign"].context())
    with mta.settings(smtp_tls_security_level="dane", tls_dane_digests=digests):
        record = deliver(mta, domain)
        if outcome.startswith("4"):
            deferred(record, outcome)
        else:
            assert record["status"] == "sent", record
            mta.wait_log(rf"{outcome} TLS connection established to mx\.{re.escape(domain)}")
        if digests in ("sha256=2", "sha256 sha384", "sha384=1"):
            mta.wait_log(rf'TLS level dane: tls_dane_digests: cannot use "{digests.split()[-1]}"')


# Keys.


@looks_at_memory
def test_no_private_key(mta, make_sink, ca, certs):
    """A worker that has shown the client's certificate holds no byte of its key."""
    sink = make_sink(A, tls=certs["mx"].context(ca.cert))
    assert deliver(mta, "one.test")["status"] == "sent"
    assert sink.wait()[0].session.client_cert == certs["own"].der
    hidden = secrets(certs["own"])
    pids = processes(mta, "smtp")
    assert [pid for pid in pids if is_alive(pid)]
    for pid in pids:
        seen = memory(pid)
        assert len(seen) > 100000 or not is_alive(pid)
        assert not [s for s in hidden if s in seen], pid
    seen = b"".join(memory(pid) for pid in processes(mta, "keysign"))
    assert any(s in seen for s in hidden)
