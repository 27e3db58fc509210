"""Group U, local users against the commands, and delivery to what they put in its way."""

import os
import pwd
import random
import re
import resource
import signal
import stat
import subprocess
import threading

import pytest
from attack import LONG, MAIN, clean_log, queued, settled
from attack import secret  # noqa: F401 (a fixture)
from ipc import message
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


PROBE, USER = 1 << 4, 1 << 1
"""Flags of lib/queue/envelope.h."""


def records(sender="alice@example.test", rcpt="bob@example.test", flags=USER, text=b"Subject: x\r\n\r\nx\r\n"):
    """What sendmail says to postdrop."""
    return (message("envelope", sender=sender, flags=flags) + message("rcpt", address=rcpt)
            + message("submit_data", bytes=text, is_last=1))


def maildrop(mta):
    """The files that wait for pickup, and what was left behind."""
    return [f for f in (mta.queue / "maildrop").iterdir() if f.is_file()]


GOOD = records()

DAMAGED = {
    "sender": records(sender="a@b\nrcpt"), "cr": records(sender="a\rb"), "nul": records(sender="a\0b"),
    "rcpt": records(rcpt="bob\nalice"), "rcptnul": records(rcpt="bob\0alice"), "norcpt": records(rcpt=""),
    "escape": records(rcpt="bob\x1b[2J"), "cut": GOOD[:-1], "half": GOOD[:40], "tail": GOOD + b"x",
    "twice": GOOD + GOOD, "shift": b"\0" + GOOD, "length": b"\xff" * 30 + GOOD,
    "huge": b"\xff\xff\xff\x7f" + GOOD[4:], "zero": b"\0\0\0\0" + GOOD, "other": message("status") + GOOD,
    "nodata": GOOD[:GOOD.index(b"submit_data") - 4], "noenvelope": GOOD[GOOD.index(b"rcpt") - 4:],
    "long": records(sender="a" * 2000), "foreign": message("queue_command", verb=1),
}


@pytest.mark.parametrize("row", DAMAGED)
def test_U4_records(mta, row):
    """Records that are nearly right leave no file either."""
    result = mta.run("postdrop", "-r", stdin=DAMAGED[row], user="alice", timeout=20)
    assert result.code != 0, result
    assert not maildrop(mta) and queued(mta) == 0


def test_U4_good(mta):
    """The records that those are made of are taken."""
    mta.run("postdrop", "-r", stdin=GOOD, user="alice").ok()
    mail, = mta.wait_maildir("bob")
    assert "from userid 5001" in mail.header("Received")


def drop(mta, **kw):
    """A postdrop of alice, whose input is a pipe."""
    return subprocess.Popen(
        [program("postdrop"), "-r"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, user=ALICE.pw_uid,
        group=ALICE.pw_gid, extra_groups=[], env={"MAIL_CONFIG": str(mta.config)}, **kw)


def test_U4_endless(mta):
    """Input without end stops at message_size_limit."""
    piece = message("submit_data", bytes=b"x" * 65536)
    process, sent = drop(mta), 0
    try:
        process.stdin.write(GOOD[:GOOD.index(b"submit_data") - 4])
        while sent < 1 << 30:
            sent += process.stdin.write(piece)
    except BrokenPipeError:
        pass
    assert process.wait(20) == os.EX_UNAVAILABLE
    assert sent < 16 << 20 and not maildrop(mta)
    process.stderr.close()


def test_U4_silent(mta):
    """Input that never comes: postdrop has a timer, and goes with its file when that ends."""
    process = drop(mta)
    process.stdin.write(GOOD[:60])
    process.stdin.flush()
    poll(lambda: maildrop(mta), 10, "the temporary file")
    # What the kernel does when the hour of postdrop's patience is over.
    process.send_signal(signal.SIGALRM)
    assert process.wait(10) == os.EX_TEMPFAIL
    assert not maildrop(mta)
    process.stderr.close()


@pytest.mark.parametrize("flags", [PROBE, PROBE | USER, 1 << 9, 1 << 10, 1 << 11, 1 << 31])
def test_U5(mta, flags):
    """What only daemons may say of a message, a probe of its recipients above all, is refused."""
    result = mta.run("postdrop", "-r", stdin=records(flags=flags), user="alice")
    assert result.code == os.EX_DATAERR and not maildrop(mta)
    assert queued(mta) == 0 and not mta.maildir("bob")


def test_U6_signals(mta):
    """Signals at any moment: there is a message or there is none, and nothing else is left."""
    chance = random.Random(1)
    taken = 0
    for _ in range(1000 if LONG else 60):
        process = drop(mta)
        sender = threading.Timer(chance.random() * 0.006, process.send_signal, [chance.choice(
            [signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP, signal.SIGQUIT])])
        sender.start()
        try:
            process.stdin.write(GOOD[:50])
            process.stdin.flush()
            process.stdin.write(GOOD[50:])
            process.stdin.close()
        except BrokenPipeError:
            pass
        code = process.wait(20)
        sender.join()
        process.stderr.close()
        # Before its handlers are there, a signal just ends it.
        assert code in (0, os.EX_TEMPFAIL) or code < 0, code
        taken += code == 0
    poll(lambda: not maildrop(mta), 30, lambda: f"left in maildrop: {maildrop(mta)}")
    settled(mta)
    assert len(mta.maildir("bob")) >= taken


def no_cwd():
    os.mkdir(path := f"/tmp/gone.{os.getpid()}")
    os.chdir(path)
    os.rmdir(path)


LIMITS = {
    "fd0": lambda: os.close(0), "fd1": lambda: os.close(1), "fd2": lambda: os.close(2),
    "fds": lambda: os.closerange(0, 3),
    "nofile": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)),
    "fsize": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    "soft": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)),
    "as": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20)),
    "umask": lambda: os.umask(0o777), "cwd": no_cwd,
}


@pytest.mark.parametrize("row", LIMITS)
@pytest.mark.parametrize("command", ["postdrop", "sendmail", "postqueue"])
def test_U6_limits(mta, row, command):
    """What a caller can take away from a program: it works, or fails and leaves nothing."""
    arguments = {"postdrop": ["-r"], "sendmail": ["bob@example.test"], "postqueue": ["-p"]}[command]
    done = subprocess.run(
        [program(command), *arguments], input=GOOD if command == "postdrop" else b"Subject: x\n\nx\n",
        capture_output=True, user=ALICE.pw_uid, group=ALICE.pw_gid, extra_groups=[], timeout=20,
        env={"MAIL_CONFIG": str(mta.config)}, preexec_fn=LIMITS[row], cwd="/")
    poll(lambda: not maildrop(mta), 20, "empty maildrop")
    settled(mta)
    if row in ("umask", "cwd", "soft", "fd1", "fd2") and command != "postqueue":
        assert done.returncode == 0, done
        mail, = mta.wait_maildir("bob")
        assert mail.body == b"x\n"
    if row in ("fd1", "fds") and command == "postqueue":
        # It has nowhere to write to, and may say so.
        assert len(mta.grep_log("fatal: ")) == len(mta.grep_log("fatal: write: Bad file descriptor"))
        mta.set_mark()


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


SWAP = """
import os, sys, time
path, victim, end = sys.argv[1], sys.argv[2], time.monotonic() + float(sys.argv[3])
os.chdir(path)
count = 0
while time.monotonic() < end or count <= 500:
    for name in ("Maildir", "Maildir/new", "Maildir/tmp"):
        try:
            os.rename(name, name + ".aside")
            os.symlink(victim, name)
            os.unlink(name)
            os.rename(name + ".aside", name)
        except OSError:
            # The other side made a directory meanwhile.
            os.system(f"rm -rf {name}.aside")
        count += 1
print(count)
"""


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_U8(mta, mode):
    """A Maildir whose folders become links to another's, and folders again, all the time: nothing
    comes there that the user could not have put there himself."""
    victim = home("bob") / "Maildir"
    for folder in (victim, victim / "new", victim / "tmp", victim / "cur"):
        folder.mkdir()
        os.chown(folder, *pwd.getpwnam("bob")[2:4])
        folder.chmod(mode)
    seconds = 60 if LONG else 0.8
    swapper = subprocess.Popen(
        ["/usr/bin/python3", "-c", SWAP, str(home("alice")), str(victim), str(seconds)],
        stdout=subprocess.PIPE, user=ALICE.pw_uid, group=ALICE.pw_gid, extra_groups=[])
    while swapper.poll() is None:
        mta.inject("alice@example.test", sender="")
    assert int(swapper.stdout.read()) > 500
    swapper.stdout.close()
    found = [f for f in victim.rglob("*") if f.is_file()]
    assert all(f.stat().st_uid == ALICE.pw_uid for f in found), found
    assert mode == 0o777 or not found
    clean_log(mta)
    mta.purge()


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
        # A listing can miss a message that moves between queues.
        poll(lambda: mta.queued(qid), 10, "the message")
        assert mta.status()
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
    assert lines[-1] == str(os.nice(0))


def chain(name, count, end):
    """Include files, each with the next in it."""
    folder = TMP / name
    folder.mkdir()
    folder.chmod(0o755)
    for number in range(count):
        (folder / str(number)).write_text(
            f":include:{folder}/{number + 1}\n" if number < count - 1 else end)
    return folder / "0"


def test_U10(make_mta):
    """Include files that include themselves, in a circle, or one another without end."""
    depth = 100000 if LONG else 300
    own = chain("own", 1, f":include:{TMP}/own/0\nalice\n")
    circle = chain("circle", 5, f":include:{TMP}/circle/0\nalice\n")
    deep = chain("deep", depth, "alice\n")
    mta = make_mta({**MAIN, "alias_maps": f"inline:{{ {{own = :include:{own}}}, "
                    f"{{circle = :include:{circle}}}, {{deep = :include:{deep}}} }}"})
    for name in ("own", "circle"):
        qid = mta.inject(f"{name}@example.test", sender="carol@example.test")
        mta.wait_gone(qid)
    assert len(mta.wait_maildir("alice", 2)) == 2
    qid = mta.inject("deep@example.test", sender="carol@example.test")
    assert mta.wait_delivery(qid)["dsn"] == "5.4.6"
    mta.wait_maildir("carol")
    settled(mta)
    clean_log(mta)


def test_U13(make_mta):
    """A user who fills maildrop comes to a limit; others, and root, do not notice."""
    mta = make_mta({**MAIN, "maildrop_user_message_limit": "20"})
    mta.stop()

    def submit(user):
        return mta.sendmail("-i", "dave@example.test", stdin="Subject: x\n\nx\n", user=user).code
    assert [submit("alice") for _ in range(20)] == [0] * 20
    assert submit("alice") == os.EX_TEMPFAIL
    assert [submit("bob") for _ in range(3)] == [0] * 3
    assert [submit(None) for _ in range(25)] == [0] * 25
    assert len(maildrop(mta)) == 48
    mta.start()
    mta.wait_maildir("dave", 48)
    assert submit("alice") == 0
    mta.wait_maildir("dave", 49)
    settled(mta)
    clean_log(mta)


def test_U14(make_mta):
    """Nothing is delivered with the rights of root: not root's mail, not that of another with its
    number, not a command or a file of an alias."""
    toor = TMP / "home" / "toor"
    toor.mkdir(mode=0o755)
    with open("/etc/passwd", "a") as f:
        f.write(f"toor:x:0:0:toor:{toor}:/bin/sh\n")
    (toor / ".forward").write_text(f'"|id -u >{toor}/ran"\n')
    out = TMP / "out"
    out.mkdir()
    out.chmod(0o777)
    aliases = (f'{{cmd = "|id -u >{out}/ran"}}, {{file = {out}/file}}, {{root = toor, alice}}')
    mta = make_mta({**MAIN, "alias_maps": f"inline:{{ {aliases} }}"})
    for name in ("cmd", "file", "root", "toor"):
        qid = mta.inject(f"{name}@example.test", sender="")
        mta.wait_delivery(qid)
    assert poll(lambda: (out / "ran").exists() and (out / "ran").read_text()).strip() != "0"
    assert (out / "file").stat().st_uid != 0
    mta.wait_maildir("alice")
    # What ran there, if it did, could not write.
    assert {f.name for f in toor.iterdir()} == {".forward"}
    clean_log(mta)
