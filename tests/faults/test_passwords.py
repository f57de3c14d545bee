"""The password of the study database: where it may stand, and that it stands nowhere else (docs/faults.md F26, F66)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import fakes
import pytest
from harness import run, start
from optuna.trial import TrialState
from postgresql import Server
from until_told import END

from fxai import cli
from fxai.study.database.reader import reading
from fxai.study.database.storage import load_study, open_storage, opened

SECRET = "Zx{q@}%w:/'9\\"
"""All that URLs, format strings, password files and shells treat in a way of their own."""


class Account(NamedTuple):
    """Who may use an empty database, by this password alone."""

    server: Server
    user: str
    database: str

    @property
    def url(self) -> str:
        """Without the password."""
        return self.server.url(self.database, self.user)

    @property
    def url_with_password(self) -> str:
        """Percent-encoded."""
        return self.server.url(self.database, self.user, SECRET)


@pytest.fixture
def account(postgresql_server: Server) -> Account:
    user = postgresql_server.new_user(SECRET)
    return Account(postgresql_server, user, postgresql_server.new_database(user))


def shown(text: str) -> list[str]:
    """The forms of the password that stand in a text."""
    return [form for form in (SECRET, quote(SECRET, safe=""), quote(SECRET), SECRET[3:9]) if form in text]


def process_list() -> str:
    """The command line of every process, as every user sees it."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace"))
        except OSError:
            continue  # it has ended
    return "\n".join(lines)


def stored(account: Account) -> str:
    """All text in the database."""
    tables = ("study_user_attributes", "study_system_attributes", "trial_user_attributes", "trial_system_attributes")
    return "\n".join(
        str(account.server.execute(f"SELECT * FROM {table}", account.database)) for table in ("studies", *tables)
    )


def files(folder: Path) -> str:
    """All that a study has left."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return "\n".join(path.read_text(errors="replace") for path in found)


def test_f66_a_password_in_a_private_spec_file_stands_nowhere_else(tmp_path: Path, account: Account) -> None:
    (tmp_path / "spec.yaml").touch(0o600)
    wandb = {"wandb": {"mode": "offline"}}
    study = start(
        tmp_path, "until_told:objective", storage=account.url_with_password, n_trials=2, training_config=wandb
    )
    study.wait_for_go()
    account.server.restart()  # what is said of an outage is looked at too
    assert shown(process_list()) == []
    (tmp_path / END).touch()
    study.wait_for_go()
    code, output = study.finish()
    assert code == 0, output
    assert shown(output) == []
    assert (tmp_path / "results/fake/logs/worker-0.log").exists()
    assert (tmp_path / "results/fake/wandb").exists()
    assert shown(files(tmp_path / "results")) == []
    assert shown(stored(account)) == []


@pytest.mark.parametrize("place", ["PGPASSWORD", "PGPASSFILE", "~/.pgpass"])
def test_f66_the_places_of_postgresql_itself_reach_every_worker(
    tmp_path: Path, account: Account, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    escaped = SECRET.replace("\\", "\\\\").replace(":", "\\:")
    home = tmp_path / "home"
    home.mkdir()
    file = home / ".pgpass"
    file.write_text(f"127.0.0.1:{account.server.port}:{account.database}:{account.user}:{escaped}\n")
    file.chmod(0o600)
    if place == "PGPASSWORD":
        monkeypatch.setenv(place, SECRET)
    elif place == "PGPASSFILE":
        monkeypatch.setenv(place, str(file))
    else:
        monkeypatch.setenv("HOME", str(home))
    code, output = run(tmp_path, "quadratic", storage=account.url, n_trials=1)
    assert code == 0, output
    with opened(account.url, readonly=True) as storage, reading(account.url) as reader:
        assert [trial.state for trial in load_study(storage, "fake").trials] == [TrialState.COMPLETE]
        assert reader.study_names() == ["fake"]


def test_a_password_file_that_others_can_read_is_ignored_and_the_hint_says_so(
    tmp_path: Path, account: Account, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"*:*:*:*:{SECRET}\n")
    file.chmod(0o644)
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert cli.main(["status", "--storage", account.url]) == 3
    err = capfd.readouterr().err
    assert "no password supplied" in err
    assert "or in ~/.pgpass with mode 0600 (one that others can read is ignored)" in err


@pytest.mark.parametrize("command", [["status"], ["best", "x"], ["--spec", "x.yaml"], ["dashboard"], ["plots", "x"]])
@pytest.mark.parametrize("form", ["--storage={}", "--storage {}"])
def test_f66_a_password_on_the_command_line_is_refused(
    command: list[str], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"postgresql://ann:{quote(SECRET, safe='')}@host/fx"
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, *form.format(url).split(" ")])
    told = capsys.readouterr()
    assert caught.value.code == 2
    assert "every user of this machine can read the command line" in told.err
    assert "set PGPASSWORD, or write it into ~/.pgpass (mode 0600)" in told.err
    assert shown(told.err + told.out) == []


@pytest.mark.parametrize("words", [["status", "{}"], ["{}"], ["status", "--port", "{}"]])
def test_f66_a_command_that_makes_no_sense_repeats_no_password(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"postgresql://ann:{quote(SECRET, safe='')}@host/fx"
    try:
        code = cli.main([word.format(url) for word in words])
    except SystemExit as end:
        code = end.code
    assert code == 2
    told = capsys.readouterr()
    assert shown(told.err + told.out) == []


def test_f66_a_traceback_has_no_password(
    tmp_path: Path, account: Account, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from types import SimpleNamespace

    market = SimpleNamespace(
        notes=(), derived=(), data_hash="bars", contents={}, check_execution=lambda execution: None, validation=None
    )
    monkeypatch.setattr("fxai.market.data.load_market", lambda *_, **__: market)
    (tmp_path / "spec.yaml").touch(0o600)
    nowhere = account.url_with_password.replace(account.database, "nowhere")
    path = fakes.write_spec(tmp_path, storage=nowhere)
    assert cli.main(["--spec", str(path), "--debug"]) == 3
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert 'database "nowhere" does not exist' in err
    assert shown(err) == []


@pytest.mark.parametrize(
    "password", ["{}", "{url}", "@", "a@b@c", "%", "%40", "%%", ":", "/", "?#&=", " ", "'\\\"", "é雪"]
)
def test_f26_whatever_the_password_consists_of(
    postgresql_server: Server, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = postgresql_server.new_user(password)
    database = postgresql_server.new_database(user)
    encoded, bare = postgresql_server.url(database, user, password), postgresql_server.url(database, user)
    with opened(encoded, create=True) as storage:
        assert storage.get_all_studies() == []
        assert storage.url == bare.replace("postgresql://", "postgresql+psycopg://")
    with reading(encoded) as reader:
        assert reader.study_names() == []
    monkeypatch.setenv("PGPASSWORD", password)
    with opened(bare) as storage, reading(bare) as reader:
        assert storage.get_all_studies() == []
        assert reader.study_names() == []


@pytest.mark.parametrize("kind", ["spec", "reader", "storage"])
def test_f26_a_password_that_is_not_encoded_is_refused_and_none_of_it_taken_for_a_host(
    tmp_path: Path, kind: str
) -> None:
    from fxai.errors import InputError

    url = "postgresql://ann:Zx@q9/w@host/fx"
    (tmp_path / "spec.yaml").touch(0o600)
    open_it = {
        "spec": lambda: fakes.load(tmp_path, storage=url),
        "reader": lambda: reading(url).__enter__(),
        "storage": lambda: open_storage(url, create=False),
    }[kind]
    with pytest.raises(InputError, match="%40") as caught:
        open_it()
    told = str(caught.value)
    assert not {"Zx", "q9"} & {told[i : i + 2] for i in range(len(told))}


def test_connections_are_few_and_gone_at_the_end(
    tmp_path: Path, postgresql_server: Server, postgresql_url: str
) -> None:
    study = start(tmp_path, "until_told:objective", "--n-jobs", "2", storage=postgresql_url, n_trials=2)
    for _ in range(min(2, len(os.sched_getaffinity(0)))):
        study.wait_for_go()
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{postgresql_url.rpartition('/')[2]}'"
    # the orchestrator has one, a worker its own and its heart's
    assert 3 <= postgresql_server.execute(count)[0][0] <= 5
    (tmp_path / END).touch()
    code, output = study.finish()
    assert code == 0, output
    assert postgresql_server.execute(count) == [(0,)]
