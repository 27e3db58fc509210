"""What the servers of the cases do with their sockets in more than one place."""

from __future__ import annotations

import socket


def shut_down(*socks: socket.socket) -> None:
    """Ends connections, or listening, for those as well who wait there in another thread."""
    for sock in socks:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
