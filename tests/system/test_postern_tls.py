"""postern tls: keys, certificates and settings, checked with openssl and by connecting."""

import hashlib
import re
import subprocess

import pytest
from client import tls_context

HOST = "mail.example.test"


@pytest.fixture
def mta(make_mta):
    return make_mta(start=False)


def tls(mta, *args, code=0):
    result = mta.run("postern", "tls", *map(str, args))
    assert result.code == code, result
    return result


def openssl(*args, **kw):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **kw).stdout


def made(mta, prefix=""):
    """The last key and certificate: names have the second, and from its second pair on a number."""
    key, cert = (max(mta.config.glob(f"{prefix}{kind}-*.pem"),
                     key=lambda path: (path.stat().st_mtime_ns, path.name))
                 for kind in ("key", "cert"))
    assert key.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(prefix + r"key-\d{8}-\d{6}(-\d+)?\.pem", key.name)
    return key, cert


def settings(mta):
    lines = (line.split(" = ", 1) for line in mta.postconf("-n").ok().lines if " = " in line)
    return {name: value for name, value in lines if "tls_" in name}


def tlsa(key, host=HOST):
    digest = hashlib.sha256(openssl("pkey", "-in", key, "-pubout", "-outform", "DER")).hexdigest()
    return f"_25._tcp.{host}. IN TLSA 3 1 1 {digest}\n"


def test_enable_server(mta):
    """With nothing set it makes key and certificate, and clients get TLS; a second time it does
    nothing."""
    tls(mta, "all-default-server")
    tls(mta, "enable-server")
    key, cert = made(mta)
    assert settings(mta) == {
        "smtpd_tls_cert_file": str(cert), "smtpd_tls_key_file": str(key), "smtpd_tls_loglevel": "1",
        "smtpd_tls_security_level": "may", "smtpd_tls_received_header": "yes"}
    tls(mta, "all-default-server", code=1)
    before = settings(mta)
    assert "nothing was changed" in tls(mta, "enable-server").out
    assert settings(mta) == before and made(mta) == (key, cert)
    assert tls(mta, "output-server-tlsa").out == tlsa(key)
    mta.start()
    with mta.smtp() as c:
        c.ehlo()
        context = tls_context(cert)
        context.check_hostname = True
        c.starttls(context=context, hostname=HOST)
        c.ehlo()


@pytest.mark.parametrize("option, found", [
    ((), r"Public-Key: \(2048 bit\)"), (("-b", "3072"), r"Public-Key: \(3072 bit\)"),
    (("-a", "ecdsa"), "NIST CURVE: P-256"), (("-a", "ecdsa", "-b", "secp384r1"), "NIST CURVE: P-384"),
])
def test_new_key_and_deploy(mta, option, found):
    """Names and kinds of keys; nothing is used until it is deployed."""
    prefix = "ec" if "ecdsa" in option else ""
    shown = tls(mta, "new-server-key", *option, "a.example.test", "b.example.test").out
    key, cert = made(mta, prefix)
    assert f"postern tls deploy-server-cert {cert} {key}\n" in shown and settings(mta) == {}
    text = openssl("x509", "-in", cert, "-noout", "-text", text=True)
    assert re.search(found, text) and "DNS:a.example.test, DNS:b.example.test" in text
    assert re.search(r"Subject: CN = a\.example\.test\n", text) and "CA:FALSE" in text
    assert openssl("verify", "-x509_strict", "-partial_chain", "-trusted", cert, cert)
    tls(mta, "deploy-server-cert", cert.name, key.name)
    assert settings(mta) == {f"smtpd_tls_{prefix}cert_file": str(cert),
                             f"smtpd_tls_{prefix}key_file": str(key)}
    algorithm = "ecdsa" if prefix else "rsa"
    request = tls(mta, "output-server-csr", "-k", algorithm, "c.example.test").out
    text = openssl("req", "-noout", "-text", "-verify", input=request, text=True)
    assert "Subject: CN = c.example.test" in text and "DNS:c.example.test" in text
    assert tls(mta, "output-server-tlsa", "-h", "d.example.test", key.name).out == \
        tlsa(key, "d.example.test")
    assert tls(mta, "output-server-tlsa").out == tlsa(key)


def test_new_cert_keeps_the_key(mta):
    tls(mta, "enable-server", "-a", "ecdsa")
    old, _ = made(mta, "ec")
    tls(mta, "new-server-cert", "-a", "ecdsa", "new.example.test")
    new, cert = made(mta, "ec")
    assert new != old and tlsa(new) == tlsa(old)
    assert "DNS:new.example.test" in openssl("x509", "-in", cert, "-noout", "-text", text=True)


def test_pairs_of_one_second(mta):
    """Whoever makes several at once gets a file for each."""
    for _ in range(4):
        tls(mta, "new-server-key", "-a", "ecdsa")
    keys, certs = (list(mta.config.glob(f"ec{kind}-*.pem")) for kind in ("key", "cert"))
    assert len(keys) == len(certs) == 4
    assert len({tlsa(key) for key in keys}) == 4


def test_enable_client(mta):
    tls(mta, "all-default-client")
    tls(mta, "enable-client", "-r", "dev:/dev/urandom")
    assert settings(mta) == {"smtp_tls_security_level": "may", "smtp_tls_loglevel": "1",
                             "tls_random_source": "dev:/dev/urandom"}
    tls(mta, "all-default-client", code=1)
    assert "nothing was changed" in tls(mta, "enable-client").out


@pytest.mark.parametrize("args, said", [
    ((), "usage"), (("bogus",), "usage"), (("new-server-key", "-a", "dsa"), "algorithm"),
    (("new-server-key", "-b", "17"), "bits"), (("new-server-key", "a b"), "not a host name"),
    (("new-server-key", "a,DNS:b"), "not a host name"), (("enable-client", "x"), "no arguments"),
    (("new-server-key", "-a", "ecdsa", "-b", "nocurve"), "cannot make a key"),
    (("output-server-csr",), "no rsa key"), (("output-server-tlsa", "none.pem"), "No such file"),
    (("deploy-server-cert", "one"), "usage"), (("all-default-client", "-x"), "invalid option"),
])
def test_wrong_commands(mta, args, said):
    assert said in tls(mta, *args, code=1).err
    assert settings(mta) == {} and not list(mta.config.glob("*.pem"))


def test_files_that_do_not_belong_together(mta, ca):
    one, other = ca.issue("one.example.test"), ca.issue("other.example.test")
    assert "mismatch" in tls(mta, "deploy-server-cert", one.cert, other.key, code=1).err
    assert settings(mta) == {}
    mta.postconf("-e", f"smtpd_tls_chain_files = {one.key}, {one.cert}").ok()
    assert "chain_files" in tls(mta, "deploy-server-cert", one.cert, one.key, code=1).err
