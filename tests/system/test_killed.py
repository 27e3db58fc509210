"""What becomes of work that was under way when a process is killed, or the system stopped."""

import contextlib
import fcntl
import os
import signal
import struct
import time

import pytest
from mta import ROOT, STABLE_QUEUE, poll
from sink import HANG

SLOW = 1.5
"""Seconds that the next host takes for its 250."""


def processes(program):
    """Process number and parent of each process of a program, or of all ("")."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            path = os.readlink(f"/proc/{entry.name}/exe")
            with open(f"/proc/{entry.name}/stat", encoding="utf-8") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if path.startswith(f"{ROOT}/") and path.endswith(f"/{program}" if program else ""):
            found[int(entry.name)] = parent
    return found


def kill_everything():
    """Kills all that runs from the install root, until nothing is left."""
    while found := processes(""):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def master(instance):
    """Its process number."""
    return int((instance.queue / "pid" / "master.pid").read_text())


def busy_template(instance, program):
    """The template of the one worker that a program has."""
    parents = processes(program)
    pid, = {parent for parent in parents.values() if parents.get(parent) == master(instance)}
    return pid


@pytest.fixture
def slow(make_mta, make_sink):
    """An instance that is relaying a message to a slow host, and that host."""
    host = make_sink("198.51.100.1")
    host.rule("DOT", "250 2.0.0 taken", delay=SLOW)
    instance = make_mta(
        main={"relay_domains": "relay.test", "transport_maps": "inline:{relay.test=only:[198.51.100.1]}",
              "service_throttle_time": "1s"},
        services=["only unix - - n - - smtp", "smtp unix - - n - - error",
                  "relay unix - - n - - error"])
    instance.inject("x@relay.test")
    host.wait_session(1, ended=False)
    poll(lambda: host.sessions[0].commands[-1:] == ["DATA"])
    time.sleep(0.2)
    return instance, host


def delivered_once(instance, host):
    """Asserts that the message went out, and only once."""
    instance.wait_empty_queue()
    time.sleep(2 * SLOW)
    assert len(host.messages) == 1
    assert len(host.sessions) == 1


def test_template_killed(slow):
    """The workers of a template that was killed finish what they do."""
    instance, host = slow
    os.kill(busy_template(instance, "smtp"), signal.SIGKILL)
    delivered_once(instance, host)


def test_stopped(slow):
    """stop waits for the result of a delivery, which is not made again after the next start."""
    instance, host = slow
    instance.stop()
    assert len(host.messages) == 1
    instance.start()
    delivered_once(instance, host)


def test_master_killed(slow):
    """So does the queue manager of a master that was killed; the next master can start at once,
    though a client holds a session with the old one."""
    instance, host = slow
    with instance.smtp() as client:
        client.ehlo()
        pid = master(instance)
        os.kill(pid, signal.SIGKILL)
        poll(lambda: not os.path.exists(f"/proc/{pid}"))
        instance.start()
        client.cmd("NOOP", 250)
    delivered_once(instance, host)


def crc32c(data):
    """The checksum of queue files."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def in_incoming(instance, qid):
    """Where a file is looked for: the part of incoming that its name belongs to (lib/queue/dirs.h)."""
    return instance.queue / "incoming" / f"{crc32c(qid.encode()) % 16:x}" / qid


def test_leftovers(make_mta):
    """Unfinished files of writers that have gone are removed, those of living ones are not."""
    instance = make_mta(services=["pickup unix n - n 1 1 pickup"])
    paths = [in_incoming(instance, "0C5CA02C0C373003"), instance.queue / "maildrop/tmp.1.1",
             instance.queue / "maildrop/tmp.2.2"]
    for path in paths:
        path.write_bytes(bytes(300))
        os.chown(path, instance.data.stat().st_uid, -1)
    with paths[-1].open("rb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        for path in paths:  # from here on they are looked at
            os.utime(path, (time.time() - 60,) * 2)
        poll(lambda: not paths[0].exists() and not paths[1].exists())
        assert paths[-1].exists()
    poll(lambda: not paths[-1].exists())


def set_arrival(path, seconds):
    """Changes what a queue file says of its arrival (lib/queue/header.h)."""
    with path.open("r+b") as file:
        raw = bytearray(file.read(100))
        struct.pack_into("<q", raw, 16, int(seconds * 1000000))
        struct.pack_into("<I", raw, 96, crc32c(raw[:96]))
        file.seek(0)
        file.write(raw)


@pytest.mark.parametrize("tidy", ["start", "postsuper"])
def test_moved_by_hand(make_mta, tidy):
    """A message that somebody put into incoming itself, or into a part of it that is not its own, is found:
    at the next start, and by postsuper -s."""
    instance = make_mta(main={**STABLE_QUEUE, "defer_transports": "local"})
    qids = [instance.inject("bob@example.test") for _ in range(2)]
    for qid in qids:
        instance.wait_queue(qid, "deferred")
    del instance.main["defer_transports"]
    instance.write_main()
    instance.reload()
    incoming = instance.queue / "incoming"
    another = next(p for p in incoming.iterdir() if p != in_incoming(instance, qids[1]).parent)
    if tidy == "start":
        instance.stop()
    for qid, directory in zip(qids, (incoming, another)):
        (instance.queue / "deferred" / qid).rename(directory / qid)
    if tidy == "start":
        instance.start()
    else:
        assert set(instance.queue_ids()).isdisjoint(qids)
        instance.postsuper("-s").ok()
        instance.postqueue("-f").ok()
    instance.wait_maildir("bob", 2)
    instance.wait_empty_queue()


@pytest.mark.parametrize("ahead", [0, 86400])
def test_failure_is_returned_after_kill(make_mta, make_sink, ahead):
    """A failure that was noted before everything was killed is returned, also when the clock was a day
    ahead when the message came, and is right by now."""
    host = make_sink("198.51.100.1")
    slow = make_sink("198.51.100.2")
    slow.rule("DOT", "250 2.0.0 taken", delay=SLOW)
    make_sink("198.51.100.3").rule("RCPT", "550 5.1.1 no such user")
    instance = make_mta(main={
        "relay_domains": "bad.test, slow.test, hangs.test", "transport_maps":
        "inline:{bad.test=smtp:[198.51.100.3], slow.test=smtp:[198.51.100.2], hangs.test=smtp:[198.51.100.1]}"})
    hanging = host.rule("DOT", HANG)
    qid = instance.inject(["y@bad.test", "z@slow.test", "x@hangs.test"], sender="bob@example.test")
    path = in_incoming(instance, qid)
    before = path.read_bytes()
    # Both that are done are marked in the file.
    poll(lambda: sum(a != b for a, b in zip(before, path.read_bytes())) == 2)
    assert (instance.queue / "bounce" / qid).exists()
    kill_everything()
    hanging.action = "250 2.0.0 taken"
    set_arrival(path, time.time() + ahead)
    instance.start()
    instance.wait_log(f"{qid}: removed", timeout=30)
    notice, = instance.wait_maildir("bob")
    assert [r["Final-Recipient"] for r in notice.dsn().recipients] == ["rfc822; y@bad.test"]
    assert len(slow.messages) == 1


def test_unreadable_in_maildrop(make_mta):
    """A submission that cannot be read now stays, and holds up no other."""
    instance = make_mta()
    stuck = instance.queue / "maildrop" / "0000000000000001"
    stuck.write_bytes(b"x")
    stuck.chmod(0)
    began = time.monotonic()
    for number in range(3):
        instance.submit("alice", f"Subject: {number}\n\nHello.\n")
        instance.wait_maildir("alice", number + 1)
    assert stuck.exists() and time.monotonic() - began < 5  # the pause before it is tried again
