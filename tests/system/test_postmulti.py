"""Several instances on one machine: postmulti(1), MULTI_INSTANCE_README, postfix-wrapper(5)."""

import os
import pwd
import re
import subprocess
from pathlib import Path

import mta as mta_module
import pytest

PRIMARY = Path("/etc/postern")
"""The private copy that the namespaces have."""


@pytest.fixture
def multi(tmp_path):
    """A primary instance with a place for others; returns what runs postmulti."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    root = mta_module.ROOT
    PRIMARY.mkdir(exist_ok=True)
    kept = {f: (PRIMARY / f).read_text() for f in ("main.cf", "master.cf") if (PRIMARY / f).exists()}
    (tmp_path / "spool").mkdir()
    (tmp_path / "data").mkdir()
    owner = pwd.getpwnam("postern")
    os.chown(tmp_path / "data", owner.pw_uid, owner.pw_gid)
    (PRIMARY / "main.cf").write_text(f"""compatibility_level = 3.11
queue_directory = {tmp_path}/spool
data_directory = {tmp_path}/data
command_directory = {root}/usr/sbin
daemon_directory = {root}/usr/lib/postern
meta_directory = {root}/etc/postern
inet_interfaces = loopback-only
maillog_file = {tmp_path}/log
maillog_file_prefixes = {tmp_path}
myhostname = mail.example.test
alias_maps =
alias_database =
""")
    (PRIMARY / "master.cf").write_text((Path(root) / "etc/postern/master.cf.proto").read_text())
    environment = {k: v for k, v in os.environ.items() if k != "MAIL_CONFIG"}

    def run(command, *arguments, code=0):
        result = subprocess.run([f"{root}/usr/sbin/{command}", *arguments], capture_output=True,
                                text=True, env=environment, timeout=100)
        assert result.returncode == code, (result.stdout, result.stderr)
        return result.stdout + result.stderr

    run.places = tmp_path
    yield run
    subprocess.run([f"{root}/usr/sbin/postern", "stop"], env=environment, capture_output=True)
    for name, text in kept.items():
        (PRIMARY / name).write_text(text)


def create(multi, name, *options):
    places = multi.places
    multi("postmulti", "-I", f"postfix-{name}", *options, "-e", "create",
          f"config_directory={places}/etc-{name}", f"queue_directory={places}/spool-{name}",
          f"data_directory={places}/data-{name}")


def listed(multi, *options):
    return [line.split() for line in multi("postmulti", "-l", *options).splitlines()]


def test_single(multi):
    """Without further instances there is one, and it is on."""
    assert listed(multi) == [["-", "-", "y", str(PRIMARY)]]
    assert "init" in multi("postmulti", "-I", "postfix-x", "-e", "create", code=1)


def test_life(multi):
    """Instances are made, found by name and group, switched on, renamed, and removed."""
    places = multi.places
    multi("postmulti", "-e", "init")
    create(multi, "in", "-G", "mta")
    create(multi, "out", "-G", "mta", "-i", "postfix-in")
    assert [row[0] for row in listed(multi)] == ["-", "postfix-out", "postfix-in"]
    assert [row[0] for row in listed(multi, "-R", "-g", "mta")] == ["postfix-in", "postfix-out"]
    assert {row[2] for row in listed(multi, "-g", "mta")} == {"n"}
    main = (places / "etc-in/main.cf").read_text()
    assert "master_service_disable = inet" in main and "authorized_submit_users =" in main
    multi("postmulti", "-e", "enable", "-i", "postfix-in")
    multi("postmulti", "-e", "assign", "-i", "postfix-in", "-I", "postfix-first", "-G", "-")
    assert listed(multi, "-i", "postfix-first") == [
        ["postfix-first", "-", "y", f"{places}/etc-in"]]
    out = multi("postmulti", "-x", "-i", "postfix-first", "sh", "-c", "echo $queue_directory")
    assert out.strip() == f"{places}/spool-in"
    assert "disable it" in multi("postmulti", "-e", "destroy", "-i", "postfix-first", code=1)
    multi("postmulti", "-e", "disable", "-i", "postfix-first")
    part = places / "spool-in/incoming/a"
    part.mkdir(parents=True, exist_ok=True)
    (part / "0C5CA02C0C373003").touch()
    assert "incoming has mail in it" in multi("postmulti", "-e", "destroy", "-i", "postfix-first", code=1)
    (part / "0C5CA02C0C373003").unlink()
    multi("postmulti", "-e", "destroy", "-i", "postfix-first")
    multi("postmulti", "-e", "deport", "-i", "postfix-out")
    assert not list(places.glob("*-in"))
    assert (places / "etc-out/main.cf").exists()
    assert listed(multi) == [["-", "-", "y", str(PRIMARY)]]
    multi("postmulti", "-e", "import", f"config_directory={places}/etc-out")
    assert [row[0] for row in listed(multi)] == ["-", "postfix-out"]


def test_wrong_names(multi):
    """Names that could be anything's, and directories that another instance has, are refused."""
    multi("postmulti", "-e", "init")
    assert "postfix-" in multi("postmulti", "-I", "mail", "-e", "create", code=1)
    create(multi, "in")
    assert "already" in multi("postmulti", "-I", "postfix-b", "-e", "create",
                              f"config_directory={multi.places}/etc-in", code=1)
    assert "is that of" in multi(
        "postmulti", "-I", "postfix-b", "-e", "create", f"config_directory={multi.places}/etc-b",
        f"queue_directory={multi.places}/spool-in", f"data_directory={multi.places}/d", code=1)
    assert "no matching" in multi("postmulti", "-l", "-i", "postfix-none", code=1)


def test_start_and_stop(multi):
    """postern start and stop act on all instances that are on, and check the others."""
    multi("postmulti", "-e", "init")
    create(multi, "in")
    create(multi, "off")
    multi("postmulti", "-e", "enable", "-i", "postfix-in")
    multi("postern", "start")
    running = [p.parent.parent.name for p in multi.places.glob("spool*/pid/master.pid")]
    assert sorted(running) == ["spool", "spool-in"]
    assert "is running" in multi("postmulti", "-p", "-i", "postfix-in", "status")
    assert "stop it first" in multi("postmulti", "-e", "deport", "-i", "postfix-in", code=1)
    assert re.search("is not running", multi("postern", "status", code=1))
    multi("postern", "stop")
    assert "is not running" in multi("postmulti", "-p", "-i", "postfix-in", "status", code=1)
    multi("postmulti", "-e", "disable", "-i", "postfix-in")
    multi("postmulti", "-e", "destroy", "-i", "postfix-in")
    assert not list(multi.places.glob("*-in"))
