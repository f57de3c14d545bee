"""Who runs the trials of a command: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fxai.errors import InputError
from fxai.report.talk import say
from fxai.study.spec import StudySpec
from fxai.study.workers.slots import slots_of

if TYPE_CHECKING:
    from fxai.study.workers.launch import Crew


@contextmanager
def crew_of(spec: StudySpec, args: argparse.Namespace) -> Iterator[Crew]:
    """The crew that the options ask for, and a note where it is smaller than that.

    Raises:
        InputError: options that do not go together, or no Ray cluster.
    """
    if args.launcher == "ray":
        from fxai.study.workers.cluster import ray_crew

        with ray_crew(spec, args.ray_address) as (crew, fewer):
            _say(fewer, args)
            yield crew
        return
    if args.ray_address is not None:
        raise InputError("is of no use without --launcher ray", where="--ray-address")
    from fxai.study.workers.launch import Crew

    slots, fewer = slots_of(spec, oversubscribe=args.oversubscribe)
    _say(fewer, args)
    yield Crew(slots=slots)


def _say(note: str | None, args: argparse.Namespace) -> None:
    if note is not None and not args.quiet:
        say(f"note: {note}")
