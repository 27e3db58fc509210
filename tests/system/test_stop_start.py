"""What holds right behind `postern stop`."""

import socket

import pytest


def test_stop_frees_port_and_lock(make_mta):
    """When stop has returned the ports are free, and start works at once: many times over."""
    mta = make_mta()
    for _ in range(100):
        mta.control("stop").ok()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((mta.host, mta.port()), timeout=2)
        mta.control("start").ok()
