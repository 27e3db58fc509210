"""smtpd_sasl_type = cyrus: the real library with a real sasldb2."""

import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from client import b64
from mta import poll

REALM, STRANGER = "example.test", "192.0.2.91"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")


@pytest.fixture(scope="module")
def mta(make_mta):
    instance = make_mta(start=False, main={
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_type": "cyrus",
        "smtpd_sasl_path": "postern",
        "cyrus_sasl_config_path": "$config_directory/sasl",
        "smtpd_sasl_local_domain": REALM,
        "smtpd_error_sleep_time": "0",
        "smtpd_auth_ban_limit": "3",
    }, services=["LISTEN1 inet n - n - - smtpd -o smtpd_sasl_security_options=noplaintext"])
    sasl = instance.config / "sasl"
    sasl.mkdir(mode=0o755)
    database = sasl / "sasldb2"
    subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", REALM, "alice"],
                   input=b"secret", check=True)
    shutil.chown(database, "postern-auth", "postern-auth")
    (sasl / "postern.conf").write_text(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
        f"sasldb_path: {database}\nmech_list: {' '.join(MECHANISMS)}\n")
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


def mta_workers(mta):
    """The cyrusauth processes of this instance that have a template as parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, name, _, parent = re.match(r"(\d+) \((.*)\) (\S) (\d+)", path.read_text()).groups()
            if name.startswith("cyrusauth"):
                found[int(pid)] = int(parent)
    return [pid for pid, parent in found.items() if parent in found]


def test_dead_worker(mta):
    """A worker that dies in the middle of a dialogue: 454, and the next one logs in."""
    with mta.smtp() as c:
        c.ehlo()
        c.cmd("AUTH LOGIN", 334)
        for pid in mta_workers(mta):
            os.kill(pid, signal.SIGKILL)
        c.cmd(b64("alice"), r"454 4\.7\.0 ")
    def tried():
        with mta.smtp() as again:
            return "AUTH" in again.ehlo() and again.auth_plain("alice", "secret", expect=None).code == 235
    poll(tried, 10, "a login")


def test_saslauthd(make_mta):
    """Passwords that saslauthd knows; when it has gone nobody is told that his is wrong."""
    mta = make_mta(start=False, main={
        "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "cyrus", "smtpd_sasl_path": "auth",
        "cyrus_sasl_config_path": "$config_directory/sasl", "smtpd_sasl_local_domain": REALM})
    sasl = mta.config / "sasl"
    sasl.mkdir(mode=0o755)
    (sasl / "auth.conf").write_text(
        f"pwcheck_method: saslauthd\nsaslauthd_path: {sasl}/mux\nmech_list: PLAIN LOGIN\n")
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
