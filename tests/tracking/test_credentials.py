"""Whether W&B is on: settings, its own environment variables, and where its keys may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxai.config import WandbConfig
from fxai.errors import InputError
from fxai.tracking.credentials import effective_mode, has_credentials

AUTO = WandbConfig()


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def write_netrc(env: dict[str, str], host: str, name: str = ".netrc") -> Path:
    path = Path(env["HOME"]) / name
    path.write_text(f"machine {host}\n  login user\n  password {'k' * 40}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def test_auto_is_online_exactly_where_there_is_a_key(env: dict[str, str]) -> None:
    assert effective_mode(AUTO, env) == "disabled"
    assert effective_mode(AUTO, {**env, "WANDB_API_KEY": "  "}) == "disabled"
    assert effective_mode(AUTO, {**env, "WANDB_API_KEY": "k" * 40}) == "online"


def test_a_netrc_counts_for_the_server_it_names(env: dict[str, str]) -> None:
    write_netrc(env, "api.wandb.ai")
    assert has_credentials(env)
    assert not has_credentials({**env, "WANDB_BASE_URL": "https://wandb.example.org"})
    elsewhere = write_netrc(env, "wandb.example.org", "other")
    assert has_credentials({**env, "WANDB_BASE_URL": "https://wandb.example.org", "NETRC": str(elsewhere)})


def test_wandbs_own_settings_file_names_server_and_key(env: dict[str, str]) -> None:
    folder = Path(env["HOME"]) / ".config" / "wandb"
    folder.mkdir(parents=True)
    (folder / "settings").write_text("[default]\nbase_url = https://wandb.example.org\n", encoding="utf-8")
    write_netrc(env, "api.wandb.ai")
    assert not has_credentials(env)
    write_netrc(env, "wandb.example.org")
    assert has_credentials(env)
    (folder / "settings").write_text(f"[default]\napi_key = {'k' * 40}\n", encoding="utf-8")
    (Path(env["HOME"]) / ".netrc").unlink()
    assert has_credentials(env)


@pytest.mark.parametrize("text", ["machine api.wandb.ai login", "\x00\xff"], ids=["cut short", "no text"])
def test_a_broken_netrc_is_none(env: dict[str, str], text: str) -> None:
    (Path(env["HOME"]) / ".netrc").write_bytes(text.encode("latin-1"))
    assert effective_mode(AUTO, env) == "disabled"


def test_auto_obeys_the_variables_that_turn_wandb_off_or_offline(env: dict[str, str]) -> None:
    env["WANDB_API_KEY"] = "k" * 40
    assert effective_mode(AUTO, {**env, "WANDB_MODE": "offline"}) == "offline"
    assert effective_mode(AUTO, {**env, "WANDB_MODE": "disabled"}) == "disabled"
    assert effective_mode(AUTO, {**env, "WANDB_DISABLED": "true"}) == "disabled"
    assert effective_mode(WandbConfig(mode="online"), {**env, "WANDB_MODE": "offline"}) == "online"


def test_online_without_a_key_is_refused_and_offline_needs_none(env: dict[str, str]) -> None:
    assert effective_mode(WandbConfig(mode="offline"), env) == "offline"
    with pytest.raises(InputError, match="online needs credentials") as refused:
        effective_mode(WandbConfig(mode="online"), env)
    assert refused.value.where == "wandb.mode"
    assert "WANDB_API_KEY" in str(refused.value.hint)
