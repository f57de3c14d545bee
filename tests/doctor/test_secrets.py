"""Passwords that others can read, and none of them in a finding."""

from __future__ import annotations

from pathlib import Path

import fakes
import pytest

from fxai.doctor import secrets
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place, find_place

URL = "postgresql://me:s3cr3t@host/name"


def found(place: Place) -> list[Finding]:
    told = list(secrets.check(place))
    assert "s3cr3t" not in repr(told)
    return told


def test_nothing_is_in_order() -> None:
    assert [one.verdict for one in found(Place())] == ["ok"]


def test_a_password_in_a_spec_that_others_may_read_is_wrong(tmp_path) -> None:
    spec = fakes.write_spec(tmp_path, storage=URL)
    spec.chmod(0o644)
    (told,) = find_place(spec, None, None).findings
    assert told.verdict == "wrong"
    assert f"chmod 600 {spec}" in f"{told.text} {told.hint}"
    assert "s3cr3t" not in repr(told)
    spec.chmod(0o600)
    assert [one.verdict for one in found(find_place(spec, None, None))] == ["note"]


@pytest.mark.parametrize("named", [False, True])
def test_a_password_file_that_libpq_ignores(named, here: Path, monkeypatch) -> None:
    path = here / "home" / ".pgpass"
    if named:
        path = here / "elsewhere"
        monkeypatch.setenv("PGPASSFILE", str(path))
    path.write_text("*:*:*:me:s3cr3t")
    path.chmod(0o640)
    with_server = find_place(None, "postgresql://me@host/name", None)
    (told,) = found(with_server)
    assert (told.verdict, told.hint) == ("wrong", f"chmod 600 {path}")
    assert [one.verdict for one in found(Place())] == ["note"]  # nothing here needs it
    path.chmod(0o600)
    assert [one.verdict for one in found(with_server)] == ["ok"]


def test_a_key_of_wandb_that_others_may_read_is_wrong(here: Path) -> None:
    path = here / "home" / ".netrc"
    path.write_text("machine api.wandb.ai\n  login user\n  password s3cr3t\n")
    path.chmod(0o644)
    (told,) = found(Place())
    assert (told.verdict, told.hint) == ("wrong", f"chmod 600 {path}")
    path.chmod(0o600)
    assert [one.verdict for one in found(Place())] == ["ok"]
