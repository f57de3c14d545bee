"""The cache gives back what was put in, or nothing: never something else, never an error."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fxai.market import cache
from fxai.market.cache import Entry, entry_name, load, store

NUMBERS = {
    "time": np.arange(5, dtype=np.int64),
    "price": np.array([1.5, np.nan, np.inf]),
    "features": np.ones((2, 3), dtype=np.float32),
}
FACTS = {"notes": ["ä \n", ""], "first_line": None, "quoted": True}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FXAI_CACHE", str(folder))
    return folder


def name_of(number: int) -> str:
    return f"bars-{number:064x}.cache"


def kept(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def same(entry: Entry | None) -> bool:
    """Whether an entry is NUMBERS and FACTS, types included."""
    if entry is None or entry.facts != FACTS or list(entry.arrays) != list(NUMBERS):
        return False
    return all(
        v.dtype == NUMBERS[key].dtype and v.tobytes() == NUMBERS[key].tobytes() for key, v in entry.arrays.items()
    )


def test_what_is_stored_is_loaded(home: Path):
    name = name_of(1)
    assert load(name) is None
    store(name, Entry(arrays=NUMBERS, facts=FACTS))
    assert same(load(name))
    assert kept(home) == [name]
    assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_views_and_other_byte_orders_are_stored_as_their_values(home: Path):
    turned = np.arange(6.0).reshape(2, 3).T[:, ::-1]
    store(name_of(1), Entry(arrays={"turned": turned, "big": np.arange(3, dtype=">i8")}))
    entry = load(name_of(1))
    assert entry is not None
    np.testing.assert_array_equal(entry.arrays["turned"], turned)
    assert entry.arrays["big"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("change", ["flip 0x11", "flip 0x80", "e", "9"])
def test_every_changed_byte_is_noticed(home: Path, change: str):
    """A bit of each byte, or in its place what makes another number or structure of JSON: 519999 and 5e9999."""
    name = name_of(1)
    store(name, Entry(arrays=NUMBERS, facts=FACTS))
    whole = (home / name).read_bytes()
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] = broken[place] ^ int(change[5:], 16) if len(change) > 1 else ord(change)
        (home / name).write_bytes(broken)
        entry = load(name)
        # a changed blank between two words of the JSON is the one thing that means the same
        assert entry is None or same(entry), f"byte {place} of {len(whole)}: {whole[max(0, place - 20) : place + 20]!r}"
    (home / name).write_bytes(whole)
    assert same(load(name))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\0",
        lambda raw: b"",
        lambda raw: raw[: raw.index(b"\n")],
        lambda raw: b"null\n",
        lambda raw: b"[1, 2]\n",
        lambda raw: b"[" * 60_000 + b"\n",
        lambda raw: b"x" * 200_000,
        lambda raw: raw.replace(b"<f8", b"|O8"),
        lambda raw: raw.replace(b"[5]", b"[9999999999999]"),
        lambda raw: raw.replace(b"[5]", b"[-5]"),
        lambda raw: raw.replace(b"[5]", b"[5e999]"),
        lambda raw: raw.replace(b"[5]", b"[5.0]"),
        lambda raw: raw.replace(b"[5]", b"[NaN]"),
        lambda raw: raw.replace(b"[5]", b"[" + b"9" * 5000 + b"]"),
        lambda raw: raw.replace(b"[5]", b"[0, " + b"9" * 40 + b"]"),
    ],
    ids=[
        "cut", "longer", "empty", "no numbers", "null", "list", "deep", "no JSON", "objects", "too large", "negative",
        "infinite", "fraction", "not a number", "too many digits", "nothing times too much",
    ],
)  # fmt: skip
def test_damaged_entries_are_none(home: Path, change):
    name = name_of(1)
    store(name, Entry(arrays=NUMBERS, facts=FACTS))
    (home / name).write_bytes(change((home / name).read_bytes()))
    assert load(name) is None
    store(name, Entry(arrays=NUMBERS, facts=FACTS))
    assert same(load(name))


def test_a_shape_that_one_byte_makes_infinite(home: Path):
    # 10,309 with an e for its first 0 is 1e309, which no float holds
    store(name_of(1), Entry(arrays={"x": np.zeros(10_309, dtype=np.float32)}))
    whole = (home / name_of(1)).read_bytes()
    assert whole.count(b"[10309]") == 1
    (home / name_of(1)).write_bytes(whole.replace(b"[10309]", b"[1e309]"))
    assert load(name_of(1)) is None


def test_objects_are_refused_even_with_the_right_checksum(home: Path):
    store(name_of(1), Entry(arrays={"x": np.zeros(1)}))
    line, _, rest = (home / name_of(1)).read_bytes().partition(b"\n")
    header = json.loads(line)
    header["arrays"] = [["x", "|O8", [1]]]
    crc = header.pop("crc32")
    assert crc != cache._header_checksum(header)
    header["crc32"] = cache.zlib.crc32(rest, cache._header_checksum(header))
    (home / name_of(1)).write_bytes(json.dumps(header).encode() + b"\n" + rest)
    assert load(name_of(1)) is None


def test_an_entry_under_another_name_is_none(home: Path):
    store(name_of(1), Entry(arrays=NUMBERS))
    shutil.copy(home / name_of(1), home / name_of(2))
    assert load(name_of(2)) is None


def test_links_and_files_of_other_users_are_none(home: Path, monkeypatch: pytest.MonkeyPatch):
    store(name_of(1), Entry(arrays=NUMBERS, facts=FACTS))
    (home / name_of(1)).rename(home / "elsewhere")
    (home / name_of(1)).symlink_to(home / "elsewhere")
    assert load(name_of(1)) is None
    store(name_of(1), Entry(arrays=NUMBERS, facts=FACTS))  # not written through the link either
    assert (home / name_of(1)).is_symlink()
    (home / name_of(1)).unlink()
    (home / "elsewhere").rename(home / name_of(1))
    assert same(load(name_of(1)))
    monkeypatch.setattr(cache.os, "getuid", lambda: os.geteuid() + 1)
    assert load(name_of(1)) is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"FXAI_CACHE": "/a/b"}, "/a/b"),
        ({"FXAI_CACHE": "~/c"}, "/home/x/c"),
        *(({"FXAI_CACHE": word}, None) for word in ("off", "OFF", "0", "no", "None", "false ")),
        ({"FXAI_CACHE": "/off"}, "/off"),
        ({"FXAI_CACHE": ""}, "/home/x/.cache/fxai"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/fxai"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/x/.cache/fxai"),  # which the XDG specification says to ignore
        ({}, "/home/x/.cache/fxai"),
    ],
)
def test_where_it_lies(variables: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch):
    for name in ("FXAI_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/x")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache.folder() == (None if expected is None else Path(expected))


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (blocked := tmp_path / "file").write_text("x")
    for place in (str(blocked), str(blocked / "below"), "off"):
        monkeypatch.setenv("FXAI_CACHE", place)
        store(name_of(1), Entry(arrays=NUMBERS))
        assert load(name_of(1)) is None
    assert blocked.read_text() == "x"


def test_a_disk_that_is_full_or_read_only_is_no_error(home: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    store(name_of(1), Entry(arrays=NUMBERS, facts=FACTS))
    monkeypatch.setattr("fxai.files.tempfile.mkstemp", refuse)
    monkeypatch.setattr(cache.os, "utime", refuse)
    store(name_of(2), Entry(arrays=NUMBERS))
    assert load(name_of(2)) is None
    assert same(load(name_of(1)))


def test_the_disk_is_never_filled(home: Path, monkeypatch: pytest.MonkeyPatch):
    # 1,000 float64 are 8,000 bytes, and four times as much must be free
    entry = Entry(arrays={"x": np.zeros(1000)})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: SimpleNamespace(free=31_999))
    store(name_of(1), entry)
    assert load(name_of(1)) is None
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: SimpleNamespace(free=32_000))
    store(name_of(1), entry)
    assert load(name_of(1)) is not None


def test_the_entries_unused_for_longest_go_first(home: Path, monkeypatch: pytest.MonkeyPatch):
    # each entry has 8,000 bytes and a header of some 150: three fit into 25,000
    monkeypatch.setattr(cache, "LIMIT_BYTES", 25_000)
    entry = Entry(arrays={"x": np.zeros(1000)})
    for number in (1, 2, 3):
        store(name_of(number), entry)
        os.utime(home / name_of(number), (number, number))
    assert load(name_of(1)) is not None  # used again: now 2 is the oldest
    store(name_of(4), entry)
    assert kept(home) == [name_of(1), name_of(3), name_of(4)]


def test_what_would_take_half_of_the_cache_is_not_kept(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cache, "LIMIT_BYTES", 15_998)
    store(name_of(1), Entry(arrays={"x": np.zeros(1000)}))
    assert load(name_of(1)) is None


def test_only_its_own_files_are_ever_deleted(home: Path, monkeypatch: pytest.MonkeyPatch):
    home.mkdir()
    old = time.time() - 2 * cache.LEFTOVER_S
    leftover, young = f".{name_of(7)[:40]}.abc.tmp", f".{name_of(8)[:40]}.abc.tmp"
    for name in ("thesis.txt", "bars-1.cache", ".x.tmp", leftover, young):
        (home / name).write_text("x" * 100)
        if name != young:
            os.utime(home / name, (old, old))
    monkeypatch.setattr(cache, "LIMIT_BYTES", 10_000)
    store(name_of(1), Entry(arrays={"x": np.zeros(500)}))
    assert kept(home) == sorted([".x.tmp", young, "bars-1.cache", name_of(1), "thesis.txt"])


def test_names_tell_everything_apart(monkeypatch: pytest.MonkeyPatch):
    def name(kind: str = "bars", settings: object = ("a", 1), **arrays: np.ndarray) -> str | None:
        return entry_name(kind, settings, arrays)

    x = np.arange(4, dtype=np.int64)
    names = [
        name(x=x),
        name("features", x=x),
        name(settings=("a", 2), x=x),
        name(y=x),
        name(x=x[:3]),
        name(x=x + 1),
        name(x=x.view(np.float64)),
        name(x=x.reshape(2, 2)),
        name(x=x, y=x),
    ]
    monkeypatch.setattr(cache, "CODE_HASH", "another version")
    names.append(name(x=x))
    assert None not in names
    assert len(set(names)) == len(names)
    assert all(cache.NAME.fullmatch(str(one)) for one in names)
    monkeypatch.setattr(cache, "CODE_HASH", None)
    assert name(x=x) is None


def test_the_code_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # a copy of the package's sources with one blank more has another hash, and no sources have none
    package = Path(cache.__file__).parent
    for path in package.rglob("*.py"):
        target = tmp_path / "market" / path.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())

    copied = tmp_path / "market"
    assert cache._code_hash(copied) == cache._code_hash(package) == cache.CODE_HASH
    with (copied / "reading" / "times.py").open("a") as file:
        file.write(" ")
    assert cache._code_hash(copied) not in (cache.CODE_HASH, None)
    assert cache._code_hash(tmp_path / "none") is None


@pytest.mark.parametrize("library", ["np", "pd", "pa"])
def test_the_versions_of_what_it_calculates_with_count(library: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(getattr(cache, library), "__version__", "0.0")
    assert cache._code_hash(Path(cache.__file__).parent) not in (cache.CODE_HASH, None)


def test_code_that_is_edited_while_it_runs_names_nothing_anew(tmp_path: Path):
    """A process that imported the package before an edit still calculates, and names, as before."""
    shutil.copytree(Path(cache.__file__).parents[1], tmp_path / "fxai", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "from pathlib import Path\n"
        "from fxai.market import cache\n"
        "imported = Path(cache.__file__).with_name('features.py')\n"
        "imported.write_text(imported.read_text() + ' ')\n"
        "print(imported, cache.entry_name('bars', {}, {}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    imported, name = done.stdout.split()
    assert imported == str(tmp_path / "fxai" / "market" / "features.py")
    assert name == entry_name("bars", {}, {})
    again = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.split()[1] != name


WRITER = """
import sys
import numpy as np
from fxai.market import cache
name = sys.argv[1]
values = np.arange(20_000.0)
print("GO", flush=True)
sys.stdin.readline()
for _ in range(40):
    cache.store(name, cache.Entry(arrays={"x": values}, facts={"by": "any"}))
    entry = cache.load(name)
    assert entry is not None and entry.facts == {"by": "any"}, entry
    np.testing.assert_array_equal(entry.arrays["x"], values)
"""


def test_workers_write_and_read_one_entry_at_the_same_time(home: Path):
    command = [sys.executable, "-c", WRITER, name_of(1)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"GO\n"
    for worker in workers:
        worker.communicate(b"\n")
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert kept(home) == [name_of(1)]
