"""Messages between Postern's processes, made by hand: what somebody could say who took one over."""

from __future__ import annotations

import array
import socket
import struct


def message(name: str, version: int, **fields: int | bool | str | bytes) -> bytes:
    """The wire form of lib/ipc/codec.h: numbers are u32, truth values flags, the rest texts. Fields
    in the order of lib/ipc/messages.def."""
    body = name.encode() + b"\0" + bytes([version])
    for value in fields.values():
        if isinstance(value, bool):
            body += bytes([value])
        elif isinstance(value, int):
            body += struct.pack("<I", value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            body += struct.pack("<I", len(raw)) + raw
    return struct.pack("<I", len(body)) + body


class Channel:
    """A connection to a service as one of its clients: `client` names the directory of its sockets."""

    def __init__(self, mta, client: str, service: str, path: str | None = None) -> None:
        self.path = path or str(mta.queue / "jail" / client / service)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(5)
        self.sock.connect(self.path)

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
