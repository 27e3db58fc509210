"""Broken configuration: what is said about it, and that a running system does not suffer."""

import re
import shutil
import socket

import pytest
from mta import program


@pytest.fixture
def instance(make_mta):
    """An instance that is not started."""
    return make_mta(start=False)


@pytest.fixture(scope="module")
def running(make_mta):
    return make_mta()


def complaint(instance, verb="check"):
    """The error lines of a command that must fail."""
    result = instance.control(verb)
    assert result.code == 1, result
    return "\n".join(re.findall(r"(?m)^postern: (?:error|fatal): .*", result.err))


WRONG_VALUES = [
    # setting, what must be said: the name, what was wrong, what is expected
    ("smtpd_timeout = soon", r'smtpd_timeout.*"soon".*expected.*(time|number)'),
    ("smtpd_timeout = 5x", r'smtpd_timeout.*"5x"'),
    ("message_size_limit = big", r'message_size_limit.*"big".*expected'),
    ("message_size_limit = -1", r'message_size_limit.*"-1".*at least 0'),
    ("default_process_limit = -5", r'default_process_limit.*"-5".*at least 0'),
    ("transport_maps = nosuchtype:/x", r'transport_maps.*"nosuchtype:/x".*unsupported table type'),
    ("relay_recipient_maps = /etc/plain", r'relay_recipient_maps.*"/etc/plain".*type:name'),
    ("biff = maybe", r'biff.*"maybe".*(yes|no)'),
    ("smtpd_tls_security_level = sometimes", r'smtpd_tls_security_level.*"sometimes".*encrypt'),
]


@pytest.mark.parametrize("setting,said", WRONG_VALUES, ids=[w[0] for w in WRONG_VALUES])
def test_wrong_value(instance, setting, said):
    """A wrong value is refused with file, line, name, what was wrong and what is expected."""
    main = instance.config / "main.cf"
    instance.write("main.cf", main.read_text() + setting + "\n")
    line = len(main.read_text().splitlines())
    for verb in ("check", "start"):
        text = complaint(instance, verb)
        assert re.search(rf"main\.cf, line {line}: {said}", text), text
    assert not instance.status()


WRONG_SERVICES = [
    ("smtp inet n - n - - nosuchprogram", r'unknown program "nosuchprogram"'),
    ("smtp inet n - n - -", r"line \d+: .*(field|column)"),
    ("smtp inet n - n - many smtpd", r'many'),
    ("smtp inet maybe - n - - smtpd", r'maybe'),
    ("smtp tcp n - n - - smtpd", r'"?tcp"?.*inet'),
    ("smtp fifo n - n - - smtpd", r'line \d+: .*"fifo".* smtpd, expected inet, unix or pass'),
    ("smtp unix-dgram n - n - - smtpd", r'line \d+: .*"unix-dgram".* smtpd, expected inet, unix'),
    ("qmgr inet n - n 300 1 qmgr", r'line \d+: .*"inet".* qmgr, expected unix or fifo'),
    ("cleanup pass n - n - 0 cleanup", r'line \d+: .*"pass".* cleanup, expected unix'),
    ("postlog unix n - n - 1 postlogd", r'line \d+: .*"unix".* postlogd, expected unix-dgram'),
    ("pipes pass - n n - - spawn user=nobody argv=/bin/cat", r'"pass".* spawn, expected inet or unix'),
    ("LISTEN1 inet n - n - - smtpd -o smtpd_timeout=soon", r'smtpd_timeout.*"soon"'),
    ("nosuchhost.invalid:2699 inet n - n - - smtpd", r"nosuchhost\.invalid"),
]


@pytest.mark.parametrize("entry,said", WRONG_SERVICES, ids=[w[0] for w in WRONG_SERVICES])
def test_wrong_service(instance, entry, said):
    """A wrong line of master.cf is refused with file, line and what was wrong."""
    instance.services.append(entry)
    instance.write_master()
    result = instance.control("start")
    assert result.code == 1
    assert re.search(said, result.err), result.err
    if "nosuchhost" not in entry:
        assert re.search(r"master\.cf, line \d+: ", result.err), result.err
    assert not instance.status()


def test_same_name(instance):
    """Two services may not stand in the same place of the file system."""
    master = instance.config / "master.cf"
    lines = master.read_text().splitlines()
    first = next(i for i, line in enumerate(lines, 1) if line.startswith("pickup "))
    instance.write("master.cf", "\n".join([*lines, "pickup fifo n - n 60 1 pickup", ""]))
    said = (rf'line {len(lines) + 1}: bad service "pickup" of type fifo, expected another name: '
            rf"line {first} has it with type unix")
    assert re.search(said, complaint(instance))


def test_broken_reference(instance):
    """A value with a broken ${ is named with its line, whoever refers to it."""
    main = instance.config / "main.cf"
    instance.write("main.cf", main.read_text() + "relay_domains = ${broken\n")
    place = rf"relay_domains in {main}, line {len(main.read_text().splitlines())}"
    assert re.search(rf'truncated.*broken.*{place}', complaint(instance))


def test_wrong_protocol(instance):
    """inet_protocols is a list of known words."""
    instance.main["inet_protocols"] = "ipv5"
    instance.write_main()
    assert re.search("inet_protocols = ipv5: expected all", complaint(instance))


def test_typo(instance):
    """A name that is no parameter gets a warning with the nearest one that is."""
    main = instance.config / "main.cf"
    instance.write("main.cf", main.read_text() + "relayhots = [mx.example.test]\n")
    result = instance.check()
    assert result.code == 0, result
    warning = next(line for line in result.err.splitlines() if "relayhots" in line)
    assert "warning" in warning and re.search(r"\brelayhost\b", warning), result.err


def test_missing_files(instance):
    """Without main.cf or master.cf nothing starts, and the name of the file is said."""
    for name in ("master.cf", "main.cf"):
        (instance.config / name).unlink()
        result = instance.control("start")
        assert result.code != 0
        assert str(instance.config / name) in result.err


def test_missing_program(instance, tmp_path):
    """A program that is not installed is named, with the line that wants it."""
    programs = program("postern").replace("sbin/postern", "lib/postern")
    copy = tmp_path / "daemons"
    instance.main["daemon_directory"] = str(copy)
    instance.write_main()
    shutil.copytree(programs, copy, symlinks=True)
    (copy / "smtpd").unlink()
    text = complaint(instance, "start")
    assert re.search(rf"master\.cf, line \d+: cannot run {copy}/smtpd: No such file", text), text
    assert not instance.status()


def test_port_in_use(instance):
    """A port that another program has is named, and nothing of the suite stays."""
    with socket.create_server((instance.host, instance.port())):
        result = instance.control("start")
    assert result.code == 1
    assert re.search(rf"{instance.port()}.*(in use|Address)", result.err), result.err
    assert not instance.status()
    instance.start()
    instance.stop()


def test_double_start(running):
    """A second start says that the system runs already, and disturbs nothing."""
    with running.smtp() as c:
        c.ehlo()
        result = running.control("start")
        assert result.code == 1
        assert "already running" in result.err
        assert c.cmd("NOOP").code == 250
    assert running.status()


@pytest.mark.parametrize("name,text", [
    ("main.cf", "smtpd_timeout = soon\n"),
    ("master.cf", "smtp inet n - n - - nosuchprogram\n"),
    ("master.cf", "this is no service\n"),
])
def test_reload_broken(running, name, text):
    """reload with a broken file fails, says why, and the old configuration goes on."""
    path = running.config / name
    good = path.read_text()
    with running.smtp() as before:
        before.ehlo()
        running.write(name, good + text)
        try:
            result = running.control("reload")
            assert result.code == 1
            assert re.search(rf"{name}, line {len(good.splitlines()) + 1}: ", result.err), result.err
            running.wait_log(r"the old one goes on")
            qid = running.inject("alice@example.test")
            assert running.wait_delivery(qid)["status"] == "sent"
            assert before.cmd("NOOP").code == 250
        finally:
            running.write(name, good)
    running.control("reload").ok()
    running.inject("alice@example.test")


UNKNOWN = r"cannot start.*: .*smtpd_recipient_restrictions.*permit_mynetwork\b"


def test_service_cannot_start(instance):
    """What a service says that cannot start is said by the command that started it, not by the log alone."""
    instance.main["smtpd_recipient_restrictions"] = "permit_mynetwork, reject"
    instance.write_main()
    assert re.search(UNKNOWN, complaint(instance, "start"))
    assert not instance.status()


def test_reload_cannot_start(running):
    """So it is with reload, and the old processes go on."""
    good = (running.config / "main.cf").read_text()
    with running.smtp() as before:
        before.ehlo()
        running.write("main.cf", good + "smtpd_recipient_restrictions = permit_mynetwork, reject\n")
        try:
            assert re.search(UNKNOWN, complaint(running, "reload"))
            assert before.cmd("NOOP").code == 250
        finally:
            running.write("main.cf", good)
            running.control("reload").ok()


def test_unknown_user(instance):
    """An account that does not exist is named with its parameter."""
    instance.main["mail_owner"] = "nosuchuser"
    instance.write_main()
    assert re.search("mail_owner.*nosuchuser", complaint(instance, "start"))


def test_superuser_owner(instance):
    """The mail system does not run as the superuser."""
    instance.main["mail_owner"] = "root"
    instance.write_main()
    assert re.search("mail_owner.*root.*superuser", complaint(instance, "start"))


def test_directories(instance):
    """check makes the directories of the queue."""
    assert instance.check().code == 0
    for name in ("incoming", "deferred", "hold", "corrupt", "maildrop", "public", "private"):
        assert (instance.queue / name).is_dir()
