"""smtpd_sasl_type = cyrus: the real library with a real sasldb2, and with saslauthd."""

import base64
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from client import b64
from mta import ROOT, poll
from test_killed import processes

REALM, STRANGER = "example.test", "192.0.2.91"
PROGRAMS = Path(ROOT) / "usr/lib/postern"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")


def cyrus(make_mta, main=None, must_be_built=True, **kw):
    """An instance that is not started yet, with a place for the library's configuration."""
    if must_be_built and not (PROGRAMS / "cyrusauth").exists():
        pytest.skip("built without the Cyrus SASL library")
    instance = make_mta(start=False, main={
        "smtpd_sasl_auth_enable": "Yes",
        "smtpd_sasl_type": "cyrus",
        "smtpd_sasl_path": "postern",
        "cyrus_sasl_config_path": "$config_directory/sasl",
        "smtpd_sasl_local_domain": REALM,
        "smtpd_error_sleep_time": "0",
        **(main or {}),
    }, **kw)
    (instance.config / "sasl").mkdir(mode=0o755)
    return instance


def sasl_conf(instance, text):
    """Writes the library's configuration."""
    (instance.config / "sasl/postern.conf").write_text(text)


def sasldb(instance, users, mechanisms=MECHANISMS):
    """Makes a sasldb2 of (name, realm, password), and has the library use it."""
    database = instance.config / "sasl/sasldb2"
    for name, realm, password in users:
        subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", realm, name],
                       input=password.encode(), check=True)
    shutil.chown(database, "postern-auth", "postern-auth")
    sasl_conf(instance, "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
                        f"sasldb_path: {database}\nmech_list: {' '.join(mechanisms)}\n")
    return database


@pytest.fixture(scope="module")
def mta(make_mta, ca):
    cert = ca.issue("mail.example.test")
    instance = cyrus(make_mta, main={
        "smtpd_auth_ban_limit": "3",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_chain_files": f"{cert.key}, {cert.cert}",
    }, services=["LISTEN1 inet n - n - - smtpd -o smtpd_sasl_security_options=noplaintext"
                 " -o smtpd_sasl_tls_security_options=noanonymous",
                 "LISTEN2 inet n - n - - smtpd -o smtpd_sasl_local_domain="])
    sasldb(instance, [("alice", REALM, "secret"), ("alice", "other.test", "another"),
                      ("dora", "mail.example.test", "third")])
    return instance.start()


def test_mechanisms(mta):
    with mta.smtp() as c:
        assert set(c.ehlo()["AUTH"].split()) == set(MECHANISMS)


def failed(c, mechanism):
    """One login with a wrong password, as the mechanism has it."""
    if mechanism == "PLAIN":
        return c.auth_plain("alice", "wrong", expect=None)
    if mechanism == "LOGIN":
        return c.auth_login("alice", "wrong", expect=None)
    if mechanism == "CRAM-MD5":
        c.cmd("AUTH CRAM-MD5", 334)
        return c.cmd(b64("alice " + "0" * 32))
    challenge = c.cmd(f"AUTH {mechanism} " + b64("n,,n=alice,r=abc"), 334).text.split()[-1]
    nonce = base64.b64decode(challenge).decode().split(",")[0]
    size = 20 if mechanism == "SCRAM-SHA-1" else 32
    return c.cmd(b64(f"c=biws,{nonce},p={b64(bytes(size))}"))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_wrong_password(mta, mechanism):
    """535 5.7.8; the log names user and address, and has no password."""
    mta.set_mark()
    with mta.smtp() as c:
        c.ehlo()
        assert str(failed(c, mechanism)).startswith("535 5.7.8 ")
    mta.wait_log(rf"smtpd\[\d+\]: warning: \S+\[127\.0\.0\.1\]: SASL {mechanism} authentication "
                 r"failed: .*, sasl_username=alice(@example\.test)?$")
    assert not mta.grep_log("wrong|" + b64("\0alice\0wrong"))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_login(mta, make_mta, mechanism):
    """Our client, which shares nothing with the library, logs in."""
    sender = make_mta(
        main={"relayhost": f"[127.0.0.1]:{mta.port()}", "smtp_sasl_auth_enable": "yes",
              "smtp_sasl_security_options": "noanonymous",
              "smtp_sasl_mechanism_filter": mechanism,
              "smtp_sasl_password_maps": "hash:$config_directory/passwords"},
        tables={"hash:passwords": f"[127.0.0.1]:{mta.port()} alice:secret\n"})
    record = sender.wait_delivery(sender.inject("x@elsewhere.test"))
    assert record["status"] == "sent", record
    mta.wait_log(rf"sasl_method={mechanism}, sasl_username=alice(@example\.test)?$")
    sender.destroy()


def test_security_options(mta):
    """What a mechanism can stand is known from the library."""
    with mta.smtp(1) as c:
        assert set(c.ehlo()["AUTH"].split()) == {"CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}
        assert c.auth_plain("alice", "secret", expect=None).code == 535


def test_tls(mta, ca):
    """Within TLS what is not offered outside of it: the library is told of TLS as well."""
    with mta.smtp(1) as c:
        c.ehlo()
        c.starttls(ca.cert, "mail.example.test")
        assert set(c.ehlo()["AUTH"].split()) == set(MECHANISMS)
        assert str(c.auth_plain("alice", "wrong", expect=None)).startswith("535 5.7.8 ")
        c.auth_plain("alice", "secret")
        qid = c.transaction("alice@example.test", "bob@example.test", "Subject: x\n\n").queue_id
    mta.wait_log(rf"{qid}: client=.*, sasl_method=PLAIN, sasl_username=alice(@{REALM})?$")


@pytest.mark.parametrize("login", ["auth_plain", "auth_login"])
@pytest.mark.parametrize("listen, user, password, is_good", [
    (0, "alice", "secret", True),
    (0, f"alice@{REALM}", "secret", True),
    (0, "alice@other.test", "another", True),
    (0, "alice@other.test", "secret", False),
    (0, "alice", "another", False),
    (0, "alice@nowhere.test", "secret", False),
    # Without smtpd_sasl_local_domain who names no realm is of myhostname's.
    (2, "dora", "third", True),
    (2, "dora@mail.example.test", "third", True),
    (2, "alice", "secret", False),
    (2, f"alice@{REALM}", "secret", True),
])
def test_realms(mta, login, listen, user, password, is_good):
    """Whose password it is: postconf(5) smtpd_sasl_local_domain."""
    with mta.smtp(listen) as c:
        c.ehlo()
        reply = str(getattr(c, login)(user, password, expect=None))
        assert reply.startswith("235 2.7.0 " if is_good else "535 5.7.8 ")
        if is_good and "@other" in user:
            qid = c.transaction("a@example.test", "bob@example.test", "Subject: x\n\n").queue_id
            mta.wait_log(rf"{qid}: client=.*, sasl_username=alice@other\.test$")


@pytest.mark.parametrize("first", [b64("alice"), "=", b64("\0" * 40), b64("x" * 9000)])
def test_nonsense(mta, first):
    """Nothing that a client says brings the service down."""
    with mta.smtp() as c:
        c.ehlo()
        assert c.cmd(f"AUTH PLAIN {first}" if len(first) < 900 else "AUTH PLAIN").code in (334, 535)
        if len(first) >= 900:
            assert c.cmd(first).code == 535
    with mta.smtp() as c:
        c.ehlo()
        c.auth_plain("alice", "secret")


def test_ban(mta):
    with mta.smtp(source=STRANGER) as c:
        c.ehlo()
        codes = [c.auth_plain("alice", "wrong", expect=None).code for _ in range(3)]
    assert codes == [535, 535, 421]
    mta.wait_log(rf"banned for 3600s: {STRANGER}: 3 failed logins")


def workers(mta):
    """The workers of this instance."""
    parents = processes("cyrusauth")
    master = int((mta.queue / "pid/master.pid").read_text())
    return [pid for pid, parent in parents.items() if parents.get(parent) == master]


def test_dead_worker(mta):
    """A worker that dies in the middle of a dialogue: 454, and the next one logs in."""
    with mta.smtp() as c:
        c.ehlo()
        c.cmd("AUTH LOGIN", 334)
        for pid in workers(mta):
            os.kill(pid, signal.SIGKILL)
        c.cmd(b64("alice"), r"454 4\.7\.0 ")
    def tried():
        with mta.smtp() as again:
            return "AUTH" in again.ehlo() and again.auth_plain("alice", "secret", expect=None).code == 235
    poll(tried, 10, "a login")


class Saslauthd:
    """A server of saslauthd's protocol: four counted strings (user, password, service, realm)
    come in, one goes out."""

    def __init__(self, path):
        self.answer = b"OK"
        """What it says; None: nothing, for ever."""
        self.asked = []
        self.client = 0
        """Process number of the last client."""
        self.sockets = [socket.socket(socket.AF_UNIX)]
        self.sockets[0].bind(str(path))
        path.chmod(0o777)
        self.sockets[0].listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self.sockets[0].accept()[0]
                self.sockets.append(sock)
                self.client = struct.unpack("3i", sock.getsockopt(
                    socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                file = sock.makefile("rb")
                self.asked.append([file.read(struct.unpack("!H", file.read(2))[0]).decode()
                                   for _ in range(4)])
                if self.answer:
                    sock.sendall(struct.pack("!H", len(self.answer)) + self.answer)

    def close(self):
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def plain(mta, user="alice", password="secret", **kw):
    """The reply to one login."""
    with mta.smtp(**kw) as c:
        c.ehlo()
        return str(c.auth_plain(user, password, expect=None))


def test_hanging_saslauthd(make_mta):
    """A library that does not come back: 454 for this client soon, the log says who does not
    answer, and its worker does not stay."""
    mta = cyrus(make_mta, main={"ipc_timeout": "5s"})
    server = Saslauthd(mta.config / "sasl/mux")
    try:
        sasl_conf(mta, "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"
                       f"saslauthd_path: {mta.config}/sasl/mux\n")
        mta.start()
        assert plain(mta).startswith("235 ")
        assert server.asked == [["alice", "secret", "smtp", REALM]]
        server.answer = None
        assert plain(mta, timeout=30).startswith("454 4.7.0 ")
        mta.wait_log(r"smtpd\[\d+\]: warning: \S+\[127\.0\.0\.1\]: SASL PLAIN authentication "
                     r"failed: .*does not answer")
        poll(lambda: server.client not in workers(mta), 30, "end of the worker")
        server.answer = b"NO"
        assert plain(mta).startswith("535 5.7.8 ")
        # It ended of itself: no crash, no new generation.
        assert not mta.grep_log("cyrusauth.*(signal|watchdog)")
    finally:
        server.close()
        mta.destroy()


@pytest.fixture
def group():
    """Function that makes the cyrusauth user a member of a group, in the private /etc."""
    path = Path("/etc/group")
    old = path.read_text()

    def join(name):
        path.write_text(re.sub(rf"^({name}:[^:]*:\d+:)(.*)$", r"\1postern-auth", old, flags=re.M))

    if not re.search("^sasl:", old, re.M):
        old += "sasl:x:5099:\n"
    path.write_text(re.sub(r"^(sasl:[^:]*:\d+:).*$", r"\1", old, flags=re.M))
    yield join
    path.write_text(old)


@pytest.mark.parametrize("method", ["saslauthd", "auxprop"])
def test_group(make_mta, group, method):
    """What the group sasl alone may reach, as Debian has it: saslauthd's directory, or sasldb2."""
    mta = cyrus(make_mta)
    server = None
    try:
        if method == "auxprop":
            database = sasldb(mta, [("alice", REALM, "secret")], ["PLAIN"])
            shutil.chown(database, "root", "sasl")
            database.chmod(0o640)
        else:
            place = mta.config / "run"
            place.mkdir()
            place.chmod(0o710)
            shutil.chown(place, "root", "sasl")
            server = Saslauthd(place / "mux")
            sasl_conf(mta, "pwcheck_method: saslauthd\nmech_list: PLAIN\n"
                           f"saslauthd_path: {place}/mux\n")
        mta.start()
        assert not plain(mta).startswith("235 ")
        group("sasl")
        mta.stop()
        mta.start()
        assert plain(mta).startswith("235 ")
    finally:
        if server:
            server.close()
        mta.destroy()


def test_broken_configuration(make_mta):
    """A library that cannot start: one line says what to do, clients are told to come again."""
    mta = cyrus(make_mta)
    sasl_conf(mta, "no parameter\n")
    mta.start()
    for _ in range(3):
        with mta.smtp() as c:
            assert "AUTH" not in c.ehlo()
            assert str(c.auth_plain("alice", "secret", expect=None)).startswith("454 4.7.0 ")
    mta.wait_log(r"cyrusauth\[\d+\]: warning: SASL: cannot start the Cyrus library: .*postern\.conf in "
                 r'.*/sasl.*"postern reload"')
    assert len(mta.grep_log("cannot start the Cyrus library")) == 1
    assert not mta.grep_log("fatal|cyrusauth.*(signal|exit)")
    sasldb(mta, [("alice", REALM, "secret")])
    mta.control("reload").ok()
    poll(lambda: plain(mta).startswith("235 "), 10, "a login")
    mta.destroy()


def test_not_built(make_mta):
    """Without the program, as where libsasl2 was not there: the start says what to do, mail goes on,
    and nobody is told that his password is wrong."""
    mta = cyrus(make_mta, must_be_built=False)
    programs = mta.dir / "programs"
    shutil.copytree(PROGRAMS, programs)
    (programs / "cyrusauth").unlink(missing_ok=True)
    mta.main["daemon_directory"] = str(programs)
    mta.write_main()
    mta.start()
    mta.wait_log("warning: smtpd_sasl_type = cyrus: there is no .*/cyrusauth, .*libsasl2.*"
                 "dovecot or passwd")
    with mta.smtp() as c:
        assert "AUTH" not in c.ehlo()
        assert str(c.auth_plain("alice", "secret", expect=None)).startswith("454 4.7.0 ")
        c.transaction("a@client.test", "bob@example.test", "Subject: x\n\n")
    mta.wait_maildir("bob")
    assert len(mta.grep_log("smtpd_sasl_type = cyrus")) == 1
    assert not mta.grep_log("fatal:")
    mta.destroy()


@pytest.mark.parametrize("main, service, is_there", [
    ({"smtpd_sasl_type": "passwd"}, "", False),
    ({"smtpd_sasl_auth_enable": "no"}, "", False),
    ({"smtpd_sasl_type": "passwd"}, "-o smtpd_sasl_type=cyrus", True),
    ({"smtpd_sasl_auth_enable": "no"}, "-o smtpd_sasl_auth_enable=yes", True),
])
def test_only_where_asked(make_mta, main, service, is_there):
    """The service runs where some smtpd asks it."""
    mta = cyrus(make_mta, main=main, services=[f"LISTEN1 inet n - n - - smtpd {service}"])
    sasldb(mta, [("alice", REALM, "secret")])
    mta.start()
    master = int((mta.queue / "pid/master.pid").read_text())
    poll(lambda: master in processes("smtpd").values(), 10, "smtpd")
    if is_there:
        assert plain(mta, listen=1).startswith("235 ")
    assert (master in processes("cyrusauth").values()) == is_there
    mta.destroy()


def test_saslauthd(make_mta):
    """Passwords that saslauthd knows; when it has gone nobody is told that his is wrong."""
    mta = cyrus(make_mta)
    sasl = mta.config / "sasl"
    sasl_conf(mta, f"pwcheck_method: saslauthd\nsaslauthd_path: {sasl}/mux\nmech_list: PLAIN LOGIN\n")
    subprocess.run(["saslpasswd2", "-p", "-c", "-u", REALM, "carol"], input=b"secret", check=True)
    server = subprocess.Popen(["saslauthd", "-d", "-a", "sasldb", "-n", "1", "-m", sasl],
                              stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        poll((sasl / "mux").exists, 10, "saslauthd")
        mta.start()
        with mta.smtp() as c:
            c.ehlo()
            assert str(c.auth_plain("carol", "wrong", expect=None)).startswith("535 5.7.8 ")
            c.auth_login("carol", "secret")
    finally:
        server.terminate()
        server.wait()
    with mta.smtp() as c:
        c.ehlo()
        assert str(c.auth_plain("carol", "secret", expect=None)).startswith("454 4.7.0 ")
