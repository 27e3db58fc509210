"""Small file systems that can be cut off, filled up and made read-only."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

from harness import skip
from mta import TMP, poll

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_JOURNAL_FLUSH = 2


def run(*command: str | Path) -> None:
    """A command that must succeed."""
    subprocess.run([str(x) for x in command], check=True, capture_output=True)


def need_images(name: str) -> None:
    """Ends the program where there are no ext4 images on loop devices."""
    if not shutil.which("mkfs.ext4") or not os.path.exists("/dev/loop-control"):
        skip(name, "no ext4 images on loop devices here")


class FileSystem:
    """An ext4 image, with directories of it mounted where they belong."""

    kind = "ext4"
    options = "loop,errors=remount-ro"

    def __init__(
        self, name: str, places: dict[str, Path], size: int = 600_000_000, inodes: int = 0
    ) -> None:
        self.image = TMP / f"{name}.ext4"
        self.top = TMP / f"{name}.mount"
        self.places = places
        self.top.mkdir()
        self.make(size, inodes)
        self.mount(is_new=True)

    def make(self, size: int, inodes: int) -> None:
        """The image."""
        with self.image.open("wb") as file:
            file.truncate(size)
        few = ["-N", str(inodes)] if inodes else []
        run("mkfs.ext4", "-q", "-F", "-m", "0", *few, self.image)

    def fill(self, name: str, place: Path) -> None:
        """What a place holds now."""
        run("cp", "-a", place, self.top / name)

    def mount(self, is_new: bool = False) -> None:
        """Mounts it; a new one first gets what the places hold now."""
        run("mount", "-t", self.kind, "-o", self.options, self.image, self.top)
        for name, place in self.places.items():
            if is_new:
                self.fill(name, place)
            run("mount", "--bind", self.top / name, place)

    def set_writable(self, is_writable: bool) -> None:
        """As mounted, for all who use it now as well; once nobody writes to it, and a killed process
        takes a moment to go."""
        for place in self.places.values():
            command = ["mount", "-o", f"remount,bind,{'rw' if is_writable else 'ro'}", str(place)]
            poll(lambda: subprocess.run(command, capture_output=True).returncode == 0, 10,
                 " ".join(command))

    def unmount(self) -> None:
        """Unmounts it, once what used it has ended: a killed process takes a moment to go."""
        for place in (*self.places.values(), self.top):
            poll(lambda: subprocess.run(["umount", str(place)], capture_output=True).returncode == 0,
                 20, f"{place} to be unmounted")

    def shut_down(self) -> None:
        """From here on every access fails, and what is not on the disk never gets there."""
        fd = os.open(self.top, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_JOURNAL_FLUSH))
        os.close(fd)

    # Filling up, and what undoes it.

    def fill_space(self) -> None:
        """Takes every free block."""
        with (self.top / "filler").open("ab") as file:
            for piece in (1 << 24, 1 << 20, 1 << 16, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)

    def fill_inodes(self) -> None:
        """Takes every free inode."""
        (self.top / "fillers").mkdir()
        try:
            for number in range(1 << 20):
                (self.top / "fillers" / str(number)).touch()
        except OSError as e:
            assert e.errno == errno.ENOSPC, e

    def free(self) -> None:
        """Gives back what was taken."""
        (self.top / "filler").unlink(missing_ok=True)
        shutil.rmtree(self.top / "fillers", ignore_errors=True)

    def make_read_only(self) -> None:
        """Lets the kernel see an error, after which ext4 is read-only until it is repaired."""
        found = re.search(rf"^/dev/(\S+) {re.escape(str(self.top))} ",
                          Path("/proc/mounts").read_text(), re.M)
        assert found, f"{self.top} is not mounted"
        Path(f"/sys/fs/ext4/{found.group(1)}/trigger_fs_error").write_text("1")

    def repair(self) -> None:
        """As after a reboot; nothing may use it."""
        self.unmount()
        subprocess.run(["e2fsck", "-fp", self.image], check=False, capture_output=True)
        self.mount()
