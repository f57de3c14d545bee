"""What the command line says in place of a spec."""

from __future__ import annotations

import argparse

from fxai import yaml_strict
from fxai.config.load import set_dotted, validate
from fxai.errors import InputError
from fxai.report.talk import say
from fxai.study.pruners import never_fires
from fxai.study.space_checks import check_space
from fxai.study.spec import StudySpec


def with_overrides(spec: StudySpec, args: argparse.Namespace) -> StudySpec:
    """The study with what the command line says otherwise.

    Raises:
        InputError, ConfigError: an override that cannot be, or does not go with the rest.
    """
    changes = {key: getattr(args, key, None) for key in ("n_trials", "timeout", "storage", "n_jobs")}
    spec = spec.model_copy(update={key: value for key, value in changes.items() if value is not None})
    if not args.set:
        return spec
    ruler, named = spec.ruler.model_dump(mode="json"), []
    for assignment in args.set:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"{assignment!r} is not KEY=VALUE", where="--set")
        named.append(key.strip())
        ruler = set_dotted(ruler, key.strip(), yaml_strict.loads(f"value: {text}", f"--set {key}").data["value"])
    # what is set by hand comes before what the spec fixes
    spec = spec.on_ruler(validate(ruler, where=lambda _: "--set"), free=named)
    check_space(spec.base, spec.parameters, spec.metric_names, where=lambda _: "--set", place=())
    return spec


def warn_of_overrides(spec: StudySpec, args: argparse.Namespace) -> None:
    """Say what a spec is refused for and an override is not: short runs are meant so."""
    if args.set and (useless := never_fires(spec.pruner, spec.base.training)):
        say(f"warning: --set: pruner: {spec.pruner.type} can never stop a trial: {useless}")
