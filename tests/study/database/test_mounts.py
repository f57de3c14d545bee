"""The file system of a path, from lines as Linux writes them and from this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fxai.study.database import mounts
from fxai.study.database.mounts import file_system, network_file_system

LINES = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /data rw,relatime shared:2 master:1 - nfs4 server:/export rw,vers=4.2
31 30 0:41 / /data/local rw - xfs /dev/vdb rw
32 22 0:42 / /with\040blank rw - cifs //server/share rw
33 22 0:43 / /twice rw - tmpfs tmpfs rw
34 33 0:44 / /twice rw - fuse.sshfs me@host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/x.db", "ext4", False),
        ("/data", "nfs4", True),
        ("/data/study.db", "nfs4", True),
        ("/database/study.db", "ext4", False),  # begins alike, and lies elsewhere
        ("/data/local/study.db", "xfs", False),
        ("/with blank/study.db", "cifs", True),
        ("/twice/study.db", "fuse.sshfs", True),
    ],
)
def test_the_innermost_and_last_mount_counts(path, kind, network, tmp_path, monkeypatch) -> None:
    (tmp_path / "mountinfo").write_text(LINES)
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
    assert file_system(Path(path)) == kind
    assert network_file_system(Path(path)) == (kind if network else None)


def test_a_link_is_followed(tmp_path, monkeypatch) -> None:
    (tmp_path / "mountinfo").write_text(LINES)
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
    (tmp_path / "link").symlink_to("/data")
    assert file_system(tmp_path / "link" / "study.db") == "nfs4"


@pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="no /proc")
def test_this_machine_tells() -> None:
    assert file_system(Path("/proc/self")) == "proc"


def test_a_system_that_does_not_tell(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "missing")
    assert file_system(Path("/")) == ""
    assert network_file_system(Path("/")) is None
