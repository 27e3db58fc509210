"""Group D, TLS in the server."""

import ssl
import subprocess
import time

import pytest
from attack import MAIN, alive, clean_log, queued, stranger


from test_framing import SEPARATORS, body
from tls_util import V12, V13, client_context


@pytest.fixture(scope="module")
def cert(ca):
    return ca.issue("mail.example.test")


@pytest.fixture(scope="module")
def mta(make_mta, ca, cert):
    """Service 0: may; 1: encrypt, as for submission; 2: with names; 3: with limits for whole requests."""
    smtpd = "inet n - n - - smtpd"
    shop = ca.issue("shop.test")
    mta = make_mta(
        main={**MAIN, "smtpd_tls_security_level": "may", "smtpd_tls_cert_file": str(cert.cert),
              "smtpd_tls_key_file": str(cert.key), "smtpd_tls_auth_only": "yes",
              "smtpd_starttls_timeout": "${stress?{2}:{3}}s"},
        services=[f"LISTEN1 {smtpd} -o smtpd_tls_security_level=encrypt",
                  f"LISTEN2 {smtpd} -o tls_server_sni_maps=hash:$config_directory/sni",
                  f"LISTEN3 {smtpd} -o smtpd_timeout=1s -o smtpd_per_request_deadline=yes"],
        files={"sni": f"shop.test {shop.key},{shop.cert}\n"}, start=False)
    mta.run("postmap", "-F", f"hash:{mta.config}/sni").ok()
    return mta.start()


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


def begin(mta, listen=0):
    """A session that has its 220 for STARTTLS."""
    c = mta.smtp(listen)
    c.ehlo()
    c.cmd("STARTTLS", 220)
    return c


@pytest.mark.parametrize("where", ["command", "DATA"])
def test_F3(mta, where):
    """A client that sends a byte at a time, each in a record of its own, is dropped."""
    c = mta.smtp(3)
    c.ehlo()
    c.starttls()
    # The time limit begins behind `start`, however late this client hears of it.
    start = time.monotonic()
    c.ehlo()
    if where == "DATA":
        c.mail("a@client.test")
        c.rcpt("alice@example.test")
        start = time.monotonic()
        c.cmd("DATA", 354)
    while not c.pending(0.2) and time.monotonic() - start < 10:
        try:
            c.send(b"x")
        except OSError:
            break
    assert 0.8 < time.monotonic() - start < 5
    assert not mta.maildir("alice")


def test_T1(mta):
    """What comes in the clear behind STARTTLS, in its segment or before the handshake, is not run."""
    c = stranger(mta)
    c.send("STARTTLS\r\nEHLO inj\r\nMAIL FROM:<evil@client.test>\r\n")
    c.reply(220)
    try:
        c.sock = client_context().wrap_socket(c.sock)
    except (ssl.SSLError, ConnectionError):
        return
    assert not c.pending(0.2) and not c.buffer
    c.cmd("RCPT TO:<alice@example.test>", 503)
    alive(c)
    c = begin(mta)
    c.send("EHLO inj\r\n")
    # Where the server was quicker there is no connection any more, and so no handshake yet.
    with pytest.raises(OSError):
        client_context().wrap_socket(c.sock).do_handshake()


def test_T2(mta):
    """MAIL before STARTTLS is forgotten."""
    c = stranger(mta)
    c.mail("evil@client.test")
    c.rcpt("alice@example.test")
    c.starttls()
    c.cmd("DATA", "503|554")
    c.ehlo()
    c.cmd("RCPT TO:<alice@example.test>", 503)
    alive(c)
    assert queued(mta) == 0


def test_T3(mta):
    """STARTTLS within TLS, and with an argument."""
    c = stranger(mta)
    c.cmd("STARTTLS x", 501)
    c.starttls()
    c.cmd("STARTTLS", 554)
    assert "STARTTLS" not in c.ehlo()
    alive(c)


def test_T4(mta):
    """No AUTH in the clear where TLS is wanted for it, or for everything."""
    for listen in (0, 1):
        with mta.smtp(listen) as c:
            assert "AUTH" not in c.ehlo()
            c.cmd("AUTH PLAIN AGEAYg==", "50[023]|53[08]")


def test_T5(mta):
    """Somebody who wants HTTP is told off in the handshake; smtp, and nothing, are right."""
    for protocols, works in ((["http/1.1"], False), (["h2", "http/1.1"], False), (["smtp"], True),
                             (["h2", "smtp"], True), ([], True)):
        context = client_context()
        if protocols:
            context.set_alpn_protocols(protocols)
        c = begin(mta)
        if works:
            c.sock = context.wrap_socket(c.sock)
            c.ehlo()
            assert c.sock.selected_alpn_protocol() == ("smtp" if protocols else None)
            continue
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            context.wrap_socket(c.sock)


def hello(name):
    """A ClientHello whose server name is these bytes."""
    def field(size, data):
        return len(data).to_bytes(size, "big") + data
    sni = field(2, field(2, b"\0" + field(2, name)))
    extensions = (b"\0\0" + sni + b"\0\x0a" + field(2, field(2, b"\0\x17")) +
                  b"\0\x0d" + field(2, field(2, b"\4\3\5\3\4\1\x08\4")) + b"\0\x0b\0\2\1\0")
    body = (b"\3\3" + bytes(32) + b"\0" + field(2, b"\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30") + b"\1\0" +
            field(2, extensions))
    return b"\x16\3\1" + field(2, b"\1" + field(3, body))


@pytest.mark.parametrize("name", [b"a" * 300, b"a" * 65000, b"shop.test\\", b"shop.test\0.evil", b"../../x",
                                  b"..", b".shop.test", b"shop.test\r\n", b"%s%n", b"\xff\xfe", b""])
def test_T6(mta, name):
    """Server names that are none end in an alert, or get the certificate that everybody gets."""
    c = begin(mta, 2)
    if len(name) > 60000:
        c.send(hello(b"a" * 10000))
    else:
        c.send(hello(name))
    c.sock.settimeout(10)
    answer = c.sock.recv(5)
    assert answer[:1] in (b"\x15", b"\x16"), answer
    with mta.smtp(2) as other:
        other.ehlo()
        other.starttls(hostname="shop.test")
        alive(other)


@pytest.mark.parametrize("options", [
    ["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "RC4:3DES:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"],
])
def test_T7(mta, options):
    """Old versions, and ciphers that hide nothing or know nobody, are refused."""
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{mta.host}:{mta.port(1)}",
         *(options if "-cipher" in options else [*options, "-cipher", "ALL:@SECLEVEL=0"])],
        input="QUIT\n", capture_output=True, text=True, timeout=20)
    out = done.stdout + done.stderr
    assert "Cipher is (NONE)" in out or "no cipher match" in out, out


def test_T8_renegotiation(mta):
    """A client that wants another handshake in TLS 1.2 does not get it."""
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "smtp", "-tls1_2", "-connect",
         f"{mta.host}:{mta.port(0)}"], input="R\nNOOP\nQUIT\n", capture_output=True, text=True,
        timeout=20)
    out = done.stdout + done.stderr
    assert "RENEGOTIATING" in out and "no renegotiation" in out, out


def test_T8_half_handshakes(mta):
    """Handshakes that stop half way end by themselves, and the good client gets through."""
    half = []
    for i in range(60):
        c = begin(mta)
        c.send(hello(b"mail.example.test")[:20 + i])
        half.append(c)
    with mta.smtp() as good:
        good.ehlo()
        good.starttls()
        alive(good)
    for c in half:
        c.sock.settimeout(15)
        while c.sock.recv(4096):
            pass
    mta.wait_log(r"SSL_accept error from .*: Connection timed out")


@pytest.mark.parametrize("version", [V12, V13])
def test_T9(mta, version):
    """A session of one service is not resumed at another."""
    context = client_context(version)
    c = begin(mta, 1)
    c.sock = context.wrap_socket(c.sock)
    c.ehlo()
    session = c.sock.session
    c.quit()
    for listen, is_reused in ((1, True), (0, False)):
        c = begin(mta, listen)
        c.sock = context.wrap_socket(c.sock, session=session)
        assert c.sock.session_reused is is_reused
        c.ehlo()
        alive(c)


def test_B9(mta):
    """TLS ends in the middle of a chunk of BDAT, and a byte in the clear follows."""
    c = begin(mta)
    c.sock = client_context().wrap_socket(c.sock)
    c.ehlo()
    c.mail("a@client.test")
    c.rcpt("alice@example.test")
    c.send("BDAT 1000 LAST\r\nabc")
    try:
        raw = c.sock.unwrap()
    except (ssl.SSLError, OSError):
        raw = c.sock
    try:
        raw.sendall(b"\n")
    except OSError:
        pass
    mta.wait_log(r"lost connection after BDAT")
    assert not mta.maildir("alice")


def test_A12_in_records(mta):
    """An end of data that is split over TLS records is the same end of data."""
    end = b"\r\n.\r\n"
    for at in range(1, len(end)):
        c = begin(mta)
        c.sock = client_context().wrap_socket(c.sock)
        c.ehlo()
        c.mail("a@client.test")
        c.rcpt("bob@example.test")
        c.cmd("DATA", 354)
        c.send(b"Subject: x\r\n\r\none" + end[:at])
        c.send(end[at:])
        c.reply(250)
        c.quit()
    assert queued(mta) == len(end) - 1


@pytest.mark.parametrize("row", SEPARATORS)
def test_A12_separators_in_records(mta, row):
    """What only looks like an end of data is content however it is split over TLS records."""
    separator = SEPARATORS[row]
    whole = body(separator)
    start = whole.index(separator) - 1
    c = begin(mta)
    c.sock = client_context().wrap_socket(c.sock)
    c.ehlo()
    splits = range(start, start + len(separator) + 3)
    for at in splits:
        c.mail("a@client.test")
        c.rcpt("carol@example.test")
        c.cmd("DATA", 354)
        c.send(whole[:at])
        c.send(whole[at:])
        c.reply(250)
        alive(c, 0.02)
    c.quit()
    mails = mta.wait_maildir("carol", len(splits))
    assert len({bytes(mail.body) for mail in mails}) == 1 and b"SMUGGLED" in mails[0].body
    assert queued(mta) == len(splits) and not mta.maildir("bob")
