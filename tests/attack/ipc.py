"""Messages between Postern's processes, made by hand: what somebody could say who took one over."""

from __future__ import annotations

import array
import re
import socket
import struct
from pathlib import Path

DEFINITIONS = Path(__file__).resolve().parents[2] / "lib/ipc/messages.def"

FORMATS = {"flag": "<B", "u32": "<I", "u64": "<Q", "i64": "<q"}


def _read() -> dict[str, tuple[int, dict[str, str]]]:
    text = re.sub(r"/\*.*?\*/", "", DEFINITIONS.read_text(), flags=re.DOTALL)
    found = {}
    for m in re.finditer(r"MESSAGE\((\w+), (\d+)\)(.*?)END\(", text, re.DOTALL):
        fields = re.findall(r"FIELD\((\w+), (\w+),", m.group(3))
        found[m.group(1)] = int(m.group(2)), {name: kind for kind, name in fields}
    return found


MESSAGES = _read()
"""By name: version, and the types of the fields in their order."""


def message(name: str, /, **values: int | str | bytes) -> bytes:
    """The wire form of lib/ipc/codec.h; a field without a value is 0 or empty."""
    version, fields = MESSAGES[name]
    assert values.keys() <= fields.keys(), values
    body = name.encode() + b"\0" + bytes([version])
    for field, kind in fields.items():
        if kind in FORMATS:
            body += struct.pack(FORMATS[kind], values.get(field, 0))
        else:
            value = values.get(field, b"")
            raw = value.encode() if isinstance(value, str) else value
            body += struct.pack("<I", len(raw)) + raw
    return struct.pack("<I", len(body)) + body


class Channel:
    """A connection to a service as one of its clients: `client` names the directory of its sockets."""

    def __init__(self, mta, client: str, service: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(5)
        self.sock.connect(str(mta.queue / "jail" / client / service))

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, packet: bytes, fds: tuple[int, ...] = ()) -> None:
        """One packet, with descriptors."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([packet], rights)

    def receive(self) -> bytes:
        """The next packet; empty when the other side has closed."""
        return self.sock.recv(1 << 18)
