"""Which kind of file system holds a path, as Linux tells it."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_KERNEL = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "lustre",
    "gpfs",
    "beegfs",
    "glusterfs",
    "ocfs2",
    "gfs2",
}
_FUSE = {"sshfs", "glusterfs", "ceph", "s3fs", "gcsfuse", "rclone", "juicefs"}

NETWORK = frozenset(_KERNEL | {f"fuse.{name}" for name in _FUSE})
"""Types whose files other hosts may have open; SQLite's locks and shared memory do not reach them."""


def file_system_of(path: str | Path) -> str:
    """Type of the file system that holds `path`, such as `ext4` or `nfs4`; empty where the system does not tell.

    Args:
        path: need not exist.
    """
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    place, found, longest = os.path.realpath(path), "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), before.split()[4])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # of two mounts on one place the later one is seen
            found, longest = after.split()[0], len(point)
    return found


def is_network(path: str | Path) -> bool:
    """Whether other hosts may have the files of that place open."""
    return file_system_of(path) in NETWORK
