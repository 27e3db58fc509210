"""Disk quota: under the queue, and under the mailboxes; see disks.py.

The quota is that of a btrfs subvolume (a qgroup), which also holds for root: every write that needs
room fails with EDQUOT. It needs no quota format in the kernel, as those of ext4 do.

    tests/fault/run quota [--n ROUNDS] [--seed N]
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from disks import Disks
from filesystem import FileSystem, need_images, run
from harness import parser, skip


class QuotaFileSystem(FileSystem):
    """A btrfs image with a subvolume for each place."""

    kind = "btrfs"
    options = "loop"

    def make(self, size: int, inodes: int) -> None:
        with self.image.open("wb") as file:
            file.truncate(max(size, 200_000_000))
        run("mkfs.btrfs", "-q", self.image)

    def fill(self, name: str, place: Path) -> None:
        run("btrfs", "subvolume", "create", self.top / name)
        run("cp", "-a", f"{place}/.", self.top / name)

    def limit(self, size: str) -> None:
        """The most that each place may hold; "none": anything. By way of the top, which has no
        limit: this too writes."""
        for name in self.places:
            found = subprocess.run(["btrfs", "inspect-internal", "rootid", self.top / name],
                                   check=True, capture_output=True, text=True)
            run("btrfs", "qgroup", "limit", size, f"0/{found.stdout.strip()}", self.top)

    def use_up(self) -> None:
        """No more than there is."""
        run("sync", "-f", self.top)
        self.limit("1")

    def give_back(self) -> None:
        """As much as one likes."""
        self.limit("none")


def main() -> None:
    """Runs it."""
    args = parser(__doc__, 3).parse_args()
    need_images("quota")
    if not shutil.which("mkfs.btrfs") or "\tbtrfs\n" not in Path("/proc/filesystems").read_text():
        skip("quota", "no btrfs here (kernel and btrfs-progs)")
    disks = Disks(args.seed, QuotaFileSystem)
    for filesystem in (disks.queue, disks.mailboxes):
        run("btrfs", "quota", "enable", filesystem.top)
    for number in range(1, args.n + 1):
        for word, filesystem, play in (
            ("queue", disks.queue, disks.without_queue),
            ("mailboxes", disks.mailboxes, disks.without_mailboxes),
        ):
            assert isinstance(filesystem, QuotaFileSystem)
            play(f"round {number}, {word}", filesystem.use_up, filesystem.give_back)
    disks.conclude(f"quota ({2 * args.n} limits)")


main()
