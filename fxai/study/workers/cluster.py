"""Workers as actors of a Ray cluster: the same worker, with a share of a GPU, wherever the cluster has room.

The nodes share nothing but the database, which is PostgreSQL, and have FxAI installed. An actor that dies with its node
ends its pipe, as a local process does; its trial goes back to the queue and another actor waits for a place.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fxai.errors import InputError, StorageError
from fxai.study.spec import StudySpec
from fxai.study.workers.handle import Started
from fxai.study.workers.launch import Crew
from fxai.study.workers.process import serve
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import WorkerSetup

POLL_S = 5.0
"""Longest wait for events inside an actor; an empty answer shows that it lives."""

NODE_LOSS_S = 30.0
"""How long Ray may take to notice that a node is gone; until then its actors are "unavailable"."""

KNOCK_S = 10.0

MISSED = 3
"""Knocks in a row, POLL_S apart, without an answer from the head: it is gone. Ray ends this process without a word to
anybody a minute after it has lost the head."""

_PASSED_ON = ("PGPASSWORD",)
"""Variables that workers need; handed over as an argument, since Ray shows a runtime environment to everybody."""


class WorkerActor:
    """One worker; each method runs in a thread of the actor's process."""

    def __init__(self, setup: WorkerSetup, folder: Path, environment: Mapping[str, str]) -> None:
        """Prepare the process: `folder` is where the command was typed, if this node has it."""
        os.environ.update(environment)
        if folder.is_dir():
            os.chdir(folder)
        self._setup = setup
        self._parent, self._own = multiprocessing.Pipe()

    def run(self) -> int:
        """Run trials to the end."""
        try:
            return serve(self._setup, self._own)
        finally:
            self._own.send(None)  # closing it would not be seen while its listening thread waits on it

    def events(self) -> list[dict[str, Any] | None]:
        """What the worker has said since the last call, after a short wait for it; None is its last word."""
        told: list[dict[str, Any] | None] = []
        while self._parent.poll(0.0 if told else POLL_S):
            told.append(self._parent.recv())
        return told

    def node(self) -> str:
        """Ray's name of the node that it has a place on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def tell(self, word: str) -> None:
        """Pass on "stop" or "drain"."""
        with contextlib.suppress(OSError):
            self._parent.send(word)


class _HeadGone(Exception):
    """The head of the cluster does not answer any more."""


@dataclass(slots=True)
class ActorProcess:
    """An actor as the parent sees it. Threads carry words between it and the parent's pipe."""

    actor: Any
    connection: Connection
    """The actor's end of the parent's pipe."""
    head: str
    """HOST:PORT of the cluster's head."""
    how: str = "ended"
    _node: str = ""
    _node_lost: bool = False
    _carrier: threading.Thread = field(init=False)
    _missed: int = 0
    """Knocks at the head without an answer."""

    def __post_init__(self) -> None:
        """Begin to carry."""
        self._carrier = threading.Thread(target=self._carry_events, name="ray-events", daemon=True)
        self._carrier.start()
        threading.Thread(target=self._carry_words, name="ray-words", daemon=True).start()

    def is_alive(self) -> bool:
        """Whether it may still say something."""
        return self._carrier.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it says no more."""
        self._carrier.join(timeout)

    def kill(self) -> None:
        """End the actor at once, also one that still waits for a place."""
        import ray

        ray.kill(self.actor)

    def how_it_ended(self) -> str:
        """In Ray's words where it died."""
        return self.how

    def is_blameless(self) -> bool:
        """Whether its whole node went: one that is preempted, or unplugged, says nothing about a trial."""
        return self._node_lost

    def _node_has_gone(self, error: Exception) -> bool:
        """Whether Ray says so; of an actor that is known to have died alone it would have said it with the error."""
        import ray
        from ray.exceptions import ActorDiedError

        told: Any = ray.nodes
        deadline = time.monotonic() + (0.0 if isinstance(error, ActorDiedError) else NODE_LOSS_S)
        while not any(node["NodeID"] == self._node and not node["Alive"] for node in told()):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.5)
        return True

    def _carry_events(self) -> None:
        from ray.exceptions import RayError

        try:
            import ray

            self._node = self._answer(self.actor.node.remote())
            self.actor.run.remote()
            said: list[dict[str, Any] | None] = []
            while None not in said:
                said = self._answer(self.actor.events.remote())
                for event in said:
                    if event is not None:
                        self.connection.send(event)
        except RayError as error:
            self._node_lost = self._node_has_gone(error)
            self.how = f"was lost with its node ({type(error).__name__})" if self._node_lost else "was killed"
        except _HeadGone:
            self.how = f"was lost with the head of its cluster, {self.head}"
            self.connection.close()  # without killing the actor: Ray would wait for the head
        except OSError:
            pass  # the parent has closed its end
        finally:
            if not self.connection.closed:
                with contextlib.suppress(RayError):
                    ray.kill(self.actor)
                self.connection.close()

    def _answer(self, coming: Any) -> Any:
        """What the actor says; it may still wait for a place in the cluster.

        Raises:
            _HeadGone: there is no cluster any more.
        """
        import ray
        from ray.exceptions import GetTimeoutError

        while True:
            self._missed = 0 if _answers(self.head) else self._missed + 1
            if self._missed >= MISSED:
                raise _HeadGone
            with contextlib.suppress(GetTimeoutError):
                return ray.get(coming, timeout=POLL_S)

    def _carry_words(self) -> None:
        word = ""
        while word != "stop":
            try:
                word = self.connection.recv()
            except (EOFError, OSError):
                word = "stop"  # so a parent that ends says it
            self.actor.tell.remote(word)


@contextlib.contextmanager
def ray_crew(spec: StudySpec, address: str | None) -> Iterator[tuple[Crew, str | None]]:
    """Connect to a Ray cluster for the time of a run.

    Args:
        spec: asks for `n_jobs` workers with `gpu_per_trial` of a GPU each.
        address: `host:port` of the cluster's head; the one of this machine if None.

    Yields:
        The crew, and why it is smaller than `n_jobs`; None where it is not.

    Raises:
        InputError: Ray is not installed, there is no such cluster, or the database is one of a single host.
        StorageError: the cluster has no room for any worker.
    """
    if spec.storage.startswith("sqlite"):
        raise InputError(
            "a Ray cluster needs PostgreSQL: an SQLite file is one host's",
            where="storage",
            hint="--storage postgresql://user@host/database",
        )
    ray = _connected(address)
    try:
        room, share, why = _room(spec, ray.cluster_resources())
        if room < 1:
            raise StorageError(f"the Ray cluster has no room for a worker: {why}", where="--launcher ray")
        n = min(spec.n_jobs, room)
        actor_class = ray.remote(num_cpus=1, num_gpus=share, max_concurrency=3, max_restarts=0)(WorkerActor)
        starter = _Starter(actor_class, ray.get_runtime_context().gcs_address)
        fewer = None if n == spec.n_jobs else f"n_jobs is {spec.n_jobs}, and the Ray cluster has room for {n}: {why}"
        yield Crew(slots=tuple(Slot(i) for i in range(n)), start=starter), fewer
    finally:
        ray.shutdown()


@dataclass(frozen=True, slots=True)
class _Starter:
    """Starts one actor after the other."""

    actor_class: Any
    head: str
    """HOST:PORT of the cluster's head."""

    def __call__(self, setup: WorkerSetup) -> Started:
        if not _answers(self.head):
            raise StorageError(
                f"the Ray cluster is gone: nothing answers at {self.head}",
                where="--launcher ray",
                hint="start it again and run the same command: it goes on where this one stopped",
            )
        own = replace(setup, folder=setup.folder.absolute())
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        actor = self.actor_class.remote(own, Path.cwd(), environment)
        mine, theirs = multiprocessing.Pipe()
        return Started(ActorProcess(actor, theirs, self.head), mine, None)


def _connected(address: str | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "the package ray is not installed", where="--launcher ray", hint="pip install 'fxai[ray]'"
        ) from error
    try:
        if address is not None:
            _knock(address)
        ray.init(address=address or "auto", log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"no Ray cluster answers at {address or 'this machine'}: {_first_line(error)}",
            where="--ray-address",
            hint="ray start --head   on the first host, then   ray start --address=HOST:6379   on the others",
        ) from error
    _silence(ray)
    return ray


def _silence(ray: Any) -> None:
    """Ray prints its nodes' troubles on stdout, where data goes, and has no setting against that."""
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = lambda *_args, **_options: None


def _knock(address: str) -> None:
    """Ray itself tries for minutes.

    Raises:
        OSError, ValueError: nothing listens there, or it is no HOST:PORT.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("an address is HOST:PORT, as `ray start --head` prints it")
    socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()


def _answers(address: str) -> bool:
    try:
        _knock(address)
    except OSError:
        return False
    return True


def _room(spec: StudySpec, resources: Mapping[str, float]) -> tuple[int, float, str]:
    """Workers that the cluster holds, the GPU share of each, and what sets the limit."""
    cpus, gpus = int(resources.get("CPU", 0)), resources.get("GPU", 0.0)
    if not gpus or spec.base.training.device == "cpu":
        return cpus, 0.0, f"{cpus} CPUs, one for each worker"
    share = spec.gpu_per_trial or 1.0
    return min(cpus, int(gpus / share + 1e-9)), share, f"{cpus} CPUs and {gpus:g} GPUs at gpu_per_trial {share:g}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
