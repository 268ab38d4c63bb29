"""Running cases on a Ray cluster: one actor a processor core, or a GPU, each working on one case at a time.

What belongs here: actors, their deadlines and deaths. The interface and its meaning are `engine.py`'s. Ray comes with the extra
`cluster`; MYONORM_HOME has to be one folder that all nodes see, and every node needs this installation.
"""

import os
import resource
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagster_project.engine import Outcome, deadline_passed, describe_failure, worker_died

_POLL_S = 1.0
_START_S = 300.0
_MAX_DEATHS_AT_START = 20


@dataclass(frozen=True)
class RayEngine:
    """Actors on the cluster at `address` ("auto": the running one): `per_slot` a slot, as many slots as it has cores or GPUs, or `workers`."""

    address: str = "auto"
    workers: int | None = None
    is_gpu: bool = False
    per_slot: int = 1

    def run(
        self,
        function: Callable[[Any], Any],
        cases: Iterable[Any],
        deadline_s: float,
        memory_bytes: int = resource.RLIM_INFINITY,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Outcome]:
        """As `Engine.run`; a case whose node or process died is given to another one, and is `worker_died` the second time.

        Raises
        ------
        ClusterUnusable
            If no actor starts within five minutes, or they die as soon as they start.
        """
        import ray

        waiting = deque(cases)
        if not waiting:
            return
        self._connect()
        actor_class = self._define_actor(dict(environment or {}))
        n_actors = min(self._count_actors(), len(waiting))
        slots = [_Slot(actor_class.remote(memory_bytes)) for _ in range(n_actors)]
        deaths: Counter[int] = Counter()
        try:
            while waiting or any(slot.is_busy for slot in slots):
                if all(slot.is_overdue for slot in slots):
                    raise ClusterUnusable(
                        "No process of the Ray cluster started within five minutes: see `ray status`."
                    )
                ready, _ = ray.wait([slot.pending for slot in slots], timeout=_POLL_S)
                for i, slot in enumerate(slots):
                    outcome, is_alive = None, True
                    if slot.pending in ready:
                        outcome, is_alive = slot.collect(deaths, waiting)
                    elif slot.is_late(deadline_s):
                        outcome, is_alive = deadline_passed(slot.case, deadline_s), False
                    if not is_alive:
                        ray.kill(slot.actor)
                        slots[i] = _Slot(actor_class.remote(memory_bytes))
                    elif slot.pending in ready and waiting:
                        slot.start(function, waiting.popleft())
                    if outcome:
                        yield outcome
                if not waiting:
                    for slot in slots:
                        if not slot.is_busy:
                            ray.kill(slot.actor)
                    slots = [slot for slot in slots if slot.is_busy]
        finally:
            for slot in slots:
                ray.kill(slot.actor)

    def _define_actor(self, environment: dict[str, str]):
        import ray

        share = 1 / self.per_slot
        needs = {"num_cpus": 0, "num_gpus": share} if self.is_gpu else {"num_cpus": share}
        runtime = {"runtime_env": {"env_vars": environment}} if environment else {}
        return ray.remote(max_restarts=0, **needs, **runtime)(_Worker)

    def _count_actors(self) -> int:
        import ray

        slots = self.workers or max(1, int(ray.cluster_resources().get("GPU" if self.is_gpu else "CPU", 1)))
        return slots * self.per_slot

    def _connect(self) -> None:
        import ray

        if not ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(self.address, log_to_driver=False, logging_level="error")


class ClusterUnusable(RuntimeError):
    """The cluster starts no process."""


class _Worker:
    """Works on one case at a time, in a process of its own."""

    def __init__(self, memory_bytes: int):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))

    def is_up(self) -> bool:
        return True

    def work(self, function: Callable[[Any], Any], case: Any) -> Any:
        return function(case)


class _Slot:
    """An actor, what it was asked last, and since when."""

    def __init__(self, actor):
        self.actor, self.case, self.is_busy, self.since = actor, None, False, time.monotonic()
        self.has_started = False
        self.pending = actor.is_up.remote()

    def start(self, function: Callable[[Any], Any], case: Any) -> None:
        self.case, self.is_busy, self.since = case, True, time.monotonic()
        self.pending = self.actor.work.remote(function, case)

    def is_late(self, deadline_s: float) -> bool:
        return self.is_busy and time.monotonic() - self.since > deadline_s

    @property
    def is_overdue(self) -> bool:
        return not self.has_started and time.monotonic() - self.since > _START_S

    def collect(self, deaths: Counter, waiting: deque) -> tuple[Outcome | None, bool]:
        """Outcome of what was asked, if it was a case, and whether the actor lives; a case it died on goes back once."""
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        case, is_case = self.case, self.is_busy
        self.case, self.is_busy = None, False
        try:
            result = ray.get(self.pending)
        except RayTaskError as error:
            return describe_failure(case, error.cause, str(error)), True
        except RayActorError:
            deaths[id(case)] += 1
            if deaths[id(None)] > _MAX_DEATHS_AT_START:
                raise ClusterUnusable("The processes of the Ray cluster die as they start: see its logs.") from None
            if not is_case:
                return None, False
            if deaths[id(case)] > 1:
                return worker_died(case), False
            waiting.appendleft(case)
            return None, False
        self.has_started = True
        return (Outcome(case, result) if is_case else None), True
