"""YAML 1.2 core, read strictly (docs/faults.md F29, F30, F36 to F38)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxai.errors import ConfigError
from fxai.yaml_strict import MAX_BYTES, Document, dump, load, loads


def read(text: str) -> Any:
    return loads(f"a: {text}\n", "f.yaml").data["a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),  # text for PyYAML
        ("1E5", 100000.0),
        ("+1", 1),
        ("-0", 0),
        (".5", 0.5),
        ("1.", 1.0),
        ("01.5", 1.5),
        ("0x1f", 31),  # 1 × 16 + 15
        ("0o17", 15),  # 1 × 8 + 7
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("no", "no"),  # False for PyYAML
        ("On", "On"),
        ("1:30", "1:30"),  # 90 for PyYAML
        ("2020-01-02", "2020-01-02"),  # a date for PyYAML
        ("'1'", "1"),
        ('"true"', "true"),
        ("[1, 2.0, x]", [1, 2.0, "x"]),
        ("{b: {c: no}}", {"b": {"c": "no"}}),
        ("|\n  12\n", "12\n"),
    ],
)
def test_scalars_mean_what_a_person_means(text: str, value: Any) -> None:
    got = read(text)
    assert got == value
    assert type(got) is type(value)


def test_nan_is_read_as_a_number() -> None:
    assert math.isnan(read(".nan"))


@pytest.mark.parametrize("text", ["010", "-007", "00", "1_000", "1_000.5", "1_0e3", "0b11"])
def test_numbers_that_the_two_yaml_versions_read_differently_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"f\.yaml:1: .* in YAML 1\.1"):
        read(text)


def test_ambiguous_numbers_may_stand_in_quotes() -> None:
    assert read("'010'") == "010"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: is empty"),
        ("# only a comment", "f.yaml: is empty"),
        ("~", "f.yaml: is empty"),
        ("- 1\n- 2", "f.yaml: must be a mapping (key: value) at its root, not a list"),
        ("word", "f.yaml: must be a mapping (key: value) at its root, not a single value"),
        ("a: 1\n---\nb: 2", "f.yaml:2: holds two documents (a second `---`)"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3: the key 'a' stands twice, on lines 1 and 3"),
        ("x:\n  a: 1\n  a: 1", "f.yaml:3: the key 'a' stands twice, on lines 2 and 3"),
        ('a: 1\n"a": 2', "f.yaml:2: the key 'a' stands twice, on lines 1 and 2"),
        ("a:\n  b: !!python/object:os.system x", "f.yaml:2: the tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("a: !!int 3", "f.yaml:1: the tag 'tag:yaml.org,2002:int' is not allowed"),
        ("a: ! 3", "f.yaml:1: the tag '!' is not allowed"),
        ("x: &x {a: 1}\ny:\n  <<: *x", "f.yaml:3: merge keys (<<) are not supported"),
        ("1: a", "f.yaml:1: the key '1' is not text"),
        ("true: a", "f.yaml:1: the key 'true' is not text"),
        ("? [a]\n: b", "f.yaml:1: a key must be a word, not a list or mapping"),
        ("a:\n\t- b", "f.yaml:2: is not valid YAML: found character '\\t'"),
        ("a: [1, 2", "f.yaml:1: is not valid YAML: expected ',' or ']'"),
        ("a: *x", "f.yaml:1: is not valid YAML: found undefined alias 'x'"),
        ("a: \x07", "f.yaml:1: holds a character that YAML does not allow (code 0x7)"),
        ("a: 1e999", "f.yaml:1: the number 1e999 is too large"),
        ("a: 1234567890123456789", "f.yaml:1: the number 1234567890123456789… has more than 18 digits"),
        ("a: " + "[" * 2000, "f.yaml:1: is nested deeper than 32 levels"),
        ("a: &x [*x]", "f.yaml:1: an alias contains itself"),
        ("a: &x {b: *x}", "f.yaml:1: an alias contains itself"),
    ],
)
def test_each_fault_is_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(text, "f.yaml")
    head = str(caught.value).split("\nhint: ")[0]
    assert head.startswith(message)
    assert "\n" not in head


def test_an_alias_is_read_as_a_copy() -> None:
    assert loads("a: &x [1]\nb: *x", "f").data == {"a": [1], "b": [1]}


def test_an_alias_bomb_is_refused() -> None:
    # Nine levels of nine: 9^9 = 387 million values from ten lines.
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(ConfigError, match="too large once its aliases are expanded"):
        loads("\n".join(lines), "f")


def test_every_key_and_item_has_its_line() -> None:
    document = loads("# head\na:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", "f.yaml")
    assert document.line(("a",)) == 2
    assert document.line(("a", "b")) == 3
    assert document.line(("a", "c", 1)) == 6
    assert document.line(("a", "c", 1, "d")) == 6
    assert document.has(("a", "b"))
    assert not document.has(("a", "z"))
    assert document.where(("a", "b", "missing")) == "f.yaml:3"  # its nearest parent
    assert document.line(("nothing",)) == 2  # the root mapping starts on line 2


def written(tmp_path: Path, raw: bytes) -> Path:
    path = tmp_path / "a.yaml"
    path.write_bytes(raw)
    return path


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    document: Document = load(written(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n"))
    assert document.data == {"a": 1, "b": "é"}
    assert document.line(("b",)) == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: 1\nb: \xe9\n", r"a\.yaml:2: is not UTF-8 \(byte 0xe9\)"),
        (b"\xff\xfea", r"a\.yaml:1: is not UTF-8 \(byte 0xff\)"),  # how UTF-16 begins
        (b"\x89PNG\0\0", "is not a text file"),
        (b"#" * (MAX_BYTES + 1), "is larger than 256 KiB"),
    ],
)
def test_what_is_not_utf8_text_is_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, raw))


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    written(tmp_path, b"a: 1").rename(tmp_path / "quick_search.yaml")
    with pytest.raises(ConfigError, match=r"did you mean .*quick_search\.yaml"):
        load(tmp_path / "quick_serach.yaml")
    with pytest.raises(ConfigError, match="there is no folder"):
        load(tmp_path / "no" / "a.yaml")
    with pytest.raises(ConfigError, match="is not a file"):
        load(tmp_path)


texts = st.one_of(
    st.sampled_from(["no", "1e-3", "010", "1:30", "", "null", "0o17", "a: b", "# x", "1_000", "2020-01-01", "<<"]),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**17), 10**17),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts.filter(bool), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1), values, min_size=1, max_size=4))
def test_what_is_dumped_reads_back_the_same(data: dict[str, Any]) -> None:
    assert loads(dump(data), "f").data == data


def test_dump_keeps_order_and_writes_no_aliases() -> None:
    shared = [1.0, 1e-5]
    assert dump({"b": shared, "a": shared}) == "b:\n  - 1.0\n  - 1.0e-05\na:\n  - 1.0\n  - 1.0e-05\n"
