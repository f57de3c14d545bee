"""YAML as a person means it: the 1.2 core schema, no surprises, every key with its line.

Read: one UTF-8 document with a mapping at its root. `1e-3` is a number, `no` and `1:30` are text, and
numbers that YAML 1.1 and 1.2 read differently (`010`, `1_000`) are refused. So are duplicate keys, tags and
merge keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from fxai.errors import ConfigError

Place = tuple[str | int, ...]
"""Where a value stands: keys and list indices from the root."""

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
"""Values in a document, counted after aliases are expanded."""
MAX_DEPTH = 32
_MAX_DIGITS = 18
"""Longest whole number; 18 digits fit into the 64 bits of the study database."""

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = {".nan", ".NaN", ".NAN"}
_AMBIGUOUS = (
    (re.compile(r"[-+]?0[0-9]+"), "octal in YAML 1.1 and decimal in 1.2"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"),
        "a number in YAML 1.1 and text in 1.2",
    ),
    (re.compile(r"[-+]?0b[01_]+"), "a number in YAML 1.1 and text in 1.2"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as plain data, with the line of every key."""

    name: str
    data: dict[str, Any]
    lines: dict[Place, int]

    def has(self, path: Place) -> bool:
        """Whether the document has a value at `path`."""
        return path in self.lines

    def line(self, path: Place = ()) -> int:
        """Line, from 1, of the key (or list item) at `path`; of its nearest parent where it is missing."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: Place = ()) -> str:
        """`file:line` of `path`, for an error."""
        return f"{self.name}:{self.line(path)}"


def load(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: it cannot be read, or is not one strict YAML document with a mapping at the root.
    """
    name = str(path)
    try:
        if path.exists() and not path.is_file():
            raise ConfigError("is not a file", where=name)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("no such file", where=name, hint=_similar_file(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=name) from error
    return loads(_decode(raw, name), name)


def loads(text: str, name: str) -> Document:
    """Read YAML text; `name` stands for the file in errors.

    Raises:
        ConfigError: as `load`.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES // 1024} KiB, too large for a configuration", where=name)
    root = _compose(text.removeprefix("\ufeff"), name)
    if root is None:
        raise ConfigError("is empty", where=name)
    builder = _Builder(name)
    data = builder.value(root, (), 0)
    if data is None:
        raise ConfigError("is empty", where=name)
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise ConfigError(f"must be a mapping (key: value) at its root, not {kind}", where=name)
    return Document(name, data, builder.lines)


def dump(data: dict[str, Any]) -> str:
    """Write plain data as YAML that `loads` reads back to the same values, keys in their order."""
    return "".join(_dump_section(key, value) for key, value in data.items()) if data else _dump(data)


def _dump_section(key: str, value: Any) -> str:
    """One entry of the root; the next trial's configuration has most of them again, and PyYAML is slow."""
    same = repr(value)
    found = _last_sections.get(key)
    if found is None or found[0] != same:
        found = _last_sections[key] = (same, _dump({key: value}))
    return found[1]


_last_sections: dict[str, tuple[str, str]] = {}
"""Key of the root → the value that was last written under it, as `repr` shows it, and its text."""


def _dump(data: dict[str, Any]) -> str:
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to nodes: no tag is resolved and no object is built."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose one node; refuse tags and a nesting that would exhaust the stack."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise _Refused(f"the tag {event.tag!r} is not allowed", event.start_mark.line, "write the plain value")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused(f"is nested deeper than {MAX_DEPTH} levels", event.start_mark.line)
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Refused(Exception):
    def __init__(self, what: str, line: int, hint: str | None = None) -> None:
        self.what, self.line, self.hint = what, line, hint
        super().__init__(what)


def _compose(text: str, name: str) -> Node | None:
    """Parse to a tree of nodes; every fault of the syntax is one line with its place."""
    try:
        return _Loader(text).get_single_node()
    except _Refused as refused:
        raise ConfigError(refused.what, where=f"{name}:{refused.line + 1}", hint=refused.hint) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"holds a character that YAML does not allow (code {error.character:#x}); is this a text file?",
            where=f"{name}:{line}",
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = " ".join(str(error.problem or error.context).split())
        if "another document" in problem:
            raise ConfigError("holds two documents (a second `---`)", where=where, hint="keep one") from None
        hint = "indent with spaces, not tabs" if "\\t" in problem else None
        raise ConfigError(f"is not valid YAML: {problem}", where=where, hint=hint) from None


class _Builder:
    """Turns nodes into plain data and notes the line of every key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {}
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: Node, path: Place, depth: int) -> Any:
        """Plain data of a node and all below it."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            self._refuse(node, "is too large once its aliases are expanded")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self._refuse(node, "an alias contains itself")
        self._open.add(id(node))
        data: Any
        if isinstance(node, MappingNode):
            data = self._mapping(node, path, depth)
        else:
            assert isinstance(node, SequenceNode)
            data = [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        self._open.discard(id(node))
        return data

    def _mapping(self, node: MappingNode, path: Place, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            place = (*path, key)
            line = key_node.start_mark.line + 1
            if key in data:
                first = self.lines[place]
                self._refuse(key_node, f"the key {key!r} stands twice, on lines {first} and {line}", "keep one")
            self.lines[place] = line
            data[key] = self.value(value_node, place, depth + 1)
        return data

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            self._refuse(node, "a key must be a word, not a list or mapping")
        if node.value == "<<" and node.style is None:
            self._refuse(node, "merge keys (<<) are not supported", "write the keys out")
        key = self._scalar(node)
        if not isinstance(key, str):
            self._refuse(node, f"the key {node.value!r} is not text", "put it in quotes if it is meant as a name")
        return key

    def _scalar(self, node: ScalarNode) -> Any:
        """A value by the YAML 1.2 core schema; quoted and block scalars are text."""
        text: str = node.value
        if node.style is not None:
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        for pattern, reason in _AMBIGUOUS:
            if pattern.fullmatch(text):
                hint = f'write it without 0 in front, 0b or _ if it is a number, as "{text}" if it is text'
                self._refuse(node, f"{text[:40]} is {reason}", hint[:160])
        return self._number(node, text)

    def _number(self, node: ScalarNode, text: str) -> Any:
        if _INT.fullmatch(text) or _HEX.fullmatch(text) or _OCTAL.fullmatch(text):
            if len(text.lstrip("+-")) > _MAX_DIGITS:
                self._refuse(node, f"the number {text[:20]}… has more than {_MAX_DIGITS} digits")
            return int(text, 0 if text[:2] in ("0x", "0o") else 10)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                self._refuse(node, f"the number {text[:20]} is too large")
            return number
        if _INFINITY.fullmatch(text):
            return float("-inf") if text.startswith("-") else float("inf")
        return float("nan") if text in _NAN else text

    def _refuse(self, node: Node, what: str, hint: str | None = None) -> NoReturn:
        raise ConfigError(what, where=f"{self.name}:{node.start_mark.line + 1}", hint=hint)


class _Dumper(yaml.SafeDumper):
    """Quotes text that either YAML version would read as something else; never writes aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_implicit_resolver(  # `1e-3` and `0o17`, numbers in YAML 1.2 only
    "tag:yaml.org,2002:float", re.compile(rf"^(?:{_FLOAT.pattern}|{_OCTAL.pattern})$"), list("-+.0123456789")
)


def _decode(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES // 1024} KiB, too large for a configuration", where=name)
    if b"\0" in raw:
        raise ConfigError("is not a text file (it holds zero bytes)", where=name, hint="save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"is not UTF-8 (byte {raw[error.start]:#04x})", where=f"{name}:{line}", hint="save it as UTF-8"
        ) from None


def _similar_file(path: Path) -> str | None:
    """Hint with the files beside a missing one whose names come close."""
    import difflib

    try:
        names = sorted(p.name for p in path.parent.iterdir() if p.suffix in {".yaml", ".yml"})
    except OSError:
        return f"there is no folder {path.parent}"
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f"did you mean {path.parent / close[0]}?"
    return f"{path.parent} has {', '.join(names[:12])}" if names else None
