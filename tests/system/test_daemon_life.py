"""The life of a daemon: watchdogs, the first wake-up, the environment, tables that are not there."""

import os

import pytest
from mta import TMP, poll

HOST = "198.51.100.77"


def pid_of(instance, program):
    """Of the newest process of a program that this instance has logged."""
    return int(instance.wait_log(rf"postfix/{program}\[(\d+)\]").group(1))


def processes(name, parent=None):
    """Process ids by the name of the program."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                text = file.read()
        except OSError:
            continue
        if f"({name})" in text:
            found.append(int(entry))
    return found
