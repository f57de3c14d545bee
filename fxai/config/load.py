"""From YAML to settings: files, defaults below overrides, and errors that name the line.

A dotted name such as `training.learning_rate` is the place of a setting in a `TrialConfig`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from fxai import yaml_strict
from fxai.config.objective import Scalar, is_own_name
from fxai.config.reward import name_fault
from fxai.config.trial import TrialConfig
from fxai.errors import ConfigError
from fxai.secrets import redact_url
from fxai.yaml_strict import Document, Place

Where = Callable[[Place], str]
"""Gives `file:line` for the place of a value."""

Model = TypeVar("Model", bound=BaseModel)

BASE_FOLDER = Path("config/base")
CUSTOM = "env.reward.custom."
"""Where the coefficients of custom reward terms are set."""

OWN = "objective."
"""Where the settings of an objective of the user's own are."""

_BASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BOOL_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def load_trial_config(path: Path) -> TrialConfig:
    """Read a training config, for example an exported best config.

    Raises:
        ConfigError: unreadable file, unknown key, wrong type or a combination that cannot train.
    """
    document = yaml_strict.load(path)
    if "studies" in document.data:
        raise ConfigError("this is a study spec, not a training config", where=str(path), hint="run it with --spec")
    return validate(document.data, where=document.where)


def validate(data: dict[str, Any], *, where: Where) -> TrialConfig:
    """Check plain data against the settings classes.

    Raises:
        ConfigError: the first fault in full with its place and a hint, the others one line each.
    """
    return parse(TrialConfig, data, where=where)


def parse(model: type[Model], data: Any, *, where: Where, prefix: Place = ()) -> Model:
    """Check plain data against any settings class; `prefix` is where `data` stands in its file.

    Raises:
        ConfigError: as `validate`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # a misspelt key is also a missing one: the unknown key says more
        items = sorted(error.errors(include_url=False), key=lambda item: item["type"] == "missing")
        faults = [_Fault(dict(item), model) for item in items]
    first, *others = faults
    lines = [f"{first.path(prefix)}{first.what}"]
    lines += [f"also {where(prefix + fault.place)}: {fault.path(prefix)}{fault.what}" for fault in others]
    raise ConfigError("\n".join(lines), where=where(prefix + first.place), hint=first.hint)


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `override` on top, mappings merged key by key; both stay as they were."""
    merged = deepcopy(base)
    for key, value in override.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = merge(below, value) if both else deepcopy(value)  # type: ignore[arg-type]
    return merged


def set_dotted(data: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A deep copy of `data` in which the setting `name` has `value`.

    Raises:
        ConfigError: `name` is not a setting.
    """
    field_type(name)
    *sections, leaf = name.split(".")
    copy = deepcopy(data)
    section = copy
    for key in sections:
        section = section.setdefault(key, {})
    section[leaf] = value
    return copy


def get_dotted(config: TrialConfig, name: str) -> Any:
    """Value of the setting `name`; None of one that only the user's own code knows and the config does not set."""
    if is_custom(name):
        return config.env.reward.custom.by_name.get(name.removeprefix(CUSTOM))
    if is_own(name):
        return config.objective.by_name.get(name.removeprefix(OWN))
    value: Any = config
    for key in name.split("."):
        value = getattr(value, key)
    return value


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted name."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def field_names() -> list[str]:
    """All dotted names of a `TrialConfig`, in the order of the classes."""
    return list(_FIELDS)


def is_custom(name: str) -> bool:
    """Whether `name` is a coefficient of a reward term of the user's own; which ones there are, their files know."""
    return name.startswith(CUSTOM) and name_fault(name.removeprefix(CUSTOM)) is None


def is_own(name: str) -> bool:
    """Whether `name` is a setting of an objective of the user's own."""
    return name.startswith(OWN) and is_own_name(name.removeprefix(OWN))


def is_setting(name: str) -> bool:
    """Whether `name` can be set in a `TrialConfig`."""
    return name in _FIELDS or is_custom(name) or is_own(name)


def field_type(name: str) -> Any:
    """Type annotation of a setting, for example `float` or `Literal["gelu", "relu"]`.

    Raises:
        ConfigError: there is no such setting; the hint names the nearest one.
    """
    if is_custom(name):
        return float
    if is_own(name):
        return Scalar
    if name not in _FIELDS:
        raise ConfigError(f"{name!r} is not a setting", hint=suggest(name, _FIELDS))
    return _FIELDS[name]


def field_fault(base: TrialConfig, name: str, value: Any) -> str | None:
    """Why the setting `name` can never be `value`, whatever the others are; None if it can.

    Faults of several settings together are not looked at.
    """
    place = tuple(name.split("."))
    try:
        TrialConfig.model_validate(set_dotted(base.model_dump(), name, value))
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["loc"][: len(place)] == place:
                return _Fault(dict(item), TrialConfig).what
    return None


def explain_type(annotation: Any) -> str:
    """A type annotation in words."""
    if annotation in _TYPES:
        return _TYPES[annotation]
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(explain_type(part) for part in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "a list"
    return "one of " + ", ".join(str(value) for value in get_args(annotation))


def find_base(name: str, beside: Path | None = None) -> Document:
    """The base config `name`, from config/base here, else from the folders of the spec file `beside`.

    Raises:
        ConfigError: no such base config; the hint lists those that exist.
    """
    folders = [BASE_FOLDER]
    if beside is not None:
        folders += [beside.parent.parent / "base", beside.parent]
    if not _BASE_NAME.fullmatch(name):
        raise ConfigError(f"base_config {name!r} is not a name", hint=f"write the name of a file of {BASE_FOLDER}")
    bare = name.removesuffix(".yaml")
    for folder in folders:
        if (folder / f"{bare}.yaml").is_file():
            return yaml_strict.load(folder / f"{bare}.yaml")
    known = sorted({file.stem for folder in folders[:2] for file in folder.glob("*.yaml")})
    looked = ", ".join(dict.fromkeys(str(folder) for folder in folders))
    raise ConfigError(
        f"there is no base config {name!r} in {looked}",
        hint=suggest(bare, known) or "run in the project's folder, which holds config/base",
    )


def suggest(word: str, known: Iterable[str]) -> str | None:
    """A hint for a misspelt word: the nearest known one, else all of them if they are few."""
    import difflib

    known = list(known)
    by_leaf = [name for name in known if name.endswith("." + word.rpartition(".")[2])]
    by_part = [name for name in known if word.lower() in name.lower()]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.7) or by_leaf[:1]
    if not close and len(by_part) == 1:
        close = by_part
    if not close:
        close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    everything = f"known: {', '.join(known)}"
    if not close:
        return everything if 0 < len(known) <= 30 else None
    return f"did you mean {close[0]}?" + (f" ({everything})" if len(known) <= 12 else "")


def show(value: Any) -> str:
    """A value in an error: short, without control characters, without a password."""
    kinds = {dict: "a mapping", list: "a list", tuple: "a list", type(None): "null", bool: str(value).lower()}
    if type(value) in kinds:
        return kinds[type(value)]
    if isinstance(value, str):
        value = redact_url(value)
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    short = text if len(text) <= 60 else text[:57] + "..."
    return f"the text {short}" if isinstance(value, str) else short


def plain(number: float) -> str:
    """A number without a needless .0."""
    return str(int(number)) if float(number).is_integer() and abs(number) < 1e15 else repr(number)


class _Fault:
    """One fault that pydantic found, in words."""

    def __init__(self, error: dict[str, Any], model: type[BaseModel]) -> None:
        self.place: Place = tuple(error["loc"])
        self.hint: str | None = None
        self.what = self._describe(error, model)

    def path(self, prefix: Place) -> str:
        """The place as a person writes it, `studies[0].n_trials: `."""
        keys = [key if isinstance(key, int) or key.isprintable() else ascii(key) for key in prefix + self.place]
        text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
        return f"{text.lstrip('.')}: " if text else ""

    def _describe(self, error: dict[str, Any], model: type[BaseModel]) -> str:
        kind, value, limits = error["type"], error["input"], error.get("ctx", {})
        got = f", got {show(value)}"
        if kind == "extra_forbidden":
            section = _model_at(model, self.place[:-1])
            self.hint = suggest(str(self.place[-1]), section.model_fields if section else ())
            return "unknown key"
        if kind == "missing":
            return "this key is required and missing"
        if kind == "value_error":
            return str(limits["error"])
        if kind == "literal_error":
            words = re.findall(r"'([^']*)'", limits["expected"])
            self.hint = suggest(value, words) if isinstance(value, str) else None
            return f"must be one of {', '.join(words)}{got}"
        if kind == "string_pattern_mismatch":
            return f"must match the pattern {limits['pattern']}{got}"
        for symbol, limit in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
            if symbol in limits:
                return f"must be {limit} {plain(limits[symbol])}{got}"
        return self._wrong_type(kind, value) + got if kind in _WRONG_TYPE else error["msg"] + got

    def _wrong_type(self, kind: str, value: Any) -> str:
        if kind == "bool_type" and isinstance(value, str) and value.lower() in _BOOL_WORDS:
            self.hint = f"write {_BOOL_WORDS[value.lower()]}"
        elif kind in ("int_type", "int_from_float") and isinstance(value, float) and value.is_integer():
            self.hint = f"write {int(value)}"
        elif kind == "string_type" and isinstance(value, (int, float)):
            self.hint = "put it in quotes"
        elif kind in ("int_type", "float_type") and isinstance(value, str) and _looks_numeric(value):
            self.hint = "write the number without quotes, thousands marks or units"
        return f"must be {_WRONG_TYPE[kind]}"


_TYPES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping (key: value)",
    type(None): "null",
}

_WRONG_TYPE = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "finite_number": "a finite number",
    "model_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "tuple_type": "a list",
    "list_type": "a list",
}


def _looks_numeric(text: str) -> bool:
    return bool(re.match(r"\s*[-+]?\.?[0-9]", text))


def _model_at(model: type[BaseModel] | None, place: Place) -> type[BaseModel] | None:
    """The settings class of the section at `place`."""
    for key in place:
        if isinstance(key, int) or model is None:
            continue
        field = model.model_fields.get(key)
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The settings class that an annotation is, or is a list of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _section(annotation: Any) -> type[BaseModel] | None:
    """The settings class that a field is, or is where it is not null."""
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], BaseModel) else None


def _fields_of(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Dotted name and type of every leaf setting below `model`."""
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is not None:
            fields |= _fields_of(section, f"{prefix}{name}.")
        else:
            fields[prefix + name] = field.annotation
    return fields


_FIELDS = _fields_of(TrialConfig)
