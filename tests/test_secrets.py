"""No password survives redaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxai.secrets import has_password, others_can_read, redact, redact_url, unescaped, without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@db.host:5432/fx", "postgresql://ann:***@db.host:5432/fx"),
        ("postgresql://ann:p@ss/wo:rd@host/fx", "postgresql://ann:***@host/fx"),
        ("postgresql://ann:{curly}@host/fx", "postgresql://ann:***@host/fx"),
        ("postgresql+psycopg://:pw@host/fx", "postgresql+psycopg://:***@host/fx"),
        ("postgresql://ann:@host/fx", "postgresql://ann:***@host/fx"),
        ("postgresql://host/fx?user=ann&password=pw", "postgresql://host/fx?user=ann&password=***"),
        ("postgresql://host/fx?sslpassword=pw&x=1", "postgresql://host/fx?sslpassword=***&x=1"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert has_password(url)


@pytest.mark.parametrize(
    "url", ["sqlite:///optuna_studies.db", "sqlite:////tmp/a:b@c.db", "postgresql://ann@host:5432/fx", "no url", ""]
)
def test_urls_without_a_password_stay(url: str) -> None:
    assert redact_url(url) == url
    assert not has_password(url)


def test_urls_inside_a_message_are_redacted_and_the_rest_stays() -> None:
    text = "Could not parse 'postgresql://ann:s3 cret@host/fx'\nnext line: mail ann@host, 10:30"
    assert redact(text) == "Could not parse 'postgresql://ann:***@host/fx'\nnext line: mail ann@host, 10:30"


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("postgresql://me:se@cret@host/db", "postgresql://me@host/db"),
        ("postgresql://ann:@host/fx", "postgresql://ann@host/fx"),
        ("postgresql://host/fx?user=ann&password=pw", "postgresql://host/fx?user=ann"),
        ("postgresql://host/fx?sslpassword=pw&x=1", "postgresql://host/fx?x=1"),
        ("postgresql://ann@host/fx?x=1", "postgresql://ann@host/fx?x=1"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_a_url_for_a_command_has_no_password(url: str, bare: str) -> None:
    assert without_password(url) == bare
    assert not has_password(bare)


@pytest.mark.parametrize(
    ("url", "character"),
    [
        ("postgresql://ann:p@ss@host/fx", "@"),
        ("postgresql://ann:p/w@host/fx", "/"),
        ("postgresql://ann:p?w@host/fx", "?"),
        ("postgresql://ann:p#w@host/fx", "#"),
        ("postgresql://ann:100%@host/fx", "%"),
        ("postgresql://ann:p w@host/fx", " "),
        ("postgresql://ann:%40%2F%25%7B%20:{}@host/fx", None),
        ("postgresql://ann@host/fx", None),
        ("sqlite:////tmp/a@b/c@d.db", None),
    ],
)
def test_what_would_cut_a_password_short_is_found(url: str, character: str | None) -> None:
    assert unescaped(url) == character


def test_only_a_file_of_ones_own_keeps_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.touch()
    for mode, told in ((0o600, None), (0o400, None), (0o640, "0640"), (0o604, "0604"), (0o620, "0620")):
        path.chmod(mode)
        assert others_can_read(path) == told
