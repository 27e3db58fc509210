"""A real Dovecot beside an instance: a folder, a configuration and a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mta import Instance, poll

PROGRAM = Path("/usr/sbin/dovecot")

COMMON = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
listen = 127.0.0.1
ssl = no
passdb {{
  driver = passwd-file
  args = {base}/users
}}
userdb {{
  driver = static
  args = {owner}
}}
"""
AUTH = """
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
service auth {{
  unix_listener {socket} {{
    mode = 0666
  }}
}}
"""


@contextlib.contextmanager
def running(mta: Instance, users: str, owner: str, settings: str, socket: Path) -> Iterator[Path]:
    """Dovecot with these lines of its passwd-file, this static userdb ("uid=... gid=... home=...")
    and more settings, from when `socket` is there to the end of the block."""
    base = mta.dir / "dovecot"
    base.mkdir(mode=0o755)
    (base / "users").write_text(users)
    (base / "dovecot.conf").write_text(COMMON.format(base=base, owner=owner) + settings)
    process = subprocess.Popen([PROGRAM, "-F", "-c", base / "dovecot.conf"])
    try:
        poll(socket.exists, 15, "socket of dovecot")
        yield socket
    finally:
        process.terminate()
        process.wait(15)


def authenticating(mta: Instance, users: str, mechanisms: str, settings: str = "protocols =\n",
                   home: str = "/nonexistent") -> contextlib.AbstractContextManager[Path]:
    """Dovecot that checks logins at private/real."""
    socket = mta.queue / "private/real"
    return running(mta, users, f"uid=5001 gid=5001 home={home}",
                   settings + AUTH.format(mechanisms=mechanisms, socket=socket), socket)
