"""Group U, local users against the commands, and delivery to what they put in its way."""

import os
import pwd
import re
import stat
import subprocess

import pytest
from attack import MAIN, clean_log, queued, settled
from mta import TMP, home, poll, program, write_home

ALICE = pwd.getpwnam("alice")

SHELL_SETS = {"PWD", "OLDPWD", "SHLVL", "_"}
ALLOWED = set(
    "CLIENT_ADDRESS CLIENT_HELO CLIENT_HOSTNAME CLIENT_PORT CLIENT_PROTOCOL DOMAIN ENVELOPE_ID EXTENSION"
    " HOME LANG LOCAL LOGNAME MAIL_CONFIG ORIGINAL_RECIPIENT PATH RECIPIENT SASL_METHOD SASL_SENDER"
    " SASL_USERNAME SENDER SHELL TZ USER".split())
"""What local(8) and export_environment name, and the port of the client."""


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta({**MAIN, "myorigin": "$mydomain", "ipc_timeout": "10s"})


@pytest.fixture(scope="module")
def mbox(make_mta):
    """An instance that delivers to a file in the home."""
    return make_mta({**MAIN, "home_mailbox": "Mailbox"})


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


@pytest.fixture
def secret():
    """A file of root, with what must stay in it."""
    path = TMP / "secret"
    path.write_text("root's\n")
    path.chmod(0o600)
    yield path
    assert path.read_text() == "root's\n"
    path.unlink()


def own(path):
    os.chown(path, ALICE.pw_uid, ALICE.pw_gid, follow_symlinks=False)


def test_U1(mta):
    """A user's configuration is not used with the group of the commands."""
    evil = home("alice") / "evil"
    evil.mkdir()
    (evil / "main.cf").write_text(
        f"queue_directory = {evil}\ncommand_directory = {evil}\nmaillog_file = {evil}/log\n")
    (evil / "postdrop").write_text(f"#!/bin/sh\nid >{evil}/ran\n")
    (evil / "postdrop").chmod(0o755)
    for path in (evil, evil / "main.cf", evil / "postdrop"):
        own(path)
    for command, arguments in (("sendmail", ["bob"]), ("postdrop", []), ("postqueue", ["-p"])):
        result = mta.run(command, *arguments, stdin="x\n", user="alice",
                         env={"MAIL_CONFIG": str(evil)})
        assert result.code != 0 or command == "sendmail", result
    mta.sendmail("-C", str(evil), "bob", stdin="x\n", user="alice")
    if (evil / "ran").exists():
        assert "gid=5001" in (evil / "ran").read_text()
        assert "postdrop" not in (evil / "ran").read_text()
    assert queued(mta) == 0
    trace = TMP / "home" / "trace"
    for option in ("-oQ/tmp/evil", "-D", f"-X{trace}", "-oMrx"):
        mta.sendmail(option, "bob", stdin="x\n", user="alice")
    assert not trace.exists()


@pytest.mark.parametrize("sender", ["a\nX-Evil: y", "a\r\nRCPT TO:<bob>", "a\x1b[2J@b", "a" * 100000],
                         ids=["newline", "crlf", "escape", "long"])
def test_U2(mta, sender):
    """Control characters in arguments, and very long ones."""
    mta.sendmail("-f", sender, "-F", "name\nX-Evil: z", "bob", stdin="Subject: x\n\nx\n", user="alice")
    mta.run("postqueue", "-f")
    try:
        mail, = mta.wait_maildir("bob", timeout=2)
    except AssertionError:
        assert not mta.maildir("bob")
        return
    assert b"\nX-Evil" not in mail and b"\x1b" not in mail


def test_U3(mta):
    """A user may take another's name, and his number is written down."""
    mta.sendmail("-f", "root@example.test", "bob", stdin="Subject: x\n\nx\n", user="alice").ok()
    mail, = mta.wait_maildir("bob")
    assert "from userid 5001" in mail.header("Received")


@pytest.mark.parametrize("junk", [
    b"", b"\0" * 1000, b"\xff" * 30, b"S\xff\xff\xff\xff\x7f", os.urandom(65536), b"S\3a\nb",
    b"S\1aR\3a\0b", b"S" + b"\xff" * 30, b"\x01\x00", b"A" * (1 << 20)],
    ids=["empty", "zero", "ff", "length", "random", "newline", "nul", "lengths", "type", "long"])
def test_U4(mta, junk):
    """What postdrop cannot read leaves no file."""
    result = mta.run("postdrop", "-r", stdin=junk, user="alice", timeout=20)
    assert result.code != 0, result
    assert not [f for f in (mta.queue / "maildrop").rglob("*") if f.is_file()]
    assert queued(mta) == 0


@pytest.mark.parametrize("kind", ["symlink", "dangling", "hardlink", "fifo", "directory", "device",
                                  "other"])
def test_U7(mbox, kind, secret):
    """A mailbox that is no plain file of the user gets nothing."""
    box, target = home("alice") / "Mailbox", home("bob") / "Mailbox"
    target.write_text("bob's\n")
    os.chown(target, *pwd.getpwnam("bob")[2:4])
    target.chmod(0o666)
    if kind == "symlink":
        box.symlink_to(secret)
    elif kind == "dangling":
        box.symlink_to(TMP / "created")
    elif kind == "hardlink":
        os.link(target, box)
    elif kind == "fifo":
        os.mkfifo(box, 0o666)
        own(box)
    elif kind == "directory":
        box.mkdir()
        own(box)
    elif kind == "device":
        os.mknod(box, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    else:
        box.write_text("")
        box.chmod(0o644)
    qid = mbox.inject("alice@example.test", sender="")
    assert mbox.wait_delivery(qid)["status"] in ("deferred", "bounced")
    assert target.read_text() == "bob's\n"
    assert not (TMP / "created").exists()
    clean_log(mbox)


@pytest.mark.parametrize("kind", ["world", "other", "symlink", "fifo", "huge", "self", "include",
                                  "file", "directory"])
def test_U9(mta, kind, secret):
    """A .forward file acts for its user, or not at all."""
    path = home("alice") / ".forward"
    if kind == "world":
        write_home("alice", ".forward", "bob\n", mode=0o666)
    elif kind == "other":
        path.write_text("bob\n")
        os.chown(path, *pwd.getpwnam("bob")[2:4])
    elif kind == "symlink":
        secret.write_text("bob\n")
        path.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(path)
        own(path)
    elif kind == "huge":
        write_home("alice", ".forward", "")
        os.truncate(path, 1 << 30)
    elif kind == "self":
        write_home("alice", ".forward", "alice\nalice@example.test\n\\alice\n")
    elif kind == "include":
        write_home("alice", ".forward", ":include:/etc/shadow\n")
    elif kind == "file":
        write_home("alice", ".forward", "/etc/created-by-forward\n")
    else:
        path.mkdir()
        own(path)
    qid = mta.inject("alice@example.test", sender="")
    try:
        poll(lambda: not mta.mailq_json() or mta.deliveries(qid), 10)
        assert not mta.maildir("bob")
        assert not os.path.exists("/etc/created-by-forward")
        assert kind != "self" or len(mta.wait_maildir("alice")) == 1
    finally:
        if kind == "symlink":
            secret.write_text("root's\n")


@pytest.mark.parametrize("command", [
    ["postsuper", "-d", "ALL"], ["postcat", "-q", "QID"], ["postsuper", "-r", "ALL"],
    ["postfix", "stop"]])
def test_U11(mta, command):
    """Queue files are for the administrator."""
    mta.postconf("-e", "defer_transports=local").ok()
    mta.reload()
    try:
        qid = mta.inject("bob@example.test")
        result = mta.run(command[0], *(qid if a == "QID" else a for a in command[1:]), user="alice")
        assert result.code != 0 and "Hello" not in result.out
        assert mta.queued(qid) and mta.status()
    finally:
        mta.write_main()
        mta.reload()


def test_U11_files(mta):
    """Nor can a user list the queues, or talk to sockets that are not for users."""
    script = f"""
import os, socket
for name in ("active", "incoming", "deferred", "maildrop", "hold", "private", "corrupt"):
    try:
        print("listed", name, os.listdir("{mta.queue}/" + name))
    except (PermissionError, FileNotFoundError):
        pass
for name in ("cleanup", "qmgr", "local", "bounce", "rewrite"):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect("{mta.queue}/private/" + name)
        print("connected", name)
    except OSError:
        pass
"""
    done = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, text=True,
                          user=ALICE.pw_uid, group=ALICE.pw_gid, extra_groups=[], cwd="/")
    assert done.returncode == 0 and done.stdout == "", done


def test_U12(mta):
    """What a user's command inherits."""
    out = home("alice") / "out"
    spy = "ls -l /proc/self/fd; id -G; env; grep Sig /proc/self/status; nice"
    write_home("alice", ".forward", f'"|({spy}) >{out} 2>&1"\n')
    mta.inject("alice@example.test")
    text = poll(lambda: out.exists() and out.read_text().count("SigCgt") and out.read_text(), 10)
    settled(mta)
    lines = out.read_text().splitlines()
    # 3 is the directory that ls reads.
    numbers = {line.split(" -> ")[0].split()[-1] for line in lines if " -> " in line}
    assert numbers <= {"0", "1", "2", "3"}, text
    assert "5001" in lines
    names = {m.group(1) for line in lines if (m := re.match(r"(\w+)=", line))}
    assert names - SHELL_SETS <= ALLOWED, names
    blocked, = [line for line in lines if line.startswith("SigBlk")]
    ignored, = [line for line in lines if line.startswith("SigIgn")]
    # Signals 32 and 33 are the C library's own, which its posix_spawn() ignores.
    assert int(blocked.split()[1], 16) == 0 and int(ignored.split()[1], 16) & ~0x180000000 == 0
    assert lines[-1] == "0"
