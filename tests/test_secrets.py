"""No password survives redaction."""

from __future__ import annotations

import pytest

from fxai.secrets import has_password, redact, redact_url


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
