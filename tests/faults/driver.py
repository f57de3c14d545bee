"""The command line with a fake objective, as a process: `driver.py MODULE:FUNCTION --spec FILE ...`."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "study")]


def main() -> int:
    """Run the command with the objective in place of PPO and without bars."""
    market = ModuleType("fxai.market.data")  # the real one imports pandas
    market.load_market = lambda *_args, **_kwargs: SimpleNamespace(
        notes=(), derived=(), data_hash="bars", contents={}, check_execution=lambda execution: None, validation=None
    )  # type: ignore[attr-defined]
    sys.modules["fxai.market.data"] = market
    import fxai.study.workers.launch
    from fxai import cli

    if "FXAI_TEST_GRACE_S" in os.environ:
        import quick_grace  # noqa: F401

    for name in ("run_study", "join_study"):
        real = getattr(fxai.study.workers.launch, name)
        setattr(fxai.study.workers.launch, name, functools.partial(real, objective=sys.argv[1]))
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
