"""Parameters of TLS and SASL in smtp and lmtp: that each of them changes what is done; postconf(5)."""

import re
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from ca import CA
from sink import CLOSE
from tls_util import RETRY, V12, V13, secure_root, server_context

A = "198.51.100.1"


@pytest.fixture(scope="module")
def certs(ca):
    return {
        "mx": ca.issue("mx.one.test", "mx.one.test", "one.test"),
        "rsa": ca.issue("mx.one.test", rsa=True),
        "other": ca.issue("else.test"),
        "own": ca.issue("mail.example.test"),
        "own-rsa": ca.issue("mail.example.test", rsa=True),
    }


@pytest.fixture(scope="module")
def mta(make_mta, dns, ca, certs):
    secure_root(dns)
    dns.mx("one.test", 10, "mx.one.test")
    dns.a("mx.one.test", A)
    return make_mta(
        main={
            **RETRY,
            "smtp_tls_security_level": "encrypt",
            "smtp_tls_CAfile": str(ca.cert),
            "smtp_tls_loglevel": "1",
            "smtp_connection_cache_on_demand": "no",
        },
    )


def deliver(mta, domain="one.test"):
    return mta.wait_delivery(mta.inject(f"x@{domain}", sender="bob@example.test"))


def deferred(record, dsn=r"4\.7\.5"):
    assert record["status"] == "deferred" and re.fullmatch(dsn, record["dsn"]), record


def session_of(mta, sink, domain="one.test"):
    before = len(sink.messages)
    record = deliver(mta, domain)
    assert record["status"] == "sent", record
    return sink.wait(before + 1)[-1].session


@pytest.mark.parametrize("level,name,version", [
    ("encrypt", "smtp_tls_mandatory_protocols", "TLSv1.2"), ("may", "smtp_tls_protocols", "TLSv1.2"),
    ("encrypt", "smtp_tls_protocols", "TLSv1.3"), ("may", "smtp_tls_mandatory_protocols", "TLSv1.3")])
def test_protocols(mta, make_sink, certs, level, name, version):
    """smtp_tls_protocols counts where TLS is a wish, smtp_tls_mandatory_protocols where it is a must."""
    sink = make_sink(A, tls=certs["mx"].context())
    with mta.settings(smtp_tls_security_level=level, **{name: "!TLSv1.3"}):
        assert session_of(mta, sink).tls == version


CIPHERS = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"


@pytest.mark.parametrize("level,settings,cipher", [
    ("may", {"smtp_tls_ciphers": "high",
             "tls_high_cipherlist": "ECDHE-ECDSA-AES256-GCM-SHA384"}, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("may", {"smtp_tls_exclude_ciphers": "AESGCM"}, "ECDHE-ECDSA-AES128-SHA256"),
    ("encrypt", {"smtp_tls_exclude_ciphers": "AESGCM"}, "ECDHE-ECDSA-AES128-SHA256"),
    ("may", {"smtp_tls_mandatory_exclude_ciphers": "SHA256"}, "ECDHE-ECDSA-AES128-SHA256"),
    ("encrypt", {"smtp_tls_mandatory_exclude_ciphers": "SHA256"}, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("encrypt", {"smtp_tls_mandatory_ciphers": "high",
                 "tls_high_cipherlist": "ECDHE-ECDSA-AES128-SHA256"}, "ECDHE-ECDSA-AES128-SHA256"),
    ("may", {"tls_medium_cipherlist": "ECDHE-ECDSA-AES128-SHA256"}, "ECDHE-ECDSA-AES128-SHA256"),
])
def test_ciphers(mta, make_sink, certs, level, settings, cipher):
    """Grades, and what is excluded from them."""
    sink = make_sink(A, tls=server_context(certs["mx"], V12, CIPHERS))
    with mta.settings(smtp_tls_security_level=level, **settings):
        assert session_of(mta, sink).cipher == cipher


def test_curves(mta, make_sink, certs):
    """tls_eecdh_auto_curves: a server that knows none of them is one without TLS."""
    context = server_context(certs["mx"], V13)
    context.set_ecdh_curve("secp384r1")
    make_sink(A, tls=context)
    assert deliver(mta)["status"] == "sent"
    with mta.settings(tls_eecdh_auto_curves="X25519", tls_ffdhe_auto_groups=""):
        deferred(deliver(mta))


@pytest.mark.parametrize("level,value,sent", [
    ("verify", "nexthop", False), ("verify", "else.test", True),
    ("secure", "hostname", False), ("secure", "hostname, else.test", True)])
def test_cert_match(mta, make_sink, certs, level, value, sent):
    """smtp_tls_verify_cert_match and smtp_tls_secure_cert_match."""
    make_sink(A, tls=certs["other"].context())
    with mta.settings(smtp_tls_security_level=level, **{f"smtp_tls_{level}_cert_match": value}):
        record = deliver(mta)
        assert record["status"] == "sent" if sent else record["dsn"] == "4.7.5"


def test_fingerprints(mta, make_sink, certs):
    """smtp_tls_fingerprint_cert_match with smtp_tls_fingerprint_digest, of certificate or key."""
    make_sink(A, tls=certs["mx"].context())
    with mta.settings(smtp_tls_security_level="fingerprint", smtp_tls_fingerprint_digest="sha1",
                      smtp_tls_fingerprint_cert_match=f"{bytes(20).hex(':')}, "
                                                      f"{certs['mx'].fingerprint('sha1')}"):
        assert deliver(mta)["status"] == "sent"
    with mta.settings(smtp_tls_security_level="fingerprint", smtp_tls_fingerprint_digest="sha256",
                      smtp_tls_fingerprint_cert_match=certs["mx"].fingerprint("sha1")):
        deferred(deliver(mta))


@pytest.mark.parametrize("value,sni", [("hostname", "mx.one.test"), ("nexthop", "one.test"),
                                       ("sni.example", "sni.example")])
def test_servername(mta, make_sink, certs, value, sni):
    """smtp_tls_servername."""
    sink = make_sink(A, tls=certs["mx"].context())
    with mta.settings(smtp_tls_servername=value):
        assert session_of(mta, sink).sni == sni


def test_verify_depth(mta, make_sink, ca, tmp_path):
    """smtp_tls_scert_verifydepth: how many authorities may stand between."""
    make_sink(A, tls=below(below(ca, tmp_path / "one"), tmp_path / "two").issue("mx.one.test").context())
    with mta.settings(smtp_tls_security_level="verify"):
        assert deliver(mta)["status"] == "sent"
    with mta.settings(smtp_tls_security_level="verify", smtp_tls_scert_verifydepth="0"):
        deferred(deliver(mta))


class Below(CA):
    """An authority that another one has signed; its certificates have the chain behind them."""

    def issue(self, *args, **kw):
        cert = super().issue(*args, **kw)
        cert.cert.write_text(cert.cert.read_text() + self.cert.read_text())
        return cert


def below(above, where):
    """An authority below that one."""
    sub = Below(where, f"Sub CA {where.name}")
    request, extensions = where / "ca.csr", where / "ca.ext"
    extensions.write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
    for args in (["req", "-new", "-key", sub._key, "-out", request, "-subj", f"/CN=Sub CA {where.name}"],
                 ["x509", "-req", "-in", request, "-CA", above.cert, "-CAkey", above._key,
                  "-set_serial", "77", "-days", "30", "-out", sub.cert, "-extfile", extensions]):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)
    if isinstance(above, Below):
        sub.cert.write_text(sub.cert.read_text() + above.cert.read_text())
    return sub


def test_note_offer(mta, make_sink, certs):
    """smtp_tls_note_starttls_offer."""
    make_sink(A, tls=certs["mx"].context())
    with mta.settings(smtp_tls_security_level="none", smtp_tls_note_starttls_offer="yes"):
        assert deliver(mta)["status"] == "sent"
        mta.wait_log(r"Host offered STARTTLS: \[mx\.one\.test\]")


def test_loglevel(mta, make_sink, certs):
    """smtp_tls_loglevel."""
    make_sink(A, tls=certs["mx"].context())
    with mta.settings(smtp_tls_loglevel="0"):
        assert deliver(mta)["status"] == "sent"
        assert not mta.grep_log("TLS connection established to mx.one.test")


@pytest.mark.parametrize("settings", [
    {"smtp_tls_chain_files": "{key} {cert}"},
    {"smtp_tls_eccert_file": "{cert}", "smtp_tls_eckey_file": "{key}"},
])
def test_own_certificate(mta, make_sink, ca, certs, settings):
    """smtp_tls_chain_files, smtp_tls_eccert_file and smtp_tls_eckey_file: shown to who asks."""
    sink = make_sink(A, tls=certs["mx"].context(ca.cert))
    assert session_of(mta, sink).client_cert is None
    own = certs["own"]
    with mta.settings(**{k: v.format(cert=own.cert, key=own.key) for k, v in settings.items()}):
        assert session_of(mta, sink).client_cert == own.der


def test_chain_files_of_both_kinds(mta, make_sink, ca, certs):
    """The certificate of that kind which the server understands."""
    context = server_context(certs["rsa"], V12, ca=ca.cert)
    sink = make_sink(A, tls=context)
    files = " ".join(f"{certs[n].key} {certs[n].cert}" for n in ("own", "own-rsa"))
    with mta.settings(smtp_tls_chain_files=files):
        assert session_of(mta, sink).client_cert in (certs["own"].der, certs["own-rsa"].der)


def test_session_cache(mta, make_sink, certs):
    """smtp_tls_session_cache_database: without one nothing is resumed."""
    context = server_context(certs["mx"], V12)
    make_sink(A, tls=context)
    cache = "btree:$data_directory/smtp_scache"
    with mta.settings(smtp_tls_session_cache_database=cache):
        for _ in range(4):
            assert deliver(mta)["status"] == "sent"
        assert context.session_stats()["hits"] > 0
    hits = context.session_stats()["hits"]
    with mta.settings(smtp_tls_session_cache_database=""):
        for _ in range(3):
            assert deliver(mta)["status"] == "sent"
        assert context.session_stats()["hits"] == hits


def test_session_cache_timeout(mta, make_sink, certs):
    """smtp_tls_session_cache_timeout: an older session is not resumed."""
    context = server_context(certs["mx"], V12)
    make_sink(A, tls=context)
    with mta.settings(smtp_tls_session_cache_database="btree:$data_directory/smtp_scache",
                      smtp_tls_session_cache_timeout="1s"):
        for _ in range(4):
            assert deliver(mta)["status"] == "sent"
            time.sleep(1.1)
    assert context.session_stats()["hits"] == 0


def test_forced_tlsa_lookup(mta, make_sink, certs, dns):
    """smtp_tls_force_insecure_host_tlsa_lookup: TLSA records of a host whose addresses are not signed."""
    make_sink(A, tls=certs["mx"].context())
    # The MX record and the TLSA records are in signed zones, the host's address is not.
    dns.mx("forced.test", 10, "mx.unsigned.test")
    dns.secure("forced.test")
    dns.a("mx.unsigned.test", A)
    dns.tlsa("_25._tcp.mx.unsigned.test", 3, 1, 1, bytes(32))
    dns.secure("_25._tcp.mx.unsigned.test")
    dane = {"smtp_tls_security_level": "dane", "smtp_dns_support_level": "dnssec"}
    with mta.settings(**dane):
        assert deliver(mta, "forced.test")["status"] == "sent"
    with mta.settings(smtp_tls_force_insecure_host_tlsa_lookup="yes", **dane):
        deferred(deliver(mta, "forced.test"))


@pytest.mark.parametrize("extra,on,says_mail", [
    ("\n250 2.1.0 ok", "yes", False), ("\n250 2.1.0 ok", "no", True), ("", "yes", True)])
def test_early_mail_reply(mta, make_sink, certs, extra, on, says_mail):
    """smtp_tls_block_early_mail_reply: a reply to a MAIL that the client has not sent."""
    sink = make_sink(A, tls=certs["mx"].context())
    said = f"250-sink.example\n250 8BITMIME{extra}"
    sink.rule("EHLO", lambda session, line: said if session.tls else None)
    with mta.settings(smtp_tls_block_early_mail_reply=on):
        record = deliver(mta)
        assert ("MAIL" in sink.sessions[0].verbs()) == says_mail, record
        assert (record["status"] == "sent") == (not extra), record
        if not says_mail:
            deferred(record, r"4\.7\.0")
            assert "unexpected server message" in record["text"]
            mta.wait_log("violates smtp_tls_block_early_mail_reply policy")


@pytest.mark.parametrize("name", ["EHLO", "DATA"])
def test_lost_behind_handshake(mta, make_sink, certs, name):
    """A session that ends behind its handshake: level may goes on in clear text, on a later attempt."""
    sink = make_sink(A, tls=certs["mx"].context())
    sink.rule(name, lambda session, line: CLOSE if session.tls else None)
    with mta.settings(smtp_tls_security_level="may"):
        mta.wait_delivery(mta.inject("x@one.test"), status="sent")
        assert sink.wait()[0].session.tls is None and sink.sessions[0].tls


def test_server_demands_certificate(mta, make_sink, ca, certs):
    """With TLS 1.3 the refusal comes behind the handshake of the client."""
    context = server_context(certs["mx"], V13, ca=ca.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    sink = make_sink(A, tls=context)
    with mta.settings(smtp_tls_security_level="may"):
        mta.wait_delivery(mta.inject("x@one.test"), status="sent")
        assert sink.wait()[0].session.tls is None


def test_lmtp(mta, make_sink, certs):
    """lmtp_tls_security_level, lmtp_tls_mandatory_protocols and lmtp_tls_servername are lmtp's own."""
    sink = make_sink(A, 24, lmtp=True, tls=certs["mx"].context())
    lmtp = {"default_transport": "lmtp:[mx.one.test]"}
    with mta.settings(**lmtp):
        assert session_of(mta, sink).tls is None
    with mta.settings(**lmtp, lmtp_tls_security_level="encrypt",
                      lmtp_tls_mandatory_protocols="!TLSv1.3", lmtp_tls_servername="hostname"):
        session = session_of(mta, sink)
        assert session.tls == "TLSv1.2" and session.sni == "mx.one.test"


def test_config_name(mta, make_sink, certs, tmp_path):
    """tls_config_name: the section of tls_config_file that counts."""
    sink = make_sink(A, tls=certs["mx"].context())
    path = tmp_path / "openssl.cnf"
    path.write_text("".join(f"{name} = {name}_init\n" for name in ("one", "two")) + "".join(
        f"[{name}_init]\nssl_conf = {name}_ssl\n[{name}_ssl]\nsystem_default = {name}_tls\n"
        f"[{name}_tls]\nCipherSuites = {suite}\n"
        for name, suite in (("one", "TLS_AES_128_GCM_SHA256"), ("two", "TLS_CHACHA20_POLY1305_SHA256"))))
    path.chmod(0o644)
    for name, cipher in (("one", "TLS_AES_128_GCM_SHA256"), ("two", "TLS_CHACHA20_POLY1305_SHA256")):
        with mta.settings(tls_config_file=str(path), tls_config_name=name):
            assert session_of(mta, sink).cipher == cipher


@pytest.mark.parametrize("wide,sent", [("yes", True), ("no", False)])
def test_wildcard(mta, make_sink, ca, wide, sent):
    """tls_wildcard_matches_multiple_labels."""
    make_sink(A, tls=ca.issue("wild", "*.one.test").context())
    with mta.settings(smtp_tls_security_level="verify", smtp_tls_verify_cert_match="a.b.one.test",
                      tls_wildcard_matches_multiple_labels=wide):
        record = deliver(mta)
        assert record["status"] == "sent" if sent else record["dsn"] == "4.7.5", record


@pytest.mark.parametrize("append,sent", [("yes", True), ("no", False)])
def test_append_default_ca(mta, make_sink, ca, certs, append, sent):
    """tls_append_default_CA: the authorities of the system beside those of smtp_tls_CAfile."""
    name = subprocess.check_output(["openssl", "x509", "-hash", "-noout", "-in", ca.cert], text=True).strip()
    system = Path("/etc/ssl/certs") / f"{name}.0"  # of the tests' own /etc
    make_sink(A, tls=certs["mx"].context())
    system.write_bytes(ca.cert.read_bytes())
    try:
        with mta.settings(smtp_tls_security_level="verify", tls_append_default_CA=append,
                          smtp_tls_CAfile=str(CA(ca.dir.parent / f"none-{append}", "Nobody's").cert)):
            record = deliver(mta)
            assert record["status"] == "sent" if sent else record["dsn"] == "4.7.5", record
    finally:
        system.unlink()


@pytest.mark.parametrize("key", ["mx.one.test", A])
def test_loglevel_maps(mta, make_sink, certs, key):
    """smtp_tls_loglevel_maps: by the server's name or address, before smtp_tls_loglevel."""
    sink = make_sink(A, tls=certs["mx"].context())
    with mta.settings(smtp_tls_loglevel="0", smtp_tls_loglevel_maps="inline:{ %s=2 }" % key):
        assert session_of(mta, sink).tls
        mta.wait_log("setting up TLS connection to mx.one.test")


# ---- SASL ----

def login_sink(make_sink, users, tls=None, auth="PLAIN"):
    return make_sink(A, auth=auth, users=users, tls=tls)


@pytest.mark.parametrize("level,sent", [("encrypt", False), ("verify", True)])
def test_verified_options(mta, make_sink, certs, level, sent):
    """smtp_sasl_tls_verified_security_options: a server that is verified may have the password."""
    sink = login_sink(make_sink, {"me": "secret"}, certs["mx"].context())
    with mta.settings(smtp_tls_security_level=level, smtp_sasl_auth_enable="yes",
                      smtp_sasl_password_maps="static:me:secret",
                      smtp_sasl_tls_security_options="noanonymous noplaintext",
                      smtp_sasl_tls_verified_security_options="noanonymous"):
        record = deliver(mta)
        if sent:
            assert record["status"] == "sent" and sink.wait()[0].session.auth, record
        else:
            assert record["dsn"] == "4.7.0" and not sink.messages, record


@pytest.mark.parametrize("value", ["mx.one.test=me:secret", "one.test=me:secret"])
def test_password_keys(mta, make_sink, value):
    """By the server's name and by the next hop."""
    sink = login_sink(make_sink, {"me": "secret"})
    with mta.settings(smtp_tls_security_level="none", smtp_sasl_auth_enable="yes",
                      smtp_sasl_security_options="noanonymous",
                      smtp_sasl_password_maps="inline:{ %s }" % value):
        assert session_of(mta, sink).auth


def test_password_delimiter(mta, make_sink):
    """smtp_sasl_password_result_delimiter."""
    sink = login_sink(make_sink, {"me:you": "sec:ret"})
    with mta.settings(smtp_tls_security_level="none", smtp_sasl_auth_enable="yes",
                      smtp_sasl_security_options="noanonymous",
                      smtp_sasl_password_result_delimiter="|",
                      smtp_sasl_password_maps="static:me:you|sec:ret"):
        assert session_of(mta, sink).auth[1:] == ("me:you", "sec:ret")
