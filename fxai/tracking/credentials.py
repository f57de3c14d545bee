"""Whether W&B has credentials on this machine, told without importing wandb, which takes most of a second."""

from __future__ import annotations

import configparser
import netrc
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from fxai.config.wandb import WandbConfig
from fxai.errors import InputError

DEFAULT_URL = "https://api.wandb.ai"

HINT = "wandb login, or the environment variable WANDB_API_KEY, turns it on; wandb.mode: offline keeps runs in files"


def effective_mode(config: WandbConfig, env: Mapping[str, str] | None = None) -> str:
    """`online`, `offline` or `disabled`: what the settings, wandb's own environment variables and credentials give.

    Raises:
        InputError: `online` was asked for and there are no credentials.
    """
    env = os.environ if env is None else env
    if config.mode == "online" and not has_credentials(env):
        raise InputError(
            "online needs credentials for Weights & Biases, and there are none",
            where="wandb.mode",
            hint="run wandb login, or set WANDB_API_KEY; or write wandb.mode: offline",
        )
    if config.mode != "auto":
        return config.mode
    wish = env.get("WANDB_MODE", "").lower()
    if wish in ("offline", "dryrun"):
        return "offline"
    if wish == "disabled" or env.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes"):
        return "disabled"
    return "online" if has_credentials(env) else "disabled"


def has_credentials(env: Mapping[str, str]) -> bool:
    """Whether wandb would find a key: in the environment, its settings file, or for its server in a netrc file."""
    return place_of_credentials(env) is not None


def place_of_credentials(env: Mapping[str, str]) -> str | Path | None:
    """Where wandb would find its key: the name of a variable or a file; None where there is none."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if env.get(name, "").strip():
            return name
    settings = _settings(env)
    if settings.get("default", "api_key", fallback="").strip():
        return _settings_file(env)
    url = env.get("WANDB_BASE_URL", "").strip() or settings.get("default", "base_url", fallback=DEFAULT_URL)
    host = urlsplit(url).netloc
    for path in _netrc_files(env):
        try:
            entry = netrc.netrc(path).authenticators(host)
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            continue
        if entry is not None and entry[2]:
            return path
    return None


def _settings(env: Mapping[str, str]) -> configparser.ConfigParser:
    """The user's settings file of wandb; empty where there is none that can be read."""
    settings = configparser.ConfigParser(interpolation=None)
    with suppress(configparser.Error, OSError, UnicodeDecodeError):
        settings.read(_settings_file(env), encoding="utf-8")
    return settings


def _settings_file(env: Mapping[str, str]) -> Path:
    folder = env.get("WANDB_CONFIG_DIR")
    return (Path(folder) if folder else _home(env) / ".config" / "wandb") / "settings"


def _netrc_files(env: Mapping[str, str]) -> list[Path]:
    """Where wandb looks: the file named, else the usual two."""
    if named := env.get("NETRC"):
        return [Path(named).expanduser()]
    return [_home(env) / ".netrc", _home(env) / "_netrc"]


def _home(env: Mapping[str, str]) -> Path:
    return Path(env["HOME"]) if env.get("HOME") else Path.home()
