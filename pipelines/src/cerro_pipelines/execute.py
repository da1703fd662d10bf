"""Run a pipeline: build its quantum graph and work through it with a few processes.

`pipetask run -j N` starts a new interpreter for every quantum; with quanta of a second or two,
importing would take longer than the work. `WorkerExecutor` is a `lsst.pipe.base` graph executor of
our own: its processes live as long as the run, import once, open the repository once, and take one
quantum after another. Everything else - graph, skipping of what exists, metadata, provenance - is
Rubin's.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from lsst.daf.butler import Butler
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.pipe.base import Pipeline, QuantumGraph, TaskFactory
from lsst.pipe.base.graph_walker import GraphWalker
from lsst.pipe.base.quantum_graph import PredictedQuantumGraph
from lsst.pipe.base.quantum_graph_executor import QuantumGraphExecutor
from lsst.pipe.base.separable_pipeline_executor import SeparablePipelineExecutor
from lsst.pipe.base.single_quantum_executor import SingleQuantumExecutor

from cerro_pipelines.workers import context, warm_up

__all__ = ["PipelineError", "Progress", "RunSummary", "run_pipeline"]

_LOG = logging.getLogger(__name__)


class PipelineError(Exception):
    """A pipeline could not be run, or a task failed; the message names task and data id."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """One step forward.

    Parameters
    ----------
    task
        Label of the task that finished a quantum; empty while the graph is built.
    done, total
        Quanta of that task that are finished, and all of them.
    all_done, all_total
        The same over all tasks.
    """

    task: str
    done: int
    total: int
    all_done: int
    all_total: int


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """What a run did: quanta run by task (none where everything existed already), and where."""

    run: str
    quanta: dict[str, int]


type ProgressCallback = Callable[[Progress], None]

# What a worker process keeps between quanta.
_worker: dict[str, Any] = {}


def _start_worker(root: str, collections: Sequence[str], run: str, stop: Event) -> None:
    """Open the repository once for all quanta of this process."""
    from lsst.utils.threads import disable_implicit_threading

    # Ctrl-C reaches the whole process group; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_when_told, args=(stop,), daemon=True).start()
    logging.basicConfig(
        level=os.environ.get("CERRO_PIPELINE_LOG", "WARNING"),
        format="%(levelname)s %(name)s: %(message)s",
    )
    if not _LOG.isEnabledFor(logging.INFO):
        # We say ourselves, in one line, what failed.
        logging.getLogger("lsst.pipe.base.single_quantum_executor").setLevel(logging.CRITICAL)
    # Two processes on two cores: threads of BLAS in each would only get in each other's way.
    disable_implicit_threading()
    butler = Butler.from_config(root, collections=list(collections), run=run, writeable=True)
    _worker["executor"] = SingleQuantumExecutor(
        butler=butler,
        task_factory=TaskFactory(),
        skip_existing_in=[run],
        clobber_outputs=True,
        raise_on_partial_outputs=True,
    )


def _die_when_told(stop: Event) -> None:
    """End this process at once when its parent says so or is gone (a killed one cannot say it).

    What the quantum at hand wrote is in a transaction, so nothing half done stays.
    """
    parent = multiprocessing.parent_process()
    gone = [parent.sentinel] if parent is not None else []
    while not stop.is_set():
        if multiprocessing.connection.wait(gone, timeout=0.5):
            break
    os._exit(1)


def _run_quantum(task_node: bytes, quantum: bytes, quantum_id: uuid.UUID) -> str | None:
    """Run one quantum; give the text of the failure, or None."""
    try:
        _worker["executor"].execute(
            pickle.loads(task_node),  # noqa: S301 - made by our own parent process
            pickle.loads(quantum),  # noqa: S301
            quantum_id=quantum_id,
        )
    except Exception as error:
        _LOG.debug("%s", traceback.format_exc())
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        detail = f"{type(cause).__name__}: {cause}"
        if _LOG.isEnabledFor(logging.INFO):
            detail += "\n" + traceback.format_exc()
        return detail
    return None


class WorkerExecutor(QuantumGraphExecutor):
    """Execute a quantum graph with processes that stay.

    Parameters
    ----------
    pool
        The processes, made with `_start_worker`.
    jobs
        How many there are.
    progress
        Called after each quantum, in this process.
    """

    def __init__(
        self,
        pool: concurrent.futures.ProcessPoolExecutor,
        jobs: int,
        progress: ProgressCallback | None,
    ) -> None:
        self._pool = pool
        self._jobs = jobs
        self._progress = progress

    def execute(
        self,
        graph: QuantumGraph | PredictedQuantumGraph,
        *,
        provenance_graph_file: str | None = None,  # noqa: ARG002 - Rubin's signature
    ) -> None:
        """Run all quanta in an order that their inputs allow; stop at the first failure.

        Raises
        ------
        PipelineError
            If a quantum failed or a process died.
        """
        if not isinstance(graph, PredictedQuantumGraph):
            graph = PredictedQuantumGraph.from_old_quantum_graph(graph)
        graph.build_execution_quanta()
        xgraph = graph.quantum_only_xgraph.copy()
        nodes = xgraph.nodes
        totals = Counter(nodes[q]["task_label"] for q in xgraph)
        done: Counter[str] = Counter()
        # Tasks early in the pipeline first, then by data id: results appear in a steady order.
        order = {label: i for i, label in enumerate(graph.quanta_by_task)}
        ready: list[uuid.UUID] = []
        running: dict[concurrent.futures.Future[str | None], uuid.UUID] = {}
        pickled_tasks: dict[str, bytes] = {}
        walker: GraphWalker[uuid.UUID] = GraphWalker(xgraph.copy())

        def rank(quantum_id: uuid.UUID) -> tuple[Any, ...]:
            node = nodes[quantum_id]
            return (order[node["task_label"]], *map(str, node["data_id"].required_values))

        ready = sorted(next(walker, ()), key=rank)
        while ready or running:
            # One quantum waits behind each running one, so that no process idles for our answer.
            while ready and len(running) < 2 * self._jobs:
                quantum_id = ready.pop(0)
                node = nodes[quantum_id]
                label = node["task_label"]
                if label not in pickled_tasks:
                    pickled_tasks[label] = pickle.dumps(node["pipeline_node"])
                future = self._pool.submit(
                    _run_quantum, pickled_tasks[label], pickle.dumps(node["quantum"]), quantum_id
                )
                running[future] = quantum_id
            finished, _ = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in finished:
                quantum_id = running.pop(future)
                node = nodes[quantum_id]
                self._check(future, node["task_label"], node["data_id"])
                done[node["task_label"]] += 1
                walker.finish(quantum_id)
                ready = sorted([*ready, *next(walker, ())], key=rank)
                if self._progress is not None:
                    label = node["task_label"]
                    self._progress(
                        Progress(label, done[label], totals[label], done.total(), totals.total())
                    )

    @staticmethod
    def _check(future: concurrent.futures.Future[str | None], label: str, data_id: Any) -> None:
        where = ", ".join(f"{k}={v}" for k, v in data_id.required.items())
        try:
            failure = future.result()
        except BrokenProcessPool as error:
            raise PipelineError(
                f"A process died while {label} ran (the last submitted: {where}). "
                "Most often memory ran out: try --jobs 1."
            ) from error
        if failure is not None:
            raise PipelineError(f"{label} failed for {where}: {failure}")


def run_pipeline(
    root: Path,
    pipeline: str | Path,
    *,
    inputs: Sequence[str],
    run: str,
    where: str = "",
    config: Mapping[str, Any] | None = None,
    jobs: int = 1,
    progress: ProgressCallback | None = None,
) -> RunSummary:
    """Run a pipeline on a repository.

    What the output run holds already is not made again, so a run that was interrupted goes on where
    it stopped.

    Parameters
    ----------
    root
        The Butler repository.
    pipeline
        Pipeline YAML; ``file.yaml#subset`` for a part of it.
    inputs
        Collections to read from.
    run
        Collection to write to (made if missing).
    where
        Restriction of the data, in Butler's expression language.
    config
        Configuration of tasks: ``{"task:field": value}``.
    jobs
        Number of processes.
    progress
        Called after each quantum.

    Raises
    ------
    PipelineError
        If the pipeline does not fit, finds nothing to do for lack of data, or a task failed.
    """
    definition = _pipeline(pipeline, config or {})
    warm_up(Path(str(pipeline).partition("#")[0]))
    butler = Butler.from_config(str(root), writeable=True)
    butler.collections.register(run)
    _check_configs(butler, definition, run)
    stop = context().Event()
    pool = concurrent.futures.ProcessPoolExecutor(
        jobs,
        mp_context=context(),
        initializer=_start_worker,
        initargs=(str(root), tuple(inputs), run, stop),
    )
    try:
        executor = SeparablePipelineExecutor(
            butler.clone(collections=[run, *inputs], run=run),
            clobber_output=True,
            skip_existing_in=[run],
        )
        graph = executor.build_quantum_graph(definition, where=where)
        if len(graph):
            _before(executor, graph, run)
            executor.run_pipeline(graph, graph_executor=WorkerExecutor(pool, jobs, progress))
        elif not _has_outputs(butler, definition, run):
            raise PipelineError(
                f"{Path(str(pipeline)).stem} finds no data to work on in {', '.join(inputs)}"
                + (f" where {where}." if where else ".")
            )
    except (KeyboardInterrupt, SystemExit):
        stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    quanta = {label: len(ids) for label, ids in graph.quanta_by_task.items() if len(ids)}
    return RunSummary(run, quanta)


def _pipeline(pipeline: str | Path, config: Mapping[str, Any]) -> Pipeline:
    try:
        definition = Pipeline.from_uri(str(pipeline))
        for key, value in config.items():
            label, _, field = key.partition(":")
            if not field:
                raise PipelineError(
                    f"{key}: write a setting as task:field, such as detect:threshold."
                )
            if label not in definition.task_labels:
                raise PipelineError(
                    f"{key}: the pipeline has no task {label}; it has "
                    f"{', '.join(sorted(definition.task_labels))}."
                )
            definition.addConfigOverride(label, field, value)
        definition.to_graph()
    except (FileNotFoundError, ValueError, AttributeError, KeyError) as error:
        raise PipelineError(f"The pipeline {pipeline} does not fit: {error}") from error
    return definition


def _before(executor: SeparablePipelineExecutor, graph: PredictedQuantumGraph, run: str) -> None:
    try:
        executor.pre_execute_qgraph(graph, register_dataset_types=True, save_versions=True)
    except ConflictingDefinitionError as error:
        raise PipelineError(
            f"The collection {run} was made with other versions of the software: "
            f"choose another --output. ({error})"
        ) from error


def _check_configs(butler: Butler, definition: Pipeline, run: str) -> None:
    """Refuse to add to a run that was made with another configuration."""
    for label, task in definition.to_graph().tasks.items():
        name = task.init.config_output.dataset_type_name
        if not butler.registry.queryDatasetTypes(name):
            continue
        ref = butler.find_dataset(name, collections=run)
        if ref is not None and butler.get(ref) != task.config:
            raise PipelineError(
                f"The collection {run} was made with another configuration of {label}: "
                "choose another --output."
            )


def _has_outputs(butler: Butler, definition: Pipeline, run: str) -> bool:
    graph = definition.to_graph()
    return any(
        butler.query_datasets(
            task.metadata_output.dataset_type_name, collections=run, limit=1, explain=False
        )
        for task in graph.tasks.values()
        if butler.registry.queryDatasetTypes(task.metadata_output.dataset_type_name)
    )
