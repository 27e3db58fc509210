"""TLS in smtpd, as far as conformance cases and attacks do not have it: keysign, renewal of
certificates, what is logged, and clients that nobody here wrote."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from client import Closed
from mail import message
from mta import ROOT, poll
from tls_util import V12, V13, client_context, peer_cert, tls_client

SMTPD = "inet n - n - - smtpd"


@pytest.fixture(scope="module")
def certs(ca):
    return {"ec": ca.issue("mail.example.test"), "rsa": ca.issue("mail.example.test", rsa=True)}


@pytest.fixture(scope="module")
def mta(make_mta, ca, certs):
    """Service 1: may; 2: wrapped; 3: encrypt; 4: wrapped, without a certificate that works."""
    chain = ", ".join(f"{c.key}, {c.cert}" for c in certs.values())
    return make_mta(
        main={
            "compatibility_level": "3.11",
            "smtpd_tls_chain_files": chain,
            "smtpd_tls_CAfile": str(ca.cert),
            "smtpd_tls_received_header": "yes",
            "smtpd_tls_loglevel": "1",
            "smtpd_client_event_limit_exceptions": "",
        },
        services=[
            f"LISTEN1 {SMTPD} -o smtpd_tls_security_level=may",
            f"LISTEN2 {SMTPD} -o smtpd_tls_wrappermode=yes",
            f"LISTEN3 {SMTPD} -o smtpd_tls_security_level=encrypt",
            f"LISTEN4 {SMTPD} -o smtpd_tls_wrappermode=yes -o smtpd_tls_chain_files=/nowhere.pem",
            f"LISTEN5 {SMTPD} -o smtpd_tls_security_level=may"
            " -o smtpd_client_new_tls_session_rate_limit=1",
        ],
    )


def processes(mta, program):
    """Process numbers of one program of the instance."""
    prefix, found = f"{ROOT}/usr/lib/postern/{program}", []
    tree = {int((mta.queue / "pid/master.pid").read_text())}
    for _ in range(3):
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((proc / "stat").read_text().rpartition(")")[2].split()[1])
                exe = os.readlink(proc / "exe")
            except OSError:
                continue
            if parent in tree:
                tree.add(int(proc.name))
                if exe == prefix and int(proc.name) not in found:
                    found.append(int(proc.name))
    return found


def memory(pid):
    """All that a process has written to, or could have; nothing of one that has ended."""
    found = b""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
            open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            area, access = line.split()[:2]
            if "r" not in access or "[v" in line:
                continue
            start, end = (int(x, 16) for x in area.split("-"))
            try:
                mem.seek(start)
                found += mem.read(end - start)
            except (OSError, ValueError):
                continue
    return found if is_alive(pid) else b""


def is_alive(pid):
    """Whether a process runs: one that has ended has no program, also when nobody has heard of it yet."""
    try:
        return bool(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False


def secrets(cert):
    """The private numbers of a key, as OpenSSL may have them in memory, and pieces of its file."""
    text = subprocess.run(["openssl", "pkey", "-in", cert.key, "-text", "-noout"], check=True,
                          capture_output=True, text=True).stdout
    numbers = [bytes.fromhex(re.sub(r"[\s:]", "", hexes)).lstrip(b"\0") for hexes in re.findall(
        r"^(?:priv|privateExponent|prime1|prime2|exponent1|exponent2|coefficient):\n((?: +[\da-f:]+\n)+)",
        text, re.M)]
    assert numbers
    lines = cert.key.read_text().splitlines()
    return [n for number in numbers for n in (number, number[::-1])] + [lines[2].encode()]


looks_at_memory = pytest.mark.skipif(
    "SAN_REPORTS" in os.environ, reason="the sanitizers map terabytes, and keep what was freed")


@looks_at_memory
def test_workers_hold_no_key(mta, certs):
    """Nothing of a private key is in the memory of smtpd's templates, workers or fronts, or of
    master, in the middle of sessions; it is in keysign's, so that looking finds it."""
    held = [tls_client(mta, 1, context=client_context(V12, f"ECDHE-{kind}-AES256-GCM-SHA384"))
            for kind in ("RSA", "ECDSA")] + [tls_client(mta, 1, context=client_context(V13))]
    assert {peer_cert(c) for c in held} == {c.der for c in certs.values()}
    hidden = [s for cert in certs.values() for s in secrets(cert)]
    others = [pid for name in ("smtpd", "front", "master") for pid in processes(mta, name)]
    assert len(others) > 8
    for pid in others:
        seen = memory(pid)
        assert len(seen) > 100000 or not is_alive(pid)
        assert not [s for s in hidden if s in seen], pid
    seen = b"".join(memory(pid) for pid in processes(mta, "keysign"))
    for cert in certs.values():
        assert any(s in seen for s in secrets(cert))
    for c in held:
        c.quit()


def test_keysign_is_killed(mta):
    """A session goes on, and the next ones find the keysign that master has started anew."""
    c = tls_client(mta, 1)
    killed = processes(mta, "keysign")
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):  # some end with others
            os.kill(pid, signal.SIGKILL)
    c.transaction("a@client.test", "alice@example.test", message())
    c.quit()

    def works():
        try:
            with tls_client(mta, 1) as other:
                other.quit()
                return True
        except (AssertionError, Closed, OSError):
            return False
    poll(works, 30)
    assert not set(processes(mta, "keysign")) & set(killed)


def test_wrapped_without_certificate(mta):
    """A wrapped service that has no certificate closes, and the log says why."""
    with mta.smtp(4, banner=None) as c:
        c.sock.sendall(b"\x16\x03\x01")
        with pytest.raises(Closed):
            c.reply()
    mta.wait_log(r"smtpd\[\d+\]: warning: .*: TLS is not available: .*/nowhere\.pem: No such file")


def test_new_session_limit(mta):
    """smtpd_client_new_tls_session_rate_limit counts full handshakes."""
    with tls_client(mta, 5) as c:
        c.quit()
    with mta.smtp(5) as c:
        c.ehlo()
        c.starttls()
        c.cmd("EHLO x.test", 421)
    mta.wait_log(r"New TLS session rate limit exceeded: 2 from ")


def test_silent_in_handshake(make_mta, certs):
    """A handshake has its own time limit; a client that stays silent in it goes."""
    mta = make_mta(main={"smtpd_tls_security_level": "may", "smtpd_starttls_timeout": "1s",
                         "smtpd_tls_cert_file": str(certs["ec"].cert),
                         "smtpd_tls_key_file": str(certs["ec"].key)})
    with mta.smtp() as c:
        c.ehlo()
        c.cmd("STARTTLS", 220)
        c.sock.settimeout(10)
        assert c.sock.recv(1) == b""
    mta.wait_log(r"SSL_accept error from .*: Connection timed out")


# Renewal.


@pytest.fixture
def renewing(make_mta, ca, tmp_path):
    """An instance whose files may be replaced, and the file names."""
    directory = Path(os.environ.get("CONFORMANCE_TMP", tmp_path)) / f"renew{os.urandom(4).hex()}"
    directory.mkdir(mode=0o755)
    key, cert = directory / "key.pem", directory / "cert.pem"
    first = ca.issue("mail.example.test")
    shutil.copy(first.key, key)
    shutil.copy(first.cert, cert)
    key.chmod(0o600)
    mta = make_mta(main={"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": str(cert),
                         "smtpd_tls_key_file": str(key)})
    return mta, first, key, cert


def put(path, source):
    """Replaces a file at once, readable for root alone."""
    new = path.with_suffix(".new")
    shutil.copy(source, new)
    new.chmod(0o600)
    os.rename(new, path)


def shown(mta):
    with tls_client(mta, 0) as c:
        der = peer_cert(c)
        c.quit()
        return der


@pytest.mark.parametrize("key, problem", [
    ("other", "the private key does not fit the certificate"), ("garbage", "no private key"),
    ("missing", "No such file or directory")])
@pytest.mark.parametrize("level", ["may", "encrypt"])
def test_broken_pair(make_mta, ca, level, key, problem):
    """A pair that cannot be used: the log names both files; mail goes in clear text where the level lets
    it, and waits else."""
    own, other = ca.issue("mail.example.test"), ca.issue("mail.example.test")
    mta = make_mta(main={"smtpd_tls_security_level": level, "smtpd_tls_cert_file": str(own.cert),
                         "smtpd_tls_key_file": f"$config_directory/{key}.pem"},
                   files={"other.pem": other.key.read_bytes(), "garbage.pem": "hello\n"})
    mta.wait_log(rf"keysign\[\d+\]: warning: cannot load .*{key}\.pem, {own.cert}: .*{problem}")
    with mta.smtp() as c:
        assert ("STARTTLS" in c.ehlo()) == (level == "encrypt")
        assert str(c.cmd("STARTTLS")).startswith("454 4.7.0 ")
        c.mail("a@client.test", expect=250 if level == "may" else r"530 5\.7\.0 ")
        # However often a client tries, it is named once.
        c.ehlo()
        c.cmd("STARTTLS", 454)
        c.quit()
    mta.wait_log(r"smtpd\[\d+\]: disconnect from ")
    named = rf"smtpd\[\d+\]: warning: localhost\S+: TLS is not available: .*{problem}"
    assert len(mta.grep_log(named)) == 1
    # The next client that asks is named too, by the same process.
    with mta.smtp() as c:
        c.ehlo()
        c.cmd("STARTTLS", 454)
        c.quit()
    mta.wait_log(named, count=2)
    mta.destroy()


def test_renewal(renewing, ca):
    """A renewed pair is served to the next session, by workers that run already and without
    reload."""
    mta, first, key, cert = renewing
    assert shown(mta) == first.der
    workers = set(processes(mta, "smtpd"))
    second = ca.issue("mail.example.test")
    put(key, second.key)
    put(cert, second.cert)
    mta.wait_log(r"keysign\[\d+\]: .*/cert\.pem: renewed certificate is served from now on")
    assert shown(mta) == second.der
    assert workers <= set(processes(mta, "smtpd"))


def test_broken_renewal(renewing, ca):
    """What does not fit, is out of date or is no certificate is refused with a line in the log, and the
    old one stays; a good one counts again."""
    mta, first, key, cert = renewing
    other, expired = ca.issue("mail.example.test"), ca.issue("mail.example.test", days=-1)
    put(cert, other.cert)
    mta.wait_log(r"warning: .*/cert\.pem: the private key does not fit the certificate: keeping")
    assert shown(mta) == first.der
    put(key, expired.key)
    put(cert, expired.cert)
    mta.wait_log(r"warning: .*/cert\.pem: the certificate of .* has expired: keeping")
    assert shown(mta) == first.der
    cert.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    mta.wait_log(r"warning: .*/cert\.pem: malformed PEM.*: keeping")
    assert shown(mta) == first.der
    www = ca.issue("www.example.test", "www.example.test", "*.shop.test")
    put(key, www.key)
    put(cert, www.cert)
    mta.wait_log(r"warning: .*/cert\.pem: the certificate of /CN=www\.example\.test is not for"
                 r" mail\.example\.test: keeping")
    assert shown(mta) == first.der
    put(key, other.key)
    put(cert, other.cert)
    mta.wait_log(r"/cert\.pem: renewed certificate is served from now on")
    assert shown(mta) == other.der


@pytest.fixture(scope="module")
def one_pair(make_mta, ca):
    """An instance with a file, and what puts a certificate there."""
    def put_pair(cert):
        mta.write("new.pem", cert.key.read_text() + cert.cert.read_text())
        os.rename(mta.config / "new.pem", mta.config / "pair.pem")

    mta = make_mta(main={"smtpd_tls_security_level": "may",
                         "smtpd_tls_chain_files": "$config_directory/pair.pem"}, start=False)
    put_pair(ca.issue("a.test"))
    return mta.start(), put_pair


@pytest.mark.parametrize("old, new, works", [
    (["*.shop.test"], ["a.shop.test"], False), (["a.shop.test"], ["*.shop.test"], True),
    (["*.shop.test", "shop.test"], ["*.shop.test"], True), (["a.test", "b.test"], ["c.test", "b.test"], True),
    (["a.test"], ["c.test"], False), ([], ["c.test"], True)])
def test_names_of_renewal(one_pair, ca, old, new, works):
    """Where the name of this machine was none of the certificate's, one of its names must stay; a reload
    takes any."""
    mta, put_pair = one_pair
    first = ca.issue(old[0], *old) if old else ca.issue("A Person", email="a@example.test")
    second = ca.issue(new[0], *new)
    put_pair(first)
    mta.reload()
    assert shown(mta) == first.der
    mta.set_mark()
    put_pair(second)
    mta.wait_log("renewed certificate is served" if works else
                 "is not for any name of the one before: keeping")
    assert shown(mta) == (second if works else first).der
    if not works:
        mta.reload()
        assert shown(mta) == second.der


def test_reload_with_other_files(renewing, ca):
    """A reload that names other files shows them at once, and says nothing that worries."""
    mta, first, key, cert = renewing
    assert shown(mta) == first.der
    other = ca.issue("mail.example.test")
    with mta.settings(smtpd_tls_cert_file=str(other.cert), smtpd_tls_key_file=str(other.key)):
        assert shown(mta) == other.der
        assert not mta.grep_log(r"warning: .*(TLS is not available|no such files)")


def test_end_is_near(make_mta, ca):
    """A certificate that ends within a fortnight is said at the start."""
    soon = ca.issue("mail.example.test", days=5)
    mta = make_mta(main={"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": str(soon.cert),
                         "smtpd_tls_key_file": str(soon.key)})
    mta.wait_log(r"keysign\[\d+\]: warning: .*: the certificate of /CN=mail\.example\.test"
                 r" expires in [45] days")


def test_end_of_names_is_near(make_mta, ca):
    """So is one of a table of names, before anybody has asked for it; and a pair there that does not fit."""
    base, soon = ca.issue("mail.example.test"), ca.issue("a.shop.test", days=5)
    other = ca.issue("b.shop.test", days=5)
    mta = make_mta(
        main={"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": str(base.cert),
              "smtpd_tls_key_file": str(base.key),
              "tls_server_sni_maps": "texthash:$config_directory/plain, hash:$config_directory/sni"},
        services=[f"LISTEN1 {SMTPD} -o smtpd_tls_key_file={other.key} -o smtpd_tls_cert_file={other.cert}"],
        files={"plain": f"plain.test {soon.key},{soon.cert}\n",
               "sni": f".shop.test {other.key},{other.cert}\nbad.test {soon.key},{other.cert}\n"},
        start=False)
    mta.run("postmap", "-F", f"hash:{mta.config}/sni").ok()
    mta.start()
    for name, cn in (("plain.test", "a"), (".shop.test", "b")):
        mta.wait_log(rf"keysign\[\d+\]: warning: tls_server_sni_maps: {re.escape(name)}: the certificate of"
                     rf" /CN={cn}\.shop\.test expires in [45] days")
    mta.wait_log("warning: tls_server_sni_maps: bad.test: the private key does not fit the certificate")
    for name, cert in (("plain.test", soon), ("x.shop.test", other)):
        for listen in (0, 1):
            with tls_client(mta, listen, hostname=name) as c:
                assert peer_cert(c) == cert.der
    # Two services have these tables, and each certificate has one warning.
    for name in ("plain.test", ".shop.test"):
        assert len(mta.grep_log(rf"tls_server_sni_maps: {re.escape(name)}: the certificate of")) == 1
    mta.destroy()


def test_names_change(make_mta, ca):
    """An entry of tls_server_sni_maps that is replaced is served; file names in a plain table work
    as contents in an indexed one do."""
    first, second = ca.issue("a.shop.test"), ca.issue("a.shop.test")
    base = ca.issue("mail.example.test")
    mta = make_mta(
        main={"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": str(base.cert),
              "smtpd_tls_key_file": str(base.key),
              "tls_server_sni_maps": "texthash:$config_directory/plain, hash:$config_directory/sni"},
        files={"plain": f"plain.test {second.key},{second.cert}\n",
               "sni": f".shop.test {first.key},{first.cert}\n"},
        start=False)
    mta.run("postmap", "-F", f"hash:{mta.config}/sni").ok()
    (mta.config / "sni.db").chmod(0o600)
    mta.start()

    def names(name):
        with tls_client(mta, 0, hostname=name) as c:
            return peer_cert(c)
    assert names("a.shop.test") == first.der
    assert names("plain.test") == second.der
    assert names("shop.test") == base.der
    mta.write("sni", f".shop.test {second.key},{second.cert}\n")
    mta.run("postmap", "-F", f"hash:{mta.config}/sni").ok()
    poll(lambda: names("a.shop.test") == second.der)


def test_protocols_by_default(make_mta, certs):
    """At Postern's own compatibility level nothing below TLS 1.2 is spoken, whatever OpenSSL's
    configuration says."""
    mta = make_mta(main={"compatibility_level": "3.11", "smtpd_tls_security_level": "may",
                         "smtpd_tls_cert_file": str(certs["ec"].cert), "tls_config_file": "none",
                         "smtpd_tls_key_file": str(certs["ec"].key)})
    for version, works in (("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
        out = s_client(mta, 0, version, "-cipher", "DEFAULT:@SECLEVEL=0")
        assert ("\nVerification" in out and "Cipher is (NONE)" not in out) is works, out


@pytest.fixture(scope="module")
def tuned(make_mta, certs):
    """Service 1: no options; 2 and 3: no tickets, in two ways; 4: another cipher for them; 5: the server's
    order of ciphers, but ChaCha for who has it first."""
    return make_mta(
        main={"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": str(certs["ec"].cert),
              "smtpd_tls_key_file": str(certs["ec"].key),
              "tls_disable_workarounds": "cve-2010-4180, tlsext_padding, nonsense",
              "tls_ssl_options": "0x1z"},
        services=[f"LISTEN1 {SMTPD} -o tls_ssl_options=",
                  f"LISTEN2 {SMTPD} -o {{ tls_ssl_options = no_compression, no_ticket }}",
                  f"LISTEN3 {SMTPD} -o tls_session_ticket_cipher=",
                  f"LISTEN4 {SMTPD} -o tls_session_ticket_cipher=camellia-128-cbc",
                  f"LISTEN5 {SMTPD} -o tls_ssl_options=PRIORITIZE_CHACHA -o tls_preempt_cipherlist=yes"])


@pytest.mark.parametrize("listen, works", [(1, True), (2, False), (3, False), (4, True)])
@pytest.mark.parametrize("version", [V12, V13])
def test_tickets(tuned, listen, works, version):
    """tls_ssl_options and tls_session_ticket_cipher say whether there are tickets."""
    context = client_context(version)
    with tls_client(tuned, listen, context=context) as c:
        session = c.sock.session
        c.quit()
    assert session.has_ticket is works
    with tuned.smtp(listen) as c:
        c.ehlo()
        c.cmd("STARTTLS", 220)
        c.sock = context.wrap_socket(c.sock, session=session)
        assert c.sock.session_reused is works
        c.ehlo()


def test_options(tuned):
    """An option that another parameter does not decide has its effect; a word without a meaning is
    named, and harms nothing."""
    ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"
    with tls_client(tuned, 5, context=client_context(V12, ciphers)) as c:
        assert c.sock.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    with tls_client(tuned, 5, context=client_context(V12, ":".join(ciphers.split(":")[::-1]))) as c:
        assert c.sock.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    log = tuned.log(all=True)
    for word in ('tls_disable_workarounds: "nonsense"', 'tls_ssl_options: "0x1z"'):
        assert log.count(f"{word} has no meaning") == 1
    assert "cve-2010-4180" not in log and "tlsext_padding" not in log


@pytest.mark.parametrize("setting, why", [
    ("smtpd_tls_protocols=foo", '"foo" is no TLS version'), ("smtpd_tls_ciphers=foo", '"foo" is no cipher grade'),
    ("smtpd_tls_fingerprint_digest=foo", '"foo" is no digest')])
def test_bad_settings(mta_bad, setting, why):
    """A setting that makes no sense: the warnings of the process and of the session say why."""
    mta, listen = mta_bad[0], mta_bad[1].index(setting) + 1
    with mta.smtp(listen) as c:
        assert "STARTTLS" not in c.ehlo()
        c.cmd("STARTTLS", 454)
        c.quit()
    mta.wait_log(rf"warning: localhost\S+: TLS is not available: {why}")


def test_grade_and_required_certificate(mta_bad):
    """smtpd_tls_eecdh_grade is ignored, as in Postfix 3.6 and later; smtpd_tls_req_ccert, too, where TLS
    is not required, and that is said."""
    mta, settings = mta_bad
    for name in ("smtpd_tls_eecdh_grade=none", "smtpd_tls_req_ccert=yes"):
        with tls_client(mta, settings.index(name) + 1, context=client_context(V12)) as c:
            c.quit()
    assert "warning: smtpd_tls_req_ccert: cannot require client certificates" in mta.log(all=True)


@pytest.fixture(scope="module")
def mta_bad(make_mta, certs):
    """A service for each of some settings, and these."""
    settings = ["smtpd_tls_protocols=foo", "smtpd_tls_ciphers=foo", "smtpd_tls_fingerprint_digest=foo",
                "smtpd_tls_eecdh_grade=none", "smtpd_tls_req_ccert=yes"]
    return make_mta(main={"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": str(certs["ec"].cert),
                          "smtpd_tls_key_file": str(certs["ec"].key)},
                    services=[f"LISTEN{i + 1} {SMTPD} -o {s}" for i, s in enumerate(settings)]), settings


# Clients that nobody here wrote.


def s_client(mta, listen, *options):
    host, port = mta.host, mta.port(listen)
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"{host}:{port}",
                           *options], input="QUIT\n", capture_output=True, text=True, timeout=20)
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl(mta, ca, version):
    """openssl(1) verifies the chain and says smtp by ALPN."""
    out = s_client(mta, 1, version, "-CAfile", str(ca.cert), "-verify_hostname",
                   "mail.example.test", "-alpn", "smtp")
    assert "Verify return code: 0 (ok)" in out and "ALPN protocol: smtp" in out, out
    assert "Secure Renegotiation IS supported" in out or version == "-tls1_3"


@pytest.mark.parametrize("listen, options", [(1, ["--tls"]), (2, ["--tls-on-connect"])])
def test_swaks(mta, listen, options):
    """swaks sends by STARTTLS and by implicit TLS."""
    done = subprocess.run(["swaks", "--server", mta.host, "--port", str(mta.port(listen)), *options,
                           "--from", "a@client.test", "--to", "alice@example.test"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "~> MAIL FROM" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("listen, starttls", [(1, "on"), (2, "off")])
def test_msmtp(mta, ca, listen, starttls, tmp_path):
    """msmtp sends by STARTTLS and by implicit TLS."""
    done = subprocess.run(
        ["msmtp", f"--host={mta.host}", f"--port={mta.port(listen)}", "--tls=on",
         f"--tls-starttls={starttls}", "--tls-certcheck=off", "--tls-trust-file=",
         "--from=a@client.test", "alice@example.test"],
        input="Subject: x\n\nx\n", capture_output=True, text=True, timeout=30,
        env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
