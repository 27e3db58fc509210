"""Logging in: the file of users of our own, bans, and clients and servers that nobody here wrote."""

import re
import smtplib
import subprocess
import time

import pytest
from auth_server import AuthServer
from client import b64
from dovecot import authenticating
from mail import message
from mta import poll
from sink import EXTENSIONS

ALICE = "alice@example.test"
STRANGER = "192.0.2.66"
PROXY, TRUSTED, EXEMPT = 4, "192.0.2.77", "192.0.2.88"


@pytest.fixture(scope="module")
def mta(make_mta):
    """LISTEN0 and 1 with a file of users, 2 and 3 with Dovecot's protocol, 4 behind a proxy."""
    smtpd = "inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes"
    dovecot = f"{smtpd} -o smtpd_sasl_type=dovecot"
    return make_mta(
        main={
            "mynetworks": TRUSTED,
            "smtpd_sasl_type": "passwd",
            "smtpd_sasl_passwd_delay": "0",
            "smtpd_sasl_authenticated_header": "yes",
            "smtpd_error_sleep_time": "0",
            "smtpd_hard_error_limit": "1000",
            "smtpd_auth_ban_exceptions": f"$mynetworks, {EXEMPT}",
        },
        services=[
            f"LISTEN1 {smtpd}",
            f"LISTEN2 {dovecot} -o smtpd_sasl_path=private/real",
            f"LISTEN3 {dovecot} -o smtpd_sasl_path=private/auth",
            f"LISTEN{PROXY} {smtpd} -o smtpd_upstream_proxy_protocol=haproxy",
            f"LISTEN5 {smtpd} -v -o notify_classes=protocol,policy",
        ],
    )


def users(mta, *args, password="", code=0):
    result = mta.run("postern", "user", *args, stdin=f"{password}\n" if password else "")
    assert result.code == code, result
    return result


@pytest.fixture(scope="module", autouse=True)
def _alice(mta):
    users(mta, "add", "alice", password="secret")


def login(c, user, password, expect=235):
    c.ehlo()
    return c.auth_plain(user, password, expect=expect)


def until_login(mta, user, password, expect):
    """A changed file is read by itself, in a moment."""
    def tried():
        with mta.smtp(1) as c:
            return login(c, user, password, expect=None).code == expect
    poll(tried, 10, f"{expect} for {user}")


# postern user.


def test_users(mta):
    """Users come and go; what counts is the file as it is now, and nobody else reads it."""
    path = mta.config / "users"
    users(mta, "add", "bob@example.test", password="p\xe4ss:w\xf6rd ")
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.search(r"(?m)^bob@example\.test:\$y\$", path.read_text())
    until_login(mta, "bob@example.test", "p\xe4ss:w\xf6rd ", 235)
    assert users(mta, "list").out == "alice\nbob@example.test\n"
    users(mta, "passwd", "bob@example.test", password="other")
    until_login(mta, "bob@example.test", "other", 235)
    until_login(mta, "bob@example.test", "p\xe4ss:w\xf6rd ", 535)
    users(mta, "del", "bob@example.test")
    until_login(mta, "bob@example.test", "other", 535)
    assert users(mta, "list").out == "alice\n"


@pytest.mark.parametrize("args, password, said", [
    (("add", "alice"), "x", "is a user already"), (("passwd", "nobody"), "x", "no such user"),
    (("del", "nobody"), "", "no such user"), (("add", "a:b"), "x", "no name"),
    (("add", "a b"), "x", "no name"), (("add", "#a"), "x", "no name"),
    (("add", "new"), "", "between 1 and"), (("add", "new", "password"), "", "usage"), ((), "", "usage"),
])
def test_bad_user_commands(mta, args, password, said):
    before = (mta.config / "users").read_text()
    assert said in users(mta, *args, password=password, code=1).err
    assert (mta.config / "users").read_text() == before


def test_other_hashes(mta):
    """Hashes that other programs made count as well; a locked one, or none at all, never does."""
    path = mta.config / "users"
    hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True,
                            capture_output=True, text=True).stdout.strip()
    before = path.read_text()
    path.write_text(f"{before}# a comment\n\nsha:{hashed}:1000:more\nlocked:!{hashed}\nempty:\n"
                    "star:*\nclear:secret\n")
    try:
        until_login(mta, "sha", "secret", 235)
        mta.wait_log(r"passauth\[\d+\]: warning: .*/users, line \d+: expected USER:HASH \(1 bad")
        for user in ("locked", "empty", "star", "clear"):
            with mta.smtp(1) as c:
                login(c, user, "secret", 535)
    finally:
        path.write_text(before)
    until_login(mta, "sha", "secret", 535)


# Logging in with it.


def test_mechanisms(mta):
    """PLAIN and LOGIN, with and without initial response; the header and the log say who it was."""
    with mta.smtp(1) as c:
        assert set(c.ehlo()["AUTH"].split()) == {"PLAIN", "LOGIN"}
        c.auth_login("alice", "secret")
        qid = c.transaction(ALICE, ALICE, message()).queue_id
        c.quit()
    mta.wait_log(rf"{qid}: client=\S+, sasl_method=LOGIN, sasl_username=alice$")
    assert "(Authenticated sender: alice)" in mta.wait_maildir("alice")[0].headers("Received")[0]
    with mta.smtp(1) as c:
        c.ehlo()
        assert c.cmd("AUTH PLAIN", 334).text == ""
        c.cmd(b64("\0alice\0secret"), 235)


@pytest.mark.parametrize("response", [
    "bob\0alice\0secret", "\0alice\0secret\0", "\0alice\0", "\0\0secret", "alice", "",
    "\0alice\0" + "x" * 1100, "\0" + "a" * 400 + "\0x", "\0ali\nce\0secret", "\0Alice\0secret",
])
def test_bad_plain(mta, response):
    """What is no PLAIN message, acts for another, or names nobody, is refused."""
    with mta.smtp(1) as c:
        c.ehlo()
        c.cmd("AUTH PLAIN", 334)
        c.cmd(b64(response), r"535 5\.7\.8 ")
        c.auth_plain("alice", "secret")


def test_password_is_nowhere(mta):
    """A refusal is logged with user and address, and neither log nor transcript has the password."""
    with mta.smtp(5, source=STRANGER) as c:
        c.ehlo()
        c.auth_plain("alice", "Top53cret", expect=535)
        c.auth_login("alice", "Top53cret", expect=535)
        c.cmd("AUTH PLAIN " + b64("\0alice\0Top53cret")[:-2] + "!!", 501)
        c.cmd("BOGUS", 502)
        c.quit()
    mta.wait_log(rf"warning: unknown\[{STRANGER}\]: SASL PLAIN authentication failed: .*"
                 "sasl_username=alice")
    mta.wait_log("SASL LOGIN authentication failed: .*sasl_username=alice")
    mta.wait_log(rf"< unknown\[{STRANGER}\]: AUTH$")  # it is a verbose log
    mta.wait_log("postmaster")
    hidden = [b"Top53cret", b64("Top53cret").encode(), b64("\0alice\0Top53cret").encode()[:20]]
    mta.wait_empty_queue()

    def text(path):
        """Of a file that may be replaced meanwhile."""
        try:
            return path.read_bytes() if path.is_file() and path.stat().st_size < 10**6 else b""
        except FileNotFoundError:
            return b""
    seen = mta.log_bytes(all=True) + b"".join(map(text, mta.dir.rglob("*")))
    assert not any(h in seen for h in hidden)


def test_unknown_user_costs_as_much(mta):
    """Whether a user exists, or is locked, cannot be told from the time that a refusal takes."""
    with (mta.config / "users").open("a") as f:
        f.write("locked:!\n")
    users(mta, "add", "open", password="opened")
    until_login(mta, "open", "opened", 235)
    times = {"alice": [], "nobody": [], "locked": []}
    # By turns, and the quickest of many: others use the machine as well.
    with mta.smtp(1) as c:
        c.ehlo()
        for _ in range(15):
            for user, took in times.items():
                start = time.monotonic()
                c.auth_plain(user, "wrong", expect=535)
                took.append(time.monotonic() - start)
    known, unknown, locked = (min(took) for took in times.values())
    assert 0.6 < known / unknown < 1.6, (known, unknown)
    assert 0.6 < locked / unknown < 1.6, (locked, unknown)


# Clients.


def test_smtplib(mta):
    with smtplib.SMTP(mta.host, mta.port(1)) as s:
        s.login("alice", "secret")
        s.sendmail(ALICE, [ALICE], "Subject: x\n\nx\n")
    mta.wait_maildir("alice")
    with smtplib.SMTP(mta.host, mta.port(1)) as s, pytest.raises(smtplib.SMTPAuthenticationError):
        s.login("alice", "wrong")


def client_commands(mta, tmp_path, password):
    server = f"{mta.host}:{mta.port(1)}"
    (tmp_path / "m").write_text("Subject: x\n\nx\n")
    (tmp_path / "msmtprc").write_text(
        f"account default\nhost {mta.host}\nport {mta.port(1)}\nfrom {ALICE}\nauth plain\n"
        f"user alice\npassword {password}\ntls off\n")
    (tmp_path / "msmtprc").chmod(0o600)
    swaks = ["swaks", "--server", server, "--from", ALICE, "--to", ALICE, "-au", "alice",
             "-ap", password]
    return {
        "swaks": [*swaks, "-a", "PLAIN"],
        "swaks-login": [*swaks, "-a", "LOGIN"],
        "curl": ["curl", "-sS", f"smtp://{server}", "--mail-from", ALICE, "--mail-rcpt", ALICE,
                 "-u", f"alice:{password}", "-T", str(tmp_path / "m")],
        "msmtp": ["sh", "-c", f"msmtp -C {tmp_path}/msmtprc {ALICE} < {tmp_path}/m"],
    }


@pytest.mark.parametrize("name", ["swaks", "swaks-login", "curl", "msmtp"])
def test_foreign_client(mta, tmp_path, name):
    good = client_commands(mta, tmp_path, "secret")[name]
    done = subprocess.run(good, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done
    mta.wait_log(r"sasl_method=(PLAIN|LOGIN), sasl_username=alice")
    mta.wait_maildir("alice")
    bad = client_commands(mta, tmp_path, "wrong")[name]
    assert subprocess.run(bad, capture_output=True, text=True, timeout=30).returncode != 0


# Bans.


def bans(mta, *args, code=0):
    result = mta.run("postern", "ban", *args)
    assert result.code == code, result
    return result


def guess(mta, source, count, listen=1):
    """Fails that often, over as many sessions as it needs; the codes that came."""
    codes = []
    while len(codes) < count:
        with mta.smtp(listen, source=source, banner=None) as c:
            if not c.reply().code == 220:
                return codes + [421]
            c.ehlo()
            while len(codes) < count and (not codes or codes[-1] != 421):
                codes.append(c.auth_plain("alice", f"guess{len(codes)}", expect=None).code)
        if codes[-1] == 421:
            return codes
    return codes


def refused(mta, source, listen=1):
    with mta.smtp(listen, source=source, banner=None) as c:
        return c.reply().code == 421


def test_ban(mta):
    """20 failures end in a ban, which every service keeps, until the administrator lifts it."""
    who = "192.0.2.101"
    assert guess(mta, who, 30) == [535] * 19 + [421]
    mta.wait_log(rf"anvil\[\d+\]: warning: banned for 3600s: {who}: 20 failed logins in 600s")
    poll(lambda: refused(mta, who) and refused(mta, who, 0), 5, "a ban")
    mta.wait_log(rf"smtpd\[\d+\]: warning: unknown\[{who}\] is banned, by {who}, for another")
    assert re.search(rf"(?m)^{who} until \d{{4}}-", bans(mta, "list").out)
    assert not refused(mta, "192.0.2.102")
    assert mta.control("reload").code == 0
    poll(lambda: refused(mta, who), 10, "a ban after a reload")
    bans(mta, "del", who)
    poll(lambda: not refused(mta, who), 5, "no ban")
    assert who not in bans(mta, "list").out


def test_ban_outlives_a_restart(mta):
    who = "192.0.2.103"
    bans(mta, "add", who, "1h")
    mta.stop()
    mta.start()
    poll(lambda: refused(mta, who), 10, "a ban after a restart")
    bans(mta, "del", who)
    poll(lambda: not refused(mta, who), 5, "no ban")


@pytest.mark.parametrize("who", ["127.0.0.1", TRUSTED, EXEMPT])
def test_never_banned(mta, who):
    """Loopback, mynetworks and who is on the list are exempt, whatever network is banned."""
    assert guess(mta, None if who == "127.0.0.1" else who, 25) == [535] * 25
    bans(mta, "add", "192.0.2.0/24")
    try:
        poll(lambda: refused(mta, STRANGER), 5, "a ban")
        assert not refused(mta, None if who == "127.0.0.1" else who)
    finally:
        bans(mta, "del", "192.0.2.0/24")
    poll(lambda: not refused(mta, STRANGER), 5, "no ban")


def test_ban_of_network(mta):
    """Many addresses of one network share a limit of their own."""
    sources = [f"203.0.113.{n}" for n in range(1, 11)]
    try:
        for source in sources:
            guess(mta, source, 10)
        poll(lambda: refused(mta, "203.0.113.200"), 5, "a ban of the network")
        assert "203.0.113.0/24 until" in bans(mta, "list").out
    finally:
        bans(mta, "del", "203.0.113.0/24")
    poll(lambda: not refused(mta, "203.0.113.200"), 5, "no ban")


def proxied(mta, client):
    c = mta.smtp(PROXY, banner=None)
    kind, server = ("TCP6", "2001:db8::1") if ":" in client else ("TCP4", "192.0.2.1")
    c.send(f"PROXY {kind} {client} {server} 1234 25\r\n")
    return c, c.reply()


def test_ban_of_ipv6(mta):
    """The addresses of a /64 are one client."""
    try:
        for n in range(1, 21):
            c, banner = proxied(mta, f"2001:db8:0:77::{n:x}")
            assert banner.code == 220
            c.ehlo()
            assert c.auth_plain("alice", "x", expect=None).code == (535 if n < 20 else 421)
            c.close()
        poll(lambda: proxied(mta, "2001:db8:0:77:1::1")[1].code == 421, 5, "a ban")
        assert proxied(mta, "2001:db8:0:78::1")[1].code == 220
    finally:
        bans(mta, "del", "2001:db8:0:77::/64")


def test_ban_behind_proxy(mta):
    """The client that the proxy names is banned, not the proxy."""
    who = "198.51.100.7"
    c, banner = proxied(mta, who)
    assert banner.code == 220
    c.ehlo()
    codes = [c.auth_plain("alice", f"x{n}", expect=None).code for n in range(20)]
    assert codes == [535] * 19 + [421]
    try:
        poll(lambda: proxied(mta, who)[1].code == 421, 5, "a ban")
        assert proxied(mta, "198.51.100.8")[1].code == 220
    finally:
        bans(mta, "del", who)


def test_ban_behind_proxy_of_both(mta):
    """IPv4 clients of a proxy that listens for both in one come in IPv6's form: each is its own client."""
    who = "::ffff:198.51.100.9"
    codes = []
    c, _ = proxied(mta, who)
    c.ehlo()
    for n in range(20):
        codes.append(c.auth_plain("alice", f"x{n}", expect=None).code)
    try:
        assert codes == [535] * 19 + [421]
        poll(lambda: proxied(mta, who)[1].code == 421, 5, "a ban")
        assert "198.51.100.9 until" in bans(mta, "list").out
        assert proxied(mta, "::ffff:198.51.100.10")[1].code == 220
    finally:
        bans(mta, "del", "198.51.100.9")


def test_ban_ends(mta):
    """A ban is over when its time has passed, and is in no list any more."""
    who = "192.0.2.104"
    bans(mta, "add", who, "2s")
    poll(lambda: refused(mta, who), 1.5, "a ban")
    poll(lambda: not refused(mta, who), 5, "an end of the ban")
    assert who not in bans(mta, "list").out


@pytest.mark.parametrize("args, said", [
    (("add", "nonsense"), "nonsense"), (("add", "192.0.2.1/33"), "192.0.2.1/33"),
    (("add", "192.0.2.1", "0"), "no time"), (("del", "192.0.2.1"), "not banned"), ((), "usage"),
])
def test_bad_ban_commands(mta, args, said):
    assert said in bans(mta, *args, code=1).err


# Dovecot, and our client against our server with it.


@pytest.fixture(scope="module")
def dovecot(mta):
    """Dovecot's authentication service at private/real, with SCRAM and tokens."""
    with authenticating(mta, "alice:{PLAIN}secret\nbob:{PLAIN}p=w,d\n",
                        "plain login cram-md5 scram-sha-1 scram-sha-256"):
        yield


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "scram-sha-1",
                                       "scram-sha-256"])
@pytest.mark.parametrize("user, password", [("alice", "secret"), ("bob", "p=w,d")])
def test_client_to_dovecot(mta, dovecot, make_mta, mechanism, user, password):
    """Our client logs in at our server, whose passwords Dovecot checks."""
    sender = make_mta(
        main={
            "relayhost": f"[127.0.0.1]:{mta.port(2)}",
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_mechanism_filter": mechanism,
            "smtp_sasl_password_maps": "hash:$config_directory/passwords",
        },
        tables={"hash:passwords": f"[127.0.0.1]:{mta.port(2)} {user}:{password}\n"},
    )
    record = sender.wait_delivery(sender.inject("x@elsewhere.test"))
    assert record["status"] == "sent", record
    name = mechanism.upper()
    sender.wait_log(rf"authenticated to 127\.0\.0\.1\S+, sasl_method={name}, sasl_username={user}")
    mta.wait_log(rf"sasl_method={name}, sasl_username={user}")
    sender.destroy()


def test_dovecot_refuses(mta, dovecot):
    with mta.smtp(2) as c:
        login(c, "alice", "wrong", r"535 5\.7\.8 ")
        c.cmd("AUTH SCRAM-SHA-256 " + b64("n,,n=alice,r=abc"), 334)
        c.cmd(b64("c=biws,r=wrong,p=AAAA"), r"535 5\.7\.8 ")
        c.auth_plain("alice", "secret")


def test_tokens_to_server(mta):
    """XOAUTH2 goes through; the error challenge is answered before the refusal."""
    server = AuthServer(mta.queue / "private/auth", {"alice": "token"}, ("XOAUTH2",))
    try:
        with mta.smtp(3) as c:
            assert c.ehlo()["AUTH"] == "XOAUTH2"
            c.cmd("AUTH XOAUTH2 " + b64("user=alice\1auth=Bearer token\1\1"), 235)
    finally:
        server.close()


@pytest.mark.parametrize("main, said", [
    ({"smtpd_sasl_type": "ldap"}, "smtpd_sasl_type = ldap: expected cyrus, dovecot or passwd"),
    ({"smtpd_sasl_security_options": "noplaintxt"}, "unknown option: noplaintxt"),
])
def test_refused_at_start(make_mta, main, said):
    """What would leave everybody, or nobody, without a login is told at the start."""
    instance = make_mta(start=False, main={"smtpd_sasl_type": "passwd",
                                           "smtpd_sasl_auth_enable": "yes", **main})
    assert instance.control("start").code != 0
    assert said in instance.log(all=True)


# The client.


@pytest.fixture
def client(make_mta):
    made = []

    def make(password, **main):
        mta = make_mta(
            main={"relayhost": "[198.51.100.1]:587", "smtp_sasl_auth_enable": "yes",
                  "smtp_sasl_security_options": "noanonymous",
                  "smtp_sasl_password_maps": "hash:$config_directory/passwords", **main},
            tables={"hash:passwords": f"[198.51.100.1]:587 {password}\n"})
        made.append(mta)
        return mta
    yield make
    for mta in made:
        mta.destroy()


@pytest.mark.parametrize("mechanism, message", [
    ("XOAUTH2", "user=me@x.test\1auth=Bearer t0:ken\1\1"),
    ("OAUTHBEARER", "n,a=me@x.test,\1host=198.51.100.1\1port=587\1auth=Bearer t0:ken\1\1"),
])
def test_client_token(client, make_sink, mechanism, message):
    """A token goes out as RFC 7628 and XOAUTH2 have it, though PLAIN is offered as well; a refusal
    comes after a challenge that says why, and defers."""
    sink = make_sink("198.51.100.1", 587, extensions=(*EXTENSIONS, f"AUTH PLAIN {mechanism}"))
    sink.rule("AUTH", "235 2.7.0 ok", match=re.escape(b64(message)).replace("=", "."), times=1)
    mta = client("me@x.test:oauth2:t0:ken")
    assert mta.wait_delivery(mta.inject("x@y.test"))["status"] == "sent"
    mta.wait_log(rf"sasl_method={mechanism}, sasl_username=me@x\.test")
    sink.rule("AUTH", "334 " + b64('{"status":"401"}'))
    sink.rule("" if mechanism == "XOAUTH2" else "AQ==", "535 5.7.8 token has expired")
    record = mta.wait_delivery(mta.inject("x@y.test"))
    assert record["status"] == "deferred" and "token has expired" in record["text"], record
    assert b"t0:ken" not in mta.log_bytes(all=True)


def test_client_says_which_line(client, make_sink):
    """A refused login is deferred with the relay's words, and the log names the line of the map."""
    make_sink("198.51.100.1", 587, auth="PLAIN", users={"me": "right"})
    mta = client("me:wr0ng")
    record = mta.wait_delivery(mta.inject("x@y.test"))
    assert record["status"] == "deferred" and record["dsn"] == "4.7.8"
    assert "SASL authentication failed; server 198.51.100.1[198.51.100.1] said: 535" in record["text"]
    mta.wait_log(r'smtp\[\d+\]: warning: \w+: SASL authentication failed: server .* refused '
                 r'sasl_method=PLAIN, sasl_username=me, which is from hash:/\S+/passwords, '
                 r'key "\[198\.51\.100\.1\]:587"')
    assert b"wr0ng" not in mta.log_bytes(all=True)


def test_client_remembers_refusals(client, make_sink):
    """smtp_sasl_auth_cache_name: a login that was refused with 535 is not tried again, by any worker, until
    smtp_sasl_auth_cache_time is over or the password is another one."""
    sink = make_sink("198.51.100.1", 587, auth="PLAIN", users={"me": "right"})
    mta = client("me:wr0ng", smtp_sasl_auth_cache_name="proxy:btree:$data_directory/sasl_auth_cache",
                 smtp_sasl_auth_cache_time="1d", smtp_sasl_auth_soft_bounce="no")
    for said in ("SASL authentication failed; server", "SASL [CACHED] authentication failed; server"):
        for _ in range(1 if "CACHED" not in said else 3):
            record = mta.wait_delivery(mta.inject("x@y.test", sender=""))
            assert record["status"] == "bounced" and record["dsn"] == "5.7.8", record
            assert f"{said} 198.51.100.1[198.51.100.1] said: 535 5.7.8 bad credentials" in record["text"]
    assert [s.verbs().count("AUTH") for s in sink.sessions] == [1, 0, 0, 0]
    mta.table("hash:passwords", "[198.51.100.1]:587 me:right\n")
    mta.reload()
    assert mta.wait_delivery(mta.inject("x@y.test"))["status"] == "sent"


def test_client_forgets_refusals(client, make_sink):
    """Other replies are not remembered, nor any for longer than smtp_sasl_auth_cache_time."""
    sink = make_sink("198.51.100.1", 587, auth="PLAIN", users={"me": "right"})
    mta = client("me:wr0ng", smtp_sasl_auth_cache_name="proxy:btree:$data_directory/sasl_auth_cache",
                 smtp_sasl_auth_cache_time="0")
    for _ in range(2):
        mta.wait_delivery(mta.inject("x@y.test"))
    sink.rule("AUTH", "454 4.7.0 later")
    with mta.settings(smtp_sasl_auth_cache_time="1d"):
        for _ in range(2):
            mta.wait_delivery(mta.inject("x@y.test"))

    def tries():
        """Of each session that is over, those for mail that waited among them."""
        return [session.verbs().count("AUTH") for session in sink.sessions if session.ended]
    poll(lambda: len(tries()) >= 4)
    assert set(tries()) == {1}


@pytest.mark.parametrize("challenge", ["!!!", "cj1ldmlsLHM9QUFBQSxpPTQwOTY=", "", "A" * 3000])
def test_client_bad_challenge(client, make_sink, challenge):
    """A server that makes no sense, or cannot prove that it knows the password, gets no mail."""
    sink = make_sink("198.51.100.1", 587, extensions=(*EXTENSIONS, "AUTH SCRAM-SHA-256 PLAIN"))
    sink.rule("AUTH", f"334 {challenge}")
    sink.rule("*", "501 5.7.0 aborted")
    mta = client("me:secret")
    assert mta.wait_delivery(mta.inject("x@y.test"))["status"] == "deferred"
    assert not sink.messages


def test_client_wants_proof(client, make_sink):
    """235 from a server that has shown nothing is no success with SCRAM."""
    sink = make_sink("198.51.100.1", 587, extensions=(*EXTENSIONS, "AUTH SCRAM-SHA-1"))
    sink.rule("AUTH", "235 2.7.0 welcome")
    mta = client("me:secret")
    record = mta.wait_delivery(mta.inject("x@y.test"))
    assert record["status"] == "deferred" and "did not prove" in record["text"], record
    assert not sink.messages
