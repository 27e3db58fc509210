"""Disks without space, without inodes, and read-only after an error: see disks.py.

    tests/fault/run diskfull [--n ROUNDS] [--seed N]
"""

from __future__ import annotations

import functools

from disks import Disks
from filesystem import need_images
from harness import parser


def main() -> None:
    """Runs it."""
    args = parser(__doc__, 3).parse_args()
    need_images("diskfull")
    disks = Disks(args.seed)
    for number in range(1, args.n + 1):
        for word, filesystem, play in (
            ("queue", disks.queue, disks.without_queue),
            ("mailboxes", disks.mailboxes, disks.without_mailboxes),
        ):
            play(f"round {number}, {word} without space", filesystem.fill_space, filesystem.free)
            play(f"round {number}, {word} without inodes", filesystem.fill_inodes, filesystem.free)
            play(f"round {number}, {word} read-only", filesystem.make_read_only,
                 functools.partial(disks.repair, filesystem))
    disks.conclude(f"diskfull ({6 * args.n} disks)")


main()
