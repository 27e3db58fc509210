"""What becomes of work that was under way when a process is killed, or the system stopped."""

import fcntl
import os
import signal
import time

import pytest
from mta import ROOT, poll

SLOW = 1.5
"""Seconds that the next host takes for its 250."""


def processes(program):
    """Process number and parent of each process of a program."""
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
        if path.startswith(f"{ROOT}/") and path.endswith(f"/{program}"):
            found[int(entry.name)] = parent
    return found


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


def test_leftovers(make_mta):
    """Unfinished files of writers that have gone are removed, those of living ones are not."""
    instance = make_mta(services=["pickup unix n - n 1 1 pickup"])
    paths = [instance.queue / x for x in
             ("incoming/0C5CA02C0C373003", "maildrop/tmp.1.1", "maildrop/tmp.2.2")]
    for path in paths:
        path.write_bytes(bytes(300))
        os.utime(path, (time.time() - 60,) * 2)
        os.chown(path, instance.data.stat().st_uid, -1)
    with paths[-1].open("rb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        poll(lambda: not paths[0].exists() and not paths[1].exists())
        assert paths[-1].exists()
    poll(lambda: not paths[-1].exists())


def test_unreadable_in_maildrop(make_mta):
    """A submission that cannot be read now stays, and holds up no other."""
    instance = make_mta()
    stuck = instance.queue / "maildrop" / "0000000000000001"
    stuck.write_bytes(b"x")
    stuck.chmod(0)
    for number in range(3):
        instance.submit("alice", f"Subject: {number}\n\nHello.\n")
        instance.wait_maildir("alice", number + 1)
    assert stuck.exists()
