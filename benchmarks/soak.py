"""Studies under fire for minutes: what tests/faults/test_soak.py does once, over and over, each time with another seed.

Four workers, forty trials of a second; workers and orchestrators are killed, stopped and suspended, the database is
locked and its connections are cut. After each study all is checked: budget, draws, files, secrets, processes.

    python benchmarks/soak.py --minutes 10
    FXAI_SOAK_SEED=17 python benchmarks/soak.py --minutes 1 --databases sqlite
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "study"), str(TESTS / "faults")]

import postgresql  # noqa: E402
import soak  # noqa: E402
import soak_checks  # noqa: E402


@contextmanager
def fresh(kind: str, server: postgresql.Server | None) -> Iterator[tuple[Path, soak.Database]]:
    """A folder and an empty database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fxai-soak-")))
        if server is None:
            yield folder, soak.Database(f"{kind}:///{folder / 'study.db'}")
        else:
            yield folder, stack.enter_context(soak.database_on(server))


def under_fire(kind: str, seconds: float, seed: int, *, verbose: bool) -> str:
    """Studies one after the other until the time is up; returns a line about them."""
    began, studies, strikes, states = time.monotonic(), 0, Counter[str](), Counter[str]()
    locked_s, starts = 0.0, 0
    with ExitStack() as stack:
        server = None
        if kind == "postgresql":
            server = postgresql.Server()
            stack.callback(server.close)
        while time.monotonic() - began < seconds:
            with fresh(kind, server) as (folder, database):
                one = soak.Soak(folder, database, seed + studies, say=print if verbose else _nothing)
                took_s = one.run()
                trials = soak_checks.check(one)
            print(f"{kind}: {soak.SEED}={one.seed}: {len(trials)} trials in {took_s:.0f} s", flush=True)
            states.update("REQUEUED" if "requeued_as" in trial.user_attrs else trial.state.name for trial in trials)
            strikes.update(one.counts)
            studies, starts, locked_s = studies + 1, starts + one.starts, locked_s + one.locked_s
    told = ", ".join(f"{number} {name}" for name, number in [*sorted(states.items()), *strikes.most_common()])
    minutes = (time.monotonic() - began) / 60
    return f"{kind}: {studies} studies, {starts} orchestrators, {minutes:.1f} min: {told}; {locked_s:.0f} s locked"


def _nothing(_text: str) -> None:
    """Say nothing."""


def main() -> None:
    """Print a line for each study and one for each database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="in all; the last study of each database ends later"
    )
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--verbose", action="store_true", help="print every strike")
    args = parser.parse_args()
    seed = soak.seed()
    for kind in args.databases:
        if kind == "postgresql" and (reason := postgresql.why_not()):
            print(f"{kind}: {reason}")
            continue
        print(under_fire(kind, args.minutes * 60 / len(args.databases), seed, verbose=args.verbose), flush=True)


if __name__ == "__main__":
    main()
