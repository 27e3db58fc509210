"""The life of Postern's daemons where it is not Postfix's: the watchdog of a loop, tables that are
not there or not approved, log files that may not be, the options of listening sockets."""

import contextlib
import ctypes
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest
from mta import TMP, poll
from policy_util import try_rcpt

REJECTED = "proxy:texthash:$config_directory/rejected"


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta(
        services=["LISTEN1 inet n - n - - smtpd -o smtpd_recipient_restrictions="
                  f"check_recipient_access,{REJECTED},permit"],
        main={"qmgr_daemon_timeout": "1s", "tcp_windowsize": "8192",
              "proxy_read_maps": "texthash:$config_directory/rejected, $local_recipient_maps"},
        files={"rejected": "bob@example.test REJECT\n"})


def has_pending(pid, number):
    """Whether this signal waits for a process."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    return any(int(mask, 16) & 1 << number - 1
               for mask in re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)", text, re.M))


def test_watchdog_of_a_loop(mta):
    """A queue manager that does not get on is ended, and replaced."""
    qid = mta.inject("alice@example.test")
    assert mta.wait_delivery(qid)["status"] == "sent"
    pid = int(mta.wait_log(r"qmgr\[(\d+)\]").group(1))
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: has_pending(pid, signal.SIGALRM))
    os.kill(pid, signal.SIGCONT)
    mta.wait_log(rf"qmgr pid {pid}: watchdog timeout")
    qid = mta.inject("alice@example.test")
    assert mta.wait_delivery(qid)["status"] == "sent"


def test_unapproved_table(mta):
    """A table that main.cf has as proxy:type:name and proxy_read_maps has not is an error for now."""
    try_rcpt(mta, "bob@example.test", listen=1).check(451)
    mta.wait_log(rf'warning: request for unapproved table: "texthash:{mta.config}/rejected"')


def test_window(mta):
    """tcp_windowsize: the kernel counts twice what is asked for."""
    said = subprocess.run(["ss", "-Htlnm"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf":{mta.port(0)} .*\n?.*\brb16384\b", said)


PIDFD_GETFD = 438


def test_replies_do_not_wait(mta):
    """The server's side of a connection sends at once what is written (TCP_NODELAY): else the first reply
    in a session with TLS 1.3 waits 40 ms for the client's word that it has the session ticket."""
    with socket.create_connection((mta.host, mta.port(1))) as client:
        client.recv(1000)
        host, port = client.getsockname()
        said = subprocess.run(["ss", "-Htnp", "dst", f"{host}:{port}"], capture_output=True, text=True,
                              check=True).stdout
        pid, fd = re.search(r"pid=(\d+),fd=(\d+)", said).groups()
        process = os.pidfd_open(int(pid))
        copy = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, int(fd), 0)
        os.close(process)
        assert copy >= 0, os.strerror(ctypes.get_errno())
        with socket.socket(fileno=copy) as server:
            assert server.getpeername() == (host, port)
            assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_table_not_there(make_mta, mta):
    """daemon_table_open_error_is_fatal: a daemon without one of its tables does not start."""
    instance = make_mta(start=False, main={"virtual_alias_maps": "texthash:$config_directory/gone"})
    instance.control("start").ok()
    instance.control("stop").ok()
    instance.main["daemon_table_open_error_is_fatal"] = "yes"
    instance.write_main()
    assert instance.control("start").code != 0
    assert not instance.status()
    instance.wait_log(r"fatal: virtual_alias_\w+: .*gone")


@pytest.mark.parametrize("prefixes, is_good", [
    ("/nowhere, $maillog_file", True), (f"{TMP}/", True), (f"{TMP}/mt", False), ("/nowhere", False)])
def test_prefixes(make_mta, mta, prefixes, is_good):
    """maillog_file must stand below one of maillog_file_prefixes."""
    with_old = dict(mta.main)
    mta.main["maillog_file_prefixes"] = prefixes
    mta.write_main()
    result = mta.check()
    mta.main = with_old
    mta.write_main()
    assert (result.code == 0) == is_good
    assert is_good or "maillog_file_prefixes" in result.err


def test_permissions(make_mta):
    """maillog_file_permissions: the mode of a new file."""
    for mode in ("0600", "0640", "0644"):
        instance = make_mta(start=False, main={"maillog_file_permissions": mode})
        instance.control("start").ok()
        assert stat.S_IMODE(instance.log_file.stat().st_mode) == int(mode, 8)
        instance.control("stop").ok()


def test_own_writer(make_mta):
    """Updates of tables go to the service of proxywrite_service_name."""
    instance = make_mta(
        start=False,
        services=["writer unix - - n - 1 proxymap"],
        main={"address_verify_map": "proxy:btree:$config_directory/../shared/verify",
              "proxywrite_service_name": "writer",
              "smtpd_recipient_restrictions": "reject_unverified_recipient"})
    shared = instance.dir / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    instance.start()
    (instance.queue / "jail/verify/proxywrite").unlink()
    try_rcpt(instance, "alice@example.test").check(250)
    poll((shared / "verify.db").exists)


def test_kick_in_vain(mta):
    """trigger_timeout: how long postkick(1) tries to reach a service that does not accept."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stuck, contextlib.ExitStack() as near:
        stuck.bind(str(mta.queue / "public/stuck"))
        stuck.listen(0)
        waiting = near.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        waiting.connect(str(mta.queue / "public/stuck"))
        with mta.settings(trigger_timeout="1s"):
            result = mta.run("postkick", "public", "stuck", "W", timeout=9)
    assert result.code == 1
    assert "Cannot contact class public service stuck" in result.err


@pytest.mark.parametrize("pieces", [
    (b"DATA\r\n", b"Subject: small\r\n", b"\r\nhello\r\n", b".\r\n"),
    (b"BDAT 25 LAST\r\n", b"Subject: small\r\n", b"\r\nhello\r\n")])
def test_small_pieces(mta, pieces):
    """A client that sends a message line by line (Nagle's algorithm) does not wait for the 40 ms of a delayed
    acknowledgement: the quickest of five messages shows it."""
    took = []
    with socket.create_connection((mta.host, mta.port(0))) as client, client.makefile("rb") as replies:
        replies.readline()
        for _ in range(5):
            for line in (b"HELO client.test\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<alice@example.test>\r\n"):
                client.sendall(line)
                assert replies.readline().startswith(b"250")
            begin = time.monotonic()
            for piece in pieces:
                client.sendall(piece)
                if piece == b"DATA\r\n":
                    assert replies.readline().startswith(b"354")
            assert replies.readline().startswith(b"250")
            took.append(time.monotonic() - begin)
    assert min(took) < 0.04, took
