"""Logging to syslog, where maillog_file is empty: the form of the lines, a syslog daemon that is slow,
one that is restarted. /dev is a private one, with a socket of the test's own."""

import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from mta import TMP, poll

LOG = "/dev/log"
LINES = 5  # of a message: client=, message-id=, from=, to=, removed
NODES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")


class Syslog:
    """A syslog daemon that takes a line every `pause_s` seconds."""

    def __init__(self, pause_s=0.0):
        self.lines = []
        self.pause_s = pause_s
        Path(LOG).unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(LOG)
        os.chmod(LOG, 0o666)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while line := self.socket.recv(8192):
            self.lines.append(line.decode())
            time.sleep(self.pause_s)

    def close(self):
        """As one that is stopped: nobody answers at the socket any more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"", LOG)
        self.thread.join()
        self.socket.close()

    def grep(self, pattern):
        return [line for line in list(self.lines) if re.search(pattern, line)]


@pytest.fixture(scope="module")
def mta(make_mta):
    dev = TMP / "dev"
    dev.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "dev", dev], check=True)
    for name in NODES:
        (dev / name).touch()
        subprocess.run(["mount", "--bind", f"/dev/{name}", dev / name], check=True)
    for name, to in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to("/proc/self/fd" + to)
    subprocess.run(["mount", "--rbind", dev, "/dev"], check=True)
    first = Syslog()
    mta = make_mta({"syslog_facility": "mail"})
    with mta.settings(maillog_file=""):
        mta.run("postlog", "hello").ok()
        poll(lambda: first.grep("hello"))
        first.close()
        yield mta


def deliver(mta, log, count):
    qids = [mta.inject("alice@example.test") for _ in range(count)]
    for qid in qids:
        poll(lambda: log.grep(f"{qid}: removed"))
    return qids


def test_form(mta):
    log = Syslog()
    qid, = deliver(mta, log, 1)
    wanted = r"<22>\w{3} [ \d]\d \d\d:\d\d:\d\d postfix/%s\[\d+\]: "
    assert re.match(wanted % "local" + qid, log.grep("status=sent")[0])
    mta.run("postlog", "-p", "warn", "look", "here").ok()
    poll(lambda: log.grep("look here"))
    assert log.grep("look here")[0].startswith("<20>")
    log.close()


def test_slow(mta):
    """A daemon that takes its time gets every line, however few its socket has room for."""
    log = Syslog(pause_s=0.003)
    for qid in deliver(mta, log, 40):
        assert len(log.grep(f"{qid}: ")) == LINES, log.grep(qid)
    log.close()


def test_restart(mta):
    """No line is lost when the daemon was restarted."""
    for _ in range(3):
        log = Syslog()
        qid, = deliver(mta, log, 1)
        assert len(log.grep(f"{qid}: ")) == LINES, log.grep(qid)
        log.close()


def test_gone(mta):
    """Without a daemon mail goes on; the next one gets lines again."""
    mta.inject("alice@example.test")
    mta.wait_empty_queue()
    assert len(mta.maildir("alice")) == 1
    log = Syslog()
    deliver(mta, log, 1)
    log.close()


def test_commands_while_down(mta):
    """While the mail system is down, commands write to syslog themselves, with its facility and names."""
    log = Syslog()
    with mta.settings(syslog_facility="local3", syslog_name="name"):
        mta.stop()
        mta.run("postlog", "-p", "warn", "look", "here").ok()
        mta.postsuper("-d", "no/id")
        poll(lambda: log.grep(r"^<156>.* name/postlog\[\d+\]: warning: look here$"))
        poll(lambda: log.grep(r"^<156>.* name/postsuper\[\d+\]: warning: invalid mail queue id: no/id$"))
        mta.start()
    log.close()
