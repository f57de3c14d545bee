"""A study under fire: workers, and now and then the orchestrator, are killed, stopped and suspended at random, and the
database is locked; an orchestrator that has ended early is started again. What is left is judged by `soak_checks`.

All that is random comes from one seed, FXAI_SOAK_SEED, which is printed; what it meets is up to the machine.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fakes
from harness import DRIVER, is_running
from postgresql import Server
from sqlalchemy.engine import make_url

SEED = "FXAI_SOAK_SEED"
GRACE_S = 3.0
"""In place of a minute, so that some suspended workers lose their trials."""

LONGEST_S = 240.0
"""Of a round of forty trials; one that takes longer hangs."""

SECRET = "s3cr{e}t@soak/%"
"""The password of the database, of characters that a URL cannot hold as they are."""

WORKERS = 4
STRIKE_EVERY_S = (1.0, 3.0)
LOCK_S = (0.5, 5.0)
PAUSE_S = (0.5, 8.0)
"""Of a suspended worker."""

STRIKES = {
    "SIGKILL to a worker": 10,
    "SIGTERM to a worker": 6,
    "SIGSTOP to a worker": 6,
    "lock": 6,
    "SIGKILL to the orchestrator": 1,
    "SIGTERM to the orchestrator": 1,
}
"""And how often one happens, beside the others, once each has happened."""

CUT = {"connections cut": 6}
"""On PostgreSQL in addition."""

EXPECTED = (-signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM)
"""Exit codes of an orchestrator that was struck; the last where it imports or writes its results."""


def seed() -> int:
    """That of the environment, or a new one."""
    return int(os.environ.get(SEED) or random.SystemRandom().randrange(1_000_000))


@dataclass
class Database:
    """Where the study is kept, and how to lock it."""

    url: str
    """Without a password."""

    server: Server | None = None
    """Of PostgreSQL."""

    @property
    def full_url(self) -> str:
        """With the password, as a spec of mode 0600 may hold it."""
        if self.server is None:
            return self.url
        return make_url(self.url).set(password=SECRET).render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """Its name on the server, or its file."""
        return str(make_url(self.url).database)

    def lock(self, seconds: float, over: threading.Event) -> None:
        """Hold what every trial needs; returns after that, or when it is over."""
        if self.server is None:
            held = sqlite3.connect(self.name, timeout=LONGEST_S, isolation_level=None)
            held.execute("BEGIN EXCLUSIVE")
        else:
            import psycopg

            held = psycopg.connect(self.server.url(self.name))
            held.execute("LOCK TABLE trials IN ACCESS EXCLUSIVE MODE")
        over.wait(seconds)
        held.rollback()
        held.close()

    def cut(self, rng: random.Random) -> int:
        """End some connections of whoever has one; returns how many."""
        assert self.server is not None
        mine = f"datname = '{self.name}' AND usename <> 'postgres'"
        pids = [pid for (pid,) in self.server.execute(f"SELECT pid FROM pg_stat_activity WHERE {mine}")]
        chosen = rng.sample(pids, min(len(pids), 2))
        for pid in chosen:
            self.server.execute(f"SELECT pg_terminate_backend({pid})")
        return len(chosen)


@dataclass
class Soak:
    """One study of a number of trials, from its first start to the end of its budget."""

    folder: Path
    database: Database
    seed: int
    n_trials: int = 40
    say: Callable[[str], None] = print
    counts: Counter[str] = field(default_factory=Counter)
    """Strikes by kind."""
    locked_s: float = 0.0
    starts: int = 0
    sessions: list[int] = field(default_factory=list)
    """Of each orchestrator and all that it has started."""

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._began = time.monotonic()
        self._over = threading.Event()
        self._struck = False
        self._locker: threading.Thread | None = None
        self._paused: list[threading.Timer] = []
        kinds = {**STRIKES, **(CUT if self.database.server is not None else {})}
        self._kinds, self._weights = list(kinds), list(kinds.values())
        self._first = self._rng.sample(self._kinds, len(self._kinds))

    def run(self) -> float:
        """Until the budget is spent; returns the seconds that it took."""
        self.say(f"soak: {SEED}={self.seed}")
        try:
            while (code := self._one_orchestrator()) != 0:
                said = f"{SEED}={self.seed}: the orchestrator ended with {code}: {self.output()[-3000:]}"
                assert code in EXPECTED, said
                assert self._struck, said
        finally:
            self._over.set()
            for timer in self._paused:
                timer.join()
            if self._locker is not None:
                self._locker.join()
        return time.monotonic() - self._began

    def output(self) -> str:
        """All that the orchestrators have printed."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("output-*.txt")))

    def _one_orchestrator(self) -> int:
        self._struck = False
        process = self._start()
        ended = os.pidfd_open(process.pid)
        try:
            while not select.select([ended], [], [], self._rng.uniform(*STRIKE_EVERY_S))[0]:
                assert time.monotonic() - self._began < LONGEST_S, f"it hangs: {self.output()[-3000:]}"
                self._strike(process.pid)
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(ended)
            process.wait()
        self._note(f"orchestrator ended with {process.returncode}")
        return process.returncode

    def _start(self) -> subprocess.Popen[bytes]:
        """By turns the password is in the spec and in the environment."""
        in_spec = self.starts % 2 == 0
        spec = fakes.write_spec(
            self.folder,
            storage=self.database.full_url if in_spec else self.database.url,
            n_trials=self.n_trials,
            n_jobs=WORKERS,
            sampler={"type": "TPESampler", "seed": self.seed},
            pruner={"type": "MedianPruner", "n_startup_trials": 5, "n_warmup_steps": 1},
        )
        spec.chmod(0o600)
        environment = {**os.environ, "FXAI_TEST_GRACE_S": str(GRACE_S)}
        if not in_spec:
            environment["PGPASSWORD"] = SECRET
        with (self.folder / f"output-{self.starts:03d}.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(DRIVER), "soaked:objective", "--spec", str(spec), "--oversubscribe"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
                env=environment,
            )
        self.starts += 1
        self.sessions.append(process.pid)
        self._note(f"orchestrator {process.pid} started")
        return process

    def _strike(self, orchestrator: int) -> None:
        kind = self._first.pop() if self._first else self._rng.choices(self._kinds, self._weights)[0]
        name, _, whom = kind.partition(" to ")
        if kind == "lock":
            self._lock()
        elif kind == "connections cut":
            self._count(kind, self.database.cut(self._rng))
        elif whom == "the orchestrator":
            self._struck = True
            self._signal(orchestrator, name, kind)
        elif workers := workers_of(orchestrator):
            pid = self._rng.choice(workers)
            self._signal(pid, name, kind)
            if name == "SIGSTOP":
                timer = threading.Timer(self._rng.uniform(*PAUSE_S), _wake, [pid])
                timer.start()
                self._paused.append(timer)

    def _signal(self, pid: int, name: str, kind: str) -> None:
        try:
            os.kill(pid, getattr(signal, name))
        except ProcessLookupError:  # it has just ended
            return
        self._note(f"{name} to {pid}")
        self._count(kind)

    def _lock(self) -> None:
        if self._locker is not None and self._locker.is_alive():
            return
        seconds = self._rng.uniform(*LOCK_S)
        self._locker = threading.Thread(target=self._hold, args=(seconds,))
        self._locker.start()

    def _hold(self, seconds: float) -> None:
        if self.database.server is None and not Path(self.database.name).exists():
            return
        self._note(f"lock for {seconds:.1f} s")
        try:
            self.database.lock(seconds, self._over)
        except Exception as error:  # there is no table yet
            self._note(f"not locked: {error}")
            return
        self._count("lock")
        self.locked_s += seconds

    def _count(self, kind: str, number: int = 1) -> None:
        self.counts[kind] += number

    def _note(self, text: str) -> None:
        self.say(f"  {time.monotonic() - self._began:6.1f} s  {text}")


def workers_of(orchestrator: int) -> list[int]:
    """Its children, but for the one that multiprocessing keeps for itself."""
    try:
        threads = list(Path(f"/proc/{orchestrator}/task").iterdir())
        pids = [int(pid) for thread in threads for pid in (thread / "children").read_text().split()]
        return sorted(pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:  # it, or one of them, has ended meanwhile
        return []


def _wake(pid: int) -> None:
    if is_running(pid):
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def database_on(server: Server) -> Iterator[Database]:
    """An empty database of a user who needs the password."""
    user = server.new_user(SECRET)
    name = server.new_database(user)
    try:
        yield Database(server.url(name, user), server)
    finally:
        server.drop(name)
