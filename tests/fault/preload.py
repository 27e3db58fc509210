"""preload.c in every program: what it counted there, and what it shall make fail."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Iterable

from harness import skip

SLOT = struct.Struct("24sIIIIIII")
SLOTS = 64
COUNT, FAIL_AT, PERSISTS, FAILED, IN_LIBC, DESCRIPTORS, PROCESSES = (24 + 4 * n for n in range(7))


class Preload:
    """What each program is told, by its name."""

    def __init__(self, names: Iterable[str]) -> None:
        if os.environ.get("SAN", "0") == "1":
            skip(Path(sys.argv[0]).stem, "the sanitizers must be preloaded themselves")
        names = list(names)
        assert len(names) <= SLOTS
        directory = Path("/etc")  # the harness has one of its own
        self.shared_object = directory / "fault-preload.so"
        control = directory / "fault-preload.control"
        control.write_bytes(
            b"".join(SLOT.pack(x.encode()[:24], *[0] * 7) for x in names)
            .ljust(SLOTS * SLOT.size, b"\0"))
        control.chmod(0o666)
        subprocess.run(
            [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2", "-std=c17", "-D_GNU_SOURCE",
             "-fno-builtin",
             f'-DCONTROL="{control}"', "-o", self.shared_object, Path(__file__).with_name("preload.c")],
            check=True)
        with control.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), SLOTS * SLOT.size)
        self.at = {name: SLOT.size * n for n, name in enumerate(names)}
        # From here on, and into the set-gid programs as well.
        Path("/etc/ld.so.preload").write_text(f"{self.shared_object}\n")

    def get(self, name: str, what: int) -> int:
        """One number of a program."""
        return int(struct.unpack_from("I", self.map, self.at[name] + what)[0])

    def limit(self, name: str, what: int, most: int) -> None:
        """DESCRIPTORS: as many, PROCESSES: 1, from the program's next start on; 0: as ever."""
        struct.pack_into("I", self.map, self.at[name] + what, most)

    def arm(self, name: str, fail_at: int, persists: bool) -> None:
        """From now on the `fail_at`-th allocation fails; 0: none, only count."""
        struct.pack_into("IIIII", self.map, self.at[name] + COUNT, 0, fail_at, persists, 0, 0)

    def disarm(self, name: str) -> int:
        """No more refusals; returns how many there were."""
        struct.pack_into("I", self.map, self.at[name] + FAIL_AT, 0)
        struct.pack_into("I", self.map, self.at[name] + PERSISTS, 0)
        return self.get(name, FAILED)
