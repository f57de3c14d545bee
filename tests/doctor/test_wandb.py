"""W&B's key by its place, and runs that wait in files."""

from __future__ import annotations

from pathlib import Path

import fakes

from fxai.doctor import wandb
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place, find_place

KEY = "k" * 40


def found(place: Place | None = None) -> list[Finding]:
    told = list(wandb.check(place or Place()))
    assert KEY not in repr(told)
    return told


def test_without_a_key_it_is_off_and_that_is_in_order() -> None:
    (told,) = found()
    assert (told.verdict, told.facts) == ("ok", {"mode": "disabled", "key_in": None})


def test_the_place_of_the_key_is_told(here: Path, monkeypatch) -> None:
    settings = here / "home" / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[default]\napi_key = {KEY}\n")
    assert found()[0].facts == {"mode": "online", "key_in": str(settings)}
    settings.unlink()
    netrc = here / "home" / ".netrc"
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    assert found()[0].facts == {"mode": "online", "key_in": str(netrc)}
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert found()[0].facts == {"mode": "online", "key_in": "WANDB_API_KEY"}
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert found()[0].facts["mode"] == "offline"


def test_a_spec_that_wants_it_online_without_a_key_is_wrong(tmp_path) -> None:
    spec = fakes.write_spec(tmp_path, training_config={"wandb": {"mode": "online"}})
    (told,) = found(find_place(spec, None, None))
    assert told.verdict == "wrong"
    assert "wandb login" in str(told.hint)


def test_runs_that_were_not_uploaded_are_a_note(tmp_path) -> None:
    folder = tmp_path / "optuna_results" / "fake"
    for name in ("offline-run-20240101_000000-a", "offline-run-20240101_000001-b", "run-20240101_000002-c"):
        (folder / "wandb" / name).mkdir(parents=True)
    (folder / ".lock").touch()
    (folder / "wandb" / "offline-run-20240101_000001-b" / "run-b.wandb.synced").touch()
    told = found()[1]
    assert told.text == "1 run of fake kept in files, not uploaded"
    assert told.hint == "wandb sync optuna_results/fake/wandb/offline-run-*"
