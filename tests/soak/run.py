"""Soak: many executions of many kinds while old ones are pruned, and proof that nothing grows.

    python tests/soak/run.py --executions 50000 [--database postgresql://…] [--seed 1]

Real processes: a control plane, a worker, its task processes. Several clients make chains, maps, retries,
failures, aborts, large values, long logs, cache hits and uploads, and check every answer. Retention is some
seconds, so that most of what is made is removed while the rest is under way. Memory, descriptors, threads,
the database and the object store are looked at throughout; what they grew by in the later half is judged,
never how long anything took.

It is long since it is one program: what is made, what is looked at, and the judgement of both.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import grpc
import psutil
from support.files_below import files_below, size_below
from support.packages import (
    DOMAIN,
    INTEGER,
    INTEGERS,
    PROJECT,
    chain,
    fan_out,
    identifier,
    integers,
    package,
    promise,
    standard_tasks,
    task,
    task_node,
    workflow,
)
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.core.v1.task_pb2 import CachePolicy
from voleryidl.data.v1.data_service_pb2 import BlobHeader, UploadBlobRequest
from voleryidl.data.v1.data_service_pb2_grpc import DataServiceStub
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    CreateExecutionRequest,
    ListExecutionsRequest,
    WaitExecutionRequest,
    WatchExecutionRequest,
)

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
FAILED = ExecutionPhase.EXECUTION_PHASE_FAILED
ABORTED = ExecutionPhase.EXECUTION_PHASE_ABORTED
MIB = 1024 * 1024

SETTINGS = {
    "VOLERY_PRUNE_INTERVAL": "0.2",
    "VOLERY_KEEP_EXECUTIONS": "3s",
    "VOLERY_KEEP_JOURNAL": "1s",
    "VOLERY_KEEP_LOGS": "2s",
    "VOLERY_KEEP_REQUESTS": "3s",
    "VOLERY_KEEP_CHANGES": "3s",
    "VOLERY_KEEP_CACHE": "5s",
    "VOLERY_KEEP_UPLOADS": "5s",
}
KINDS = (
    ("chain", 60),
    ("map", 15),
    ("retry", 8),
    ("failure", 6),
    ("large", 4),
    ("cached", 3),
    ("log", 2),
    ("upload", 1),
    ("abort", 1),
)
CLIENTS = 8
LARGE = 5_000
"""Elements of a list that is too large to travel."""
LONG_LOG = 300_000
"""Bytes of a log that is put into the object store."""

GROWTH = {
    "control plane": 12 * MIB,
    "worker": 12 * MIB,
    "descriptors": 12,
    "threads": 4,
    "database": 24 * MIB,
    "files": 400,
}
"""How much each may be larger in the last tenth than in the middle one. An allocator and SQLite's own log
breathe by some MiB, whatever the number of executions; a leak of a kilobyte an execution is 25 MiB in the
later half of 50,000."""


@dataclass
class Sample:
    """What was seen at a moment."""

    done: int
    control_plane: int
    worker: int
    descriptors: int
    threads: int
    processes: int
    database: int
    files: int
    objects: int


@dataclass
class Soak:
    """A run: what it does, and what it saw."""

    planes: Planes
    executions: int
    random: random.Random
    kinds: Sequence[str] = ()
    done: int = 0
    made: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, number: int) -> None:
        """One client with a channel of its own, until all executions are made."""
        chance = random.Random(f"{self.random.random()}-{number}")  # repeatable, not secret
        chosen = [(kind, weight) for kind, weight in KINDS if kind in self.kinds or not self.kinds]
        kinds, weights = zip(*chosen, strict=True)
        with self.planes.channel() as channel:
            stubs = Stubs(channel)
            while True:
                with self.lock:
                    if self.done + CLIENTS > self.executions and sum(self.made.values()) >= self.executions:
                        return
                    kind = chance.choices(kinds, weights)[0]
                    self.made[kind] += 1
                complaint = self.one(stubs, kind, chance)
                with self.lock:
                    self.done += 1
                    if complaint:
                        self.wrong.append(f"{kind}: {complaint}")
                        if len(self.wrong) > 20:
                            return

    def one(self, stubs: Stubs, kind: str, chance: random.Random) -> str:
        """One execution of a kind; says what was wrong with it."""
        x = chance.randrange(1000)
        match kind:
            case "chain":
                return self.run(stubs, "soak_chain", x + 3, x=x)
            case "map":
                n = chance.randrange(1, 12)
                return self.run(stubs, "soak_map", n * (n + 1) // 2, n=n)
            case "retry":
                return self.run(stubs, "soak_retry", x + 1, x=x)
            case "failure":
                return self.run(stubs, "soak_failure", None, x=x)
            case "large":
                n = LARGE + x
                return self.run(stubs, "soak_large", n * (n - 1) // 2, n=n)
            case "cached":
                n = LARGE + x % 3
                return self.run(stubs, "soak_cached", n * (n - 1) // 2, n=n)
            case "log":
                return self.run(stubs, "soak_log", LONG_LOG, x=LONG_LOG)
            case "upload":
                self.upload(stubs.channel, os.urandom(20_000))
                return self.run(stubs, "soak_chain", x + 3, x=x)
            case _:
                return self.abort(stubs, x)

    def run(self, stubs: Stubs, name: str, expected: int | None, **inputs: int) -> str:
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, name),
            inputs=integers(**inputs),
            request_id=str(uuid.uuid4()),
        )
        request.wait_timeout.FromSeconds(300)
        try:
            answer = stubs.executions.CreateExecution(request, timeout=330)
        except grpc.RpcError as error:
            return f"{error.code()}: {error.details()}"
        wanted = FAILED if expected is None else SUCCEEDED
        if answer.execution.phase != wanted:
            return f"ended as {answer.execution.phase}: {answer.execution.failure.message}"
        found = answer.outputs.literals["o0"].integer_value if expected is not None else None
        return "" if found == expected else f"{found} is not {expected}"

    def abort(self, stubs: Stubs, x: int) -> str:
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "soak_abort"),
            inputs=integers(x=x),
        )
        id = stubs.executions.CreateExecution(request, timeout=60).execution.id
        for message in stubs.executions.WatchExecution(WatchExecutionRequest(id=id, view=2), timeout=300):
            if any(event.node.path == "n0" and event.node.phase == 2 for event in message.events):
                break
        stubs.executions.AbortExecution(AbortExecutionRequest(id=id, cause="soak"), timeout=60)
        waiting = WaitExecutionRequest(id=id)
        waiting.timeout.FromSeconds(300)
        try:
            phase = stubs.executions.WaitExecution(waiting, timeout=330).execution.phase
        except grpc.RpcError as error:  # it may be over, and pruned, before we ask
            return "" if error.code() is grpc.StatusCode.NOT_FOUND else str(error.details())
        return "" if phase == ABORTED else f"ended as {phase}"

    def upload(self, channel: grpc.Channel, content: bytes) -> None:
        """A file that nothing will ever refer to."""
        header = BlobHeader(
            project=PROJECT,
            domain=DOMAIN,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
        )

        def parts() -> Iterator[UploadBlobRequest]:
            yield UploadBlobRequest(header=header)
            yield UploadBlobRequest(chunk=content)

        DataServiceStub(channel).UploadBlob(parts(), timeout=60)

    def look(self) -> Sample:
        """Looks at everything that must not grow."""
        assert self.planes.control_plane is not None
        assert self.planes.worker is not None
        plane, worker = (
            psutil.Process(process.pid) for process in (self.planes.control_plane, self.planes.worker)
        )
        files = sum(1 for _ in files_below(self.planes.directory))
        sample = Sample(
            done=self.done,
            control_plane=own_memory(plane.pid),
            worker=own_memory(worker.pid),
            descriptors=plane.num_fds() + worker.num_fds(),
            threads=plane.num_threads() + worker.num_threads(),
            processes=len(worker.children(recursive=True)),
            database=sum(path.stat().st_size for path in self.planes.directory.glob("volery.db*")),
            files=files,
            objects=size_below(self.planes.storage),
        )
        self.samples.append(sample)
        return sample

    def growth(self) -> dict[str, int]:
        """How much more there was in the last tenth of the run than in the middle one."""
        middle = self.within(0.45, 0.55)
        last = self.within(0.9, 1.01)
        names = {"control plane": "control_plane"}
        return {
            name: int(median(last, names.get(name, name)) - median(middle, names.get(name, name)))
            for name in GROWTH
        }

    def shown(self) -> list[Sample]:
        """One sample of each tenth, and the last."""
        return [self.within(part / 10, part / 10 + 0.1)[0] for part in range(10)] + [self.samples[-1]]

    def within(self, begin: float, end: float) -> list[Sample]:
        low, high = begin * self.executions, end * self.executions
        found = [sample for sample in self.samples if low <= sample.done <= high]
        return found or [min(self.samples, key=lambda sample: abs(sample.done - low))]


def median(samples: list[Sample], name: str) -> float:
    return statistics.median(getattr(sample, name) for sample in samples)


def own_memory(pid: int) -> int:
    """Memory of a process that is nobody else's: pages of files that it maps are the kernel's to drop."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def register(planes: Planes) -> None:
    failing = task("flaky_add_one")
    failing.id.name = "failing"
    cached = task("numbers", {"n": INTEGER}, {"o0": INTEGERS})
    cached.id.name = "cached_numbers"
    cached.cache.CopyFrom(CachePolicy(version="1"))
    hanging, loud = task("hang"), task("loud")

    def summed(name: str, source: str) -> object:
        nodes = [
            task_node("n0", source, n=promise("", "n")),
            task_node("n1", "total", xs=promise("n0")),
        ]
        return workflow(name, nodes, {"n": INTEGER}, o0=(promise("n1"), INTEGER))

    workflows = [
        chain("soak_chain", 3),
        fan_out("soak_map"),
        chain("soak_retry", 1, "flaky_add_one"),
        chain("soak_failure", 1, "failing"),
        chain("soak_abort", 1, "hang"),
        chain("soak_log", 1, "loud"),
        summed("soak_large", "numbers"),
        summed("soak_cached", "cached_numbers"),
    ]
    request = package(workflows, [*standard_tasks(), failing, cached, hanging, loud])  # type: ignore[arg-type]  # summed() gives workflows
    with planes.channel() as channel:
        Stubs(channel).registry.Register(request, timeout=60, wait_for_ready=True)


@contextmanager
def environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def settle(soak: Soak) -> int:
    """Waits until all that was made is pruned; gives how many executions are left."""
    left = -1
    with soak.planes.channel() as channel:
        stubs = Stubs(channel)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            page = stubs.executions.ListExecutions(
                ListExecutionsRequest(project=PROJECT, domain=DOMAIN, page_size=1000), timeout=60
            )
            left = len(page.executions)
            if not left and not rows_left(soak.planes) and len(objects_left(soak.planes)) == 0:
                return 0
            time.sleep(0.5)
    return left


def objects_left(planes: Planes) -> list[Path]:
    """Objects that are not uploads; those of the cache are gone when its entries are."""
    folders = ("executions", "logs", "incoming", "blobs")
    return list(files_below(*(planes.storage / folder for folder in folders)))


def rows_left(planes: Planes) -> dict[str, int]:
    """Rows of everything that has an end, on SQLite."""
    if not planes.database.startswith("sqlite"):
        return {}
    connection = sqlite3.connect(f"file:{planes.directory / 'volery.db'}?mode=ro", uri=True)
    try:
        names = (
            *("execution", "node", "attempt", "node_value", "journal", "inbox", "log_piece", "log_head"),
            *("change", "request", "cache_entry", "tombstone"),
        )
        counts = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # our names
            for name in names
        }
        counts["object_use"] = connection.execute(
            "SELECT count(*) FROM object_use WHERE holder_kind <> 3"
        ).fetchone()[0]
    finally:
        connection.close()
    return {name: count for name, count in counts.items() if count}


def told_of(sample: Sample) -> str:
    return (
        f"{sample.done:>10} {sample.control_plane / MIB:>10.2f} MiB {sample.worker / MIB:>5.2f} MiB "
        f"{sample.descriptors:>11} {sample.threads:>7} {sample.processes:>9} "
        f"{sample.database / MIB:>6.1f} MiB {sample.files:>6} {sample.objects / MIB:>6.1f} MiB"
    )


def table(samples: list[Sample]) -> str:
    head = (
        f"{'executions':>10} {'control plane':>14} {'worker':>9} {'descriptors':>11} {'threads':>7} "
        f"{'processes':>9} {'database':>10} {'files':>6} {'objects':>10}"
    )
    return "\n".join([head, *map(told_of, samples)])


def run(
    directory: Path, executions: int, seed: int, database: str = "", kinds: Sequence[str] = ()
) -> list[str]:
    """Runs a soak and gives what is wrong; prints what it saw."""
    begun = time.monotonic()
    print(
        f"soak of {executions} executions, seed {seed}, on {database or 'SQLite, synchronous=full'}",
        flush=True,
    )
    with environment(SETTINGS):
        planes = Planes(directory, database=database, slots=2)
        planes.start()
    soak = Soak(planes, executions, random.Random(seed), kinds)  # repeatable, not secret
    try:
        register(planes)
        with ThreadPoolExecutor(CLIENTS) as clients:
            running = [clients.submit(soak.client, number) for number in range(CLIENTS)]
            told = 0
            while not all(each.done() for each in running):
                sample = soak.look()
                if sample.done - told >= max(1000, executions // 10):
                    told = sample.done
                    print(f"  {told_of(sample)}, after {time.monotonic() - begun:.0f} s", flush=True)
                time.sleep(0.5)
            for each in running:
                each.result()
        took = time.monotonic() - begun
        left = settle(soak)
        soak.look()
        problems = list(soak.wrong)
        if left:
            problems.append(f"{left} executions are left")
        if rows := rows_left(planes):
            problems.append(f"rows are left: {rows}")
        if objects := objects_left(planes):
            problems.append(f"{len(objects)} objects are left, such as {objects[0]}")
        spool = [path for path in files_below(directory / "worker") if path.parent.name == "spool"]
        if len(spool) > 2 * planes.slots:
            problems.append(f"spool files are left: {spool[:5]}")
        growth = soak.growth()
        problems += [
            f"{name} grew by {growth[name]} in the later half, more than {bound}"
            for name, bound in GROWTH.items()
            if growth[name] > bound
        ]
        print(table(soak.shown()))
        print("made:", ", ".join(f"{count} {kind}" for kind, count in soak.made.most_common()))
        print(f"{soak.done} executions in {took:.0f} s; growth in the later half: {growth}", flush=True)
        if problems:
            print(planes.logs())
    finally:
        planes.stop()
    if leftovers := planes.leftovers():
        problems.append(f"processes are left: {leftovers}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--executions", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))  # printed, not secret
    parser.add_argument("--database", default="")
    parser.add_argument("--kinds", nargs="*", default=(), help="only these: to find what it is that grows")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volery-soak-") as name:
        problems = run(Path(name), given.executions, given.seed, given.database, given.kinds)
    for problem in problems:
        print(f"WRONG: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
