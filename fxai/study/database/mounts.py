"""On what kind of file system a path lies; Linux tells it, elsewhere nothing is known."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = re.compile(
    r"9p|acfs|afp\w*|afs|beegfs|ceph|cifs|coda|davfs2?|fhgfs|gfs2?|glusterfs|gpfs|juicefs|lustre\w*|mfs|moosefs|ncpfs"
    r"|nfs\d?|ocfs2|orangefs|panfs|prl_fs|pvfs2?|smb\w*|sshfs|vboxsf|wekafs"
)
"""File systems that several hosts see, and the shared folders of virtual machines; FUSE's are called `fuse.NAME`."""

_NETWORK_OF_FUSE = re.compile(r"fuse\.(gcsfuse|gvfsd-fuse|blobfuse2?|mount-s3|rclone|s3fs|goofys)")


def network_file_system(path: Path) -> str | None:
    """The file system of a path, which need not exist, where it is one of a network; else None."""
    kind = file_system(path)
    remote = _NETWORK.fullmatch(kind.removeprefix("fuse.")) or _NETWORK_OF_FUSE.fullmatch(kind)
    return kind if remote else None


def file_system(path: Path) -> str:
    """The type of the file system of a path; empty where that cannot be told."""
    try:
        text = MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    place = path.resolve()
    found = [(mount, kind) for mount, kind in _mounts(text) if place.is_relative_to(mount)]
    # of those mounted at one place the last one is seen
    return max(enumerate(found), key=lambda item: (len(item[1][0].parts), item[0]))[1][1] if found else ""


def _mounts(text: str) -> list[tuple[Path, str]]:
    """Place and type of each line: `36 35 98:0 /root /place options [tags] - type source options`."""
    mounts = []
    for line in text.splitlines():
        head, separator, tail = line.partition(" - ")
        words = head.split()
        if separator and len(words) > 4 and tail:
            place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), words[4])
            mounts.append((Path(place), tail.split()[0]))
    return mounts
