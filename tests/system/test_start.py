"""How the system comes up: readiness for a service manager, and a broken table at reload."""

import os
import re
import socket
import subprocess

import pytest
from mta import poll, program


@pytest.fixture
def instance(make_mta):
    """An instance that is not started."""
    return make_mta(start=False)


def test_readiness(instance):
    """start-fg stays in the foreground and tells the service manager when it serves, and that
    it stops; sd_notify(3)."""
    path = str(instance.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        master = subprocess.Popen(
            [program("postern"), "-c", str(instance.config), "start-fg"],
            env={**os.environ, "NOTIFY_SOCKET": path}, stderr=subprocess.DEVNULL)
        try:
            assert manager.recv(100) == b"READY=1"
            with instance.smtp(patience=0) as client:
                client.quit()
            master.terminate()
            said = manager.recv(100)
            while said == b"READY=1":
                said = manager.recv(100)
            assert said == b"STOPPING=1"
            assert master.wait(20) == 0
        finally:
            master.kill()


def test_one_service_does_not_come_up(instance):
    """In the foreground a service that cannot start is tried again; qmgr and pickup, which start
    last, do not wait for it for ever."""
    instance.services.append("LISTEN1 inet n - n - - smtpd -o smtpd_client_restrictions=nonsense")
    instance.write_master()
    master = subprocess.Popen([program("postern"), "-c", str(instance.config), "start-fg"],
                              stderr=subprocess.DEVNULL)
    try:
        instance.wait_log(r"smtpd.*throttling")
        instance.submit("bob@example.test")
        instance.wait_maildir("bob")
    finally:
        master.terminate()
        assert master.wait(20) == 0


def test_changed_file_counts(instance):
    """A table that a program has read into memory counts anew soon after its file has changed,
    without reload; DATABASE_README."""
    table = instance.table("texthash:live", "x@live.test bob@example.test\n")
    instance.main.update(virtual_alias_maps=table, virtual_alias_domains="live.test")
    instance.write_main()
    instance.start()
    instance.inject("x@live.test")
    instance.wait_maildir("bob")
    instance.write("live", "x@live.test carol@example.test\n")
    poll(lambda: instance.inject("x@live.test") and instance.maildir("carol"))
    instance.wait_empty_queue()


def test_changed_file_behind_a_link(instance):
    """The same for a table whose name is a link, when the file that it leads to changes."""
    (instance.dir / "elsewhere").mkdir()
    real = instance.dir / "elsewhere" / "table"
    real.write_text("x@live.test bob@example.test\n", encoding="ascii")
    (instance.config / "live").symlink_to(real)
    instance.main.update(virtual_alias_maps="texthash:$config_directory/live",
                         virtual_alias_domains="live.test")
    instance.write_main()
    instance.start()
    instance.inject("x@live.test")
    instance.wait_maildir("bob")
    real.write_text("x@live.test carol@example.test\n", encoding="ascii")
    poll(lambda: instance.inject("x@live.test") and instance.maildir("carol"))
    instance.wait_empty_queue()


def is_refused(instance):
    """What another process of smtpd hears."""
    with instance.smtp() as c:
        c.ehlo()
        c.mail("a@client.test")
        c.rcpt("carol@example.test")
        return c.data("Subject: other\n\n", None).code == 550


@pytest.mark.parametrize("begun", [False, True])
def test_changed_file_counts_at_once(instance, begun):
    """When cleanup has begun anew, the next message meets the new table, though smtpd has kept its
    connection to a process of before; a message that it had begun with goes through."""
    checks = instance.write("checks", "/^Subject: never/ REJECT\n")
    instance.services.append("LISTEN1 inet n - n - 1 smtpd")
    instance.main["header_checks"] = f"regexp:{checks}"
    instance.write_main()
    instance.write_master()
    instance.start()
    with instance.smtp(1) as c:
        c.ehlo()
        c.transaction("a@client.test", "bob@example.test", "Subject: one\n\n")
        if begun:
            c.mail("a@client.test")
            c.rcpt("bob@example.test")
        instance.write("checks", "/^Subject:/ REJECT now\n")
        poll(lambda: is_refused(instance), 15, "a new cleanup")
        if begun:
            c.data("Subject: two\n\n")
        c.mail("a@client.test")
        c.rcpt("bob@example.test")
        c.data("Subject: three\n\n", r"550 5\.7\.1 now")
        c.quit()
    assert len(instance.wait_maildir("bob", 1 + begun)) == 1 + begun


def test_stock_pipe_services(make_mta):
    """Services of a stock master.cf whose user does not exist here keep nobody from starting;
    mail for them waits."""
    mta = make_mta(
        services=["nosuch unix - n n - - pipe flags=DRhu user=no-such-user argv=/bin/cat"],
        main={"transport_maps": "inline:{pipe.test=nosuch:}"},
    )
    record = mta.wait_delivery(mta.submit("x@pipe.test"))
    assert (record["status"], record["dsn"]) == ("deferred", "4.3.5")
    mta.wait_log(r"unknown username: no-such-user")


def test_foreign_queue(instance):
    """A queue directory with Postfix's mail in it is left alone, and start says why."""
    deferred = instance.queue / "deferred" / "A"
    deferred.mkdir(parents=True)
    (deferred / "A1B2C3D4E5").write_bytes(b"CI            1000             500               1\n")
    for verb in ("check", "start"):
        result = instance.control(verb)
        assert result.code == 1 and "Postfix's format" in result.err, result
    assert not instance.status()


def said_at_failed_start(instance):
    """The lines of a start that must fail."""
    result = instance.control("start")
    assert result.code == 1 and not instance.status(), result
    return result.err.splitlines()


def test_failed_start_speaks_like_the_command(instance):
    """What master cannot do at the start is said as the other messages of the command are, by
    each line."""
    with socket.create_server((instance.host, instance.port())):
        lines = said_at_failed_start(instance)
    assert all(re.match(r"postern: (error: )?", line) for line in lines), lines
    assert re.match(r"postern: error: cannot listen on .*: Address already in use", lines[-1]), lines
    instance.services.append("LISTEN0 inet n - n - - smtpd -o smtpd_client_restrictions=nonsense")
    instance.write_master()
    lines = said_at_failed_start(instance)
    assert re.match(r"postern: error: the service \S+ \(smtpd\) cannot start", lines[-1]), lines
