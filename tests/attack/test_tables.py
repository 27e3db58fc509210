"""Group I, tables, messages between processes, and the log."""

import os
import pwd
import random
import re
import socket
import stat
import traceback

import pytest
from attack import MAIN, alive, clean_log, daemons, descriptors, program_of, queued, settled, stranger
from attack import secret  # noqa: F401 (a fixture)
from ipc import MESSAGES, Channel, message
from mta import TMP, home, map_types, poll, write_home
from policy_util import Policy

ALICE = pwd.getpwnam("alice")

SQL = [
    "\"x'/**/UNION/**/SELECT 1--\"@client.test", "\"x' OR '1'='1\"@client.test", "x\\';--@client.test",
    "\"*)(uid=*\"@client.test", "%s%u%d@client.test", "*@client.test"]


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta({
        **MAIN, "header_checks": "regexp:{{/^Subject:/ WARN}}",
        "smtpd_client_message_rate_limit": "1000", "address_verify_map": "btree:$data_directory/verify"})


@pytest.fixture(scope="module")
def policy():
    server = Policy()
    yield server
    server.close()


@pytest.fixture(scope="module")
def asking(make_mta, policy):
    """An instance that asks a policy server about recipients, before it looks for their names."""
    return make_mta({**MAIN, "smtpd_recipient_restrictions":
                     f"check_policy_service inet:{policy.host}:{policy.port}, reject_unlisted_recipient"})


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


def test_I1(make_mta):
    """Addresses that are parts of queries elsewhere are keys, and find what is stored under just
    them. There is no table type that has a query language."""
    assert not {"sqlite", "mysql", "pgsql", "ldap", "mongodb", "memcache"} & map_types()
    own = make_mta(
        {**MAIN, "smtpd_sender_restrictions": "check_sender_access hash:$config_directory/h, "
         "check_sender_access lmdb:$config_directory/l, check_sender_access texthash:$config_directory/t"},
        tables={"hash:h": "x@client.test REJECT\n", "lmdb:l": "1@client.test REJECT\n",
                "texthash:t": "uid@client.test REJECT\n"})
    for sender in SQL:
        c = stranger(own)
        if c.mail(sender, expect="250|501").code == 250:
            c.rcpt("alice@example.test")
        c.cmd("RSET", 250)
        c.mail("x@client.test")
        c.rcpt("alice@example.test", expect="554")
        alive(c)
        c.close()
    clean_log(own)


@pytest.mark.parametrize("local", [
    '"a b"', '"a\tb"', "%0a%00", '"a=b"', '"a\\\\b"', '"a\\"b"', "a=REJECT", '"' + "a " * 200 + '"'])
def test_I2(asking, policy, local):
    """What a policy server is asked is one request, one attribute a line, whatever the address is."""
    policy.reset()
    c = stranger(asking)
    c.cmd(f"MAIL FROM:<{local}@client.test>", "250|501")
    c.cmd(f"RCPT TO:<{local}@example.test>", "5")
    c.cmd("RSET", 250)
    c.mail("a@client.test")
    c.rcpt("alice@example.test")
    alive(c)
    c.close()
    assert 1 <= len(policy.raw) <= 2
    names = [[line.partition(b"=")[0] for line in raw.split(b"\n")] for raw in policy.raw]
    assert all(n == names[0] and len(set(n)) == len(n) for n in names), policy.raw
    clean_log(asking)


def test_I2_refused(mta):
    """A line end in an address is no address, nor are a hundred thousand bytes."""
    c = stranger(mta)
    for address in (b"a\nb@client.test", b'"a\nb"@client.test', b"a" * 100000 + b"@client.test"):
        c.send(b"MAIL FROM:<" + address + b">\r\n")
        c.reply("50[012]|55")
        c.line("NOOP")
        while c.reply("50[012]|55|250 2.0.0 Ok").code != 250:
            pass
    alive(c)
    assert queued(mta) == 0


@pytest.mark.parametrize("target", ["/$1", "|$1", ":include:$1", '"|/bin/$1"'])
def test_I3(make_mta, target):
    """What a pattern matched does not come into files, commands and lists of aliases."""
    own = make_mta({**MAIN, "local_recipient_maps": "",
                    "alias_maps": "regexp:$config_directory/patterns"},
                   files={"patterns": f"/^(.*)$/ {target}\n"})
    c = stranger(own)
    c.mail("")
    c.rcpt(f"{TMP.name}@example.test", expect="250|550")
    c.rcpt("alice@example.test")
    c.data("Subject: x\n\nx\n")
    own.wait_maildir("alice")
    own.wait_log("substitution is not allowed")
    settled(own)
    assert not os.path.exists(f"/{TMP.name}") and not os.path.exists("/alice")
    clean_log(own)


def sockets(mta):
    """The sockets that a process of Postern could use, each with the user who has it."""
    found = [p for p in (mta.queue / "jail").glob("*/*") if stat.S_ISSOCK(p.lstat().st_mode)]
    assert len(found) > 30
    return [(p.parent.name, p.name, p.parent.stat().st_uid) for p in found]


def junk():
    """What no client of ours says: noise, damaged messages, and messages for somebody else."""
    chance = random.Random(1)
    whole = [message(name) for name in MESSAGES]
    some = whole[chance.randrange(len(whole))]
    return [
        b"\0", b"\xff" * 4, chance.randbytes(1000), chance.randbytes(150000), some[:-1], some + b"\0",
        b"\xff\xff\xff\x7f" + some[4:], some.replace(b"\0", b"\x01", 1), b"\x05\0\0\0statu",
        message("status")[:-2] + b"\xff\xff", message("submit_open", envelope=b"\xff" * 100),
        message("queue_new", queue_id="../../etc/passwd"), message("queue_command", verb=2**31),
        message("deliver_request", queue_id="a\nb", rcpts=b"\0" * 50),
        message("table_request", table="pcre:/etc/shadow", key="\0"),
        message("dns_query", name="a" * 255, type=65535), message("rate_event", kind=2**31),
        message("rate_event", kind=1, service=b"\n" * 255, client=b"\x1b" * 63),
        message("verify_query", address="\n"), *whole]


def as_user(uid, action):
    """Does something as another user, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            action()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def shout(mta, client, service, fds=()):
    """Says each piece of junk to a service, on a connection of its own and then on one for all."""
    pieces = junk()
    for group in ([[piece] for piece in pieces[:12]] + [pieces]):
        with Channel(mta, client, service) as channel:
            try:
                for piece in group:
                    channel.send(piece, fds)
            except OSError:
                pass  # dropped, as it should be


def works(mta):
    """A message goes through smtpd, cleanup, qmgr and local."""
    mta.inject("alice@example.test")
    mta.wait_maildir("alice")
    settled(mta)


def test_I6(mta):
    """Every service lives on when a peer of the right user talks nonsense."""
    works(mta)
    loops = {pid: program_of(pid) for pid in daemons(mta)}
    for client, service, uid in sockets(mta):
        as_user(uid, lambda: shout(mta, client, service))
    for name in ("qmgr", "pickup", "flush", "showq", "cleanup"):
        path = mta.queue / "public" / name
        for piece in junk() if path.exists() else []:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                try:
                    sock.connect(str(path))
                    sock.send(piece)
                except OSError:
                    pass
    mta.inject("bob@example.test")
    mta.wait_maildir("bob")
    settled(mta)
    for name in ("master", "qmgr", "front", "dns", "anvil"):
        pids = [pid for pid, found in loops.items() if found == name]
        assert set(pids) <= set(daemons(mta, name)), name


def test_I7(mta):
    """Descriptors that nobody asked for are closed, one or as many as a packet can have."""
    works(mta)
    before = {pid: descriptors([pid]) for pid in daemons(mta)}
    null = os.open("/dev/null", os.O_RDONLY)
    for client, service, uid in sockets(mta):
        as_user(uid, lambda: shout(mta, client, service, (null,)))
        as_user(uid, lambda: shout(mta, client, service, (null,) * 253))
    os.close(null)
    mta.inject("bob@example.test")
    mta.wait_maildir("bob")
    settled(mta)

    def held():
        return {pid: (program_of(pid), count, descriptors([pid])) for pid, count in before.items()
                if pid in daemons(mta) and descriptors([pid]) > count + 3}
    poll(lambda: not held(), 10, lambda: f"descriptors are closed: {held()}")


@pytest.mark.parametrize("raw", [
    b"\x1b[2J", b"\x07\x08", b"%n%s%99999d", b"\xff\xfe", b"\x9b2J", b"\xe2\x80\xae", b"a\rb", b"x" * 3000],
    ids=["escape", "bell", "format", "8bit", "csi", "bidi", "cr", "long"])
def test_I8(mta, raw):
    """What clients say is in the log without control characters, and one event is one line."""
    c = stranger(mta)
    c.cmd(b"EHLO " + raw[:400])
    c.cmd(b"MAIL FROM:<" + raw[:400] + b"@client.test>")
    c.cmd("RSET", 250)
    c.mail("a@client.test")
    c.cmd(b"RCPT TO:<" + raw[:400] + b"@example.test>")
    c.rcpt("alice@example.test")
    before = len(mta.log().splitlines())
    c.data(b"Subject: " + raw.replace(b"\r", b"\x0b") + b"\n\nx\n")
    mta.wait_log("warning: header Subject:")
    settled(mta)
    lines = mta.log().splitlines()[before:]
    # Without what is said of the session before, which may end meanwhile.
    assert sum(not re.search(r"postfix/test\[|\]: (?:lost connection|disconnect) ", line)
               for line in lines) <= 6, lines
    logged = mta.log_bytes()
    assert not re.search(rb"[\x80-\xff]", logged.replace(b"\xe2\x80\xae", b"")), logged
    alive(c)
    c.close()


def test_I9_access(mta):
    """Users cannot reach the log's socket but through postlog, whose name stays on what they write."""
    def connect():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect(str(mta.queue / "public/postlog"))
            except PermissionError:
                return
            raise AssertionError("connected")
    as_user(ALICE.pw_uid, connect)
    mta.run("postlog", "-t", "postfix/smtpd[1]: A:", "-p", "warn", "one\ntwo\x1b[2J", user="alice").ok()
    mta.wait_log(r"postfix/postlog/postfix/smtpd_1_:\S*\[\d+\]: warning: one\?two\?\[2J$")
    mta.run("postlog", stdin="y" * 100000 + "\nlast line\n", user="alice").ok()
    mta.wait_log(r"postfix/postlog\[\d+\]: last line$")
    assert not mta.grep_log(r"postfix/smtpd\[1\]")


def test_I9_datagrams(mta):
    """What is no record is not logged, and the log goes on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(mta.queue / "public/postlog"))
        chance = random.Random(2)
        for raw in (b"", b"\0", b"\n", b"x", b" " * 1000, b"1 i", b"1 i a[1]:", b"1 i a[x]: t", b"1 q a[1]: t",
                    b"-1 i a[1]: t", b"99999999999999999999 i a[1]: t", b"1 i a b[1]: t", b"1 i [1]: t",
                    b"1 i a[1]: t\nx", b"1 i a[1]: \x1b[2J", b"1 i a[1]: " + b"t" * 60000,
                    b"1 i " + b"a" * 500 + b"[1]: t", chance.randbytes(2000)):
            sock.send(raw)
        sock.send(b"1700000000000000 i marker[1]: the end")
    mta.wait_log(r"marker\[1\]: the end$")
    lines = [line for line in mta.log().splitlines() if not re.search(r" postfix/|marker", line)]
    # "1 i a[1]:" is a record without a text.
    assert all(re.search(r" a\[1\]: $", line) for line in lines), lines


def test_I9_flood(mta):
    """Somebody who floods the log does not keep others from it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(mta.queue / "public/postlog"))
        sock.setblocking(False)
        for _ in range(20000):
            try:
                sock.send(b"1700000000000000 i marker[1]: noise")
            except BlockingIOError:
                pass
        works(mta)
    mta.wait_log("status=sent")


def own(path, user=ALICE):
    os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "dangling", "directory"])
@pytest.mark.parametrize("table", ["hash:t", "lmdb:t", "cdb:t"])
def test_I10(mta, secret, kind, table):
    """Root builds a user's table with the user's rights: what is in the table's place is replaced, or
    the build fails, but no file of root is written through it."""
    write_home("alice", "t", "a b\n")
    folder = home("alice")
    own(folder)
    place = folder / ("t." + {"hash": "db", "lmdb": "lmdb", "cdb": "cdb"}[table.partition(":")[0]])
    if kind == "symlink":
        place.symlink_to(secret)
    elif kind == "hardlink":
        os.link(secret, place)
    elif kind == "dangling":
        place.symlink_to(TMP / "created")
    else:
        place.mkdir()
    if kind != "hardlink":
        own(place)
    mta.run("postmap", f"{table.partition(':')[0]}:{folder}/t")
    assert not (TMP / "created").exists()
    for made in folder.glob("t*"):
        assert made.lstat().st_uid == ALICE.pw_uid or made.samefile(secret), made


@pytest.mark.parametrize("command", ["postmap", "postalias"])
@pytest.mark.parametrize("source", ["root", "bob", "link"])
def test_I10_folder(mta, secret, command, source):
    """A source that does not belong to the owner of its folder is not built by root."""
    folder = home("alice") / "tables"
    folder.mkdir()
    path = folder / "t"
    if source == "link":
        path.symlink_to(secret)
    else:
        path.write_text("a: b\n" if command == "postalias" else "a b\n")
        os.chown(path, *((0, 0) if source == "root" else pwd.getpwnam("bob")[2:4]))
    own(folder)
    result = mta.run(command, f"lmdb:{path}")
    assert result.code != 0 and "folder belongs to user 5001" in result.err, result
    assert [f.name for f in folder.iterdir()] == ["t"]


def test_tables_of_others(make_mta):
    """A table that only root can read is shown to the programs whose parameters name it, and to no
    other: who takes smtpd over learns no password of a relay. lmtp is the program smtp."""
    mta = make_mta(start=False)
    passwords = mta.write("passwords", "[relay.test]:587 me:secret\n", 0o600)
    mta.run("postmap", f"hash:{passwords}").ok()
    mta.main |= {"smtp_sasl_password_maps": f"unionmap:{{hash:{passwords}}}"}
    mta.write_main()
    mta.start()
    said = {}
    for client in ("smtp", "lmtp", "smtpd", "cleanup", "local"):
        with Channel(mta, client, "proxymap") as channel:
            channel.send(message("table_request", verb=1, table=f"hash:{passwords}",
                                 key="[relay.test]:587"))
            said[client] = b"secret" in channel.receive()
    assert said == {"smtp": True, "lmtp": True, "smtpd": False, "cleanup": False, "local": False}
