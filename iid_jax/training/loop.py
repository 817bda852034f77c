"""The training loop, in the order in which things happen."""

import collections
import json
import signal
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from iid_jax import metrics
from iid_jax.checkpoint import Checkpoints
from iid_jax.config import Config
from iid_jax.data import pipeline, samples, sampler
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError, UserError
from iid_jax.evaluation.score import DetectorFunction, score
from iid_jax.models import detector
from iid_jax.progress import Progress
from iid_jax.training import optim, sharding, state, step
from iid_jax.training.log import Log

PREFETCH = 2


class Preempted(UserError):
    """Training was told to stop and has saved (exit code 143)."""

    exit_code = 143


def train(config: Config, workdir: Path, catalog: Catalog, quiet: bool = False) -> dict[str, Any]:
    """Trains to the end of the configured run and returns {steps, images, seconds, compile_seconds}.

    Goes on from the newest complete checkpoint of `workdir`; the outcome is the same, bit for bit
    on one machine, as without the interruption.

    Raises:
      UsageError: the configuration does not fit the devices. DataError: the loss is not finite.
      Preempted: SIGTERM came; everything is saved.
    """
    # ------------------------------------------------------------------ model, optimiser, devices
    module, spec, anchors = detector.build_detector(config.model)
    mesh = sharding.make_mesh(config.train.batch_size, config.train.fsdp)
    tx = optim.optimiser(config.optim, config.train.steps)
    current = state.create(module, spec, tx, config.seed, mesh)
    run_step = step.make_step(module, spec, anchors, config.loss, tx, current, mesh)

    # ---------------------------------------------------------------------------- data, resumed
    batches = pipeline.train_iterator(
        catalog,
        config.data,
        spec,
        detector.feature_side(config.model),
        config.train.batch_size,
        config.train.steps,
        config.seed,
        jax.process_index(),
        jax.process_count(),
    )
    checkpoints = Checkpoints(workdir, config.train.keep)
    done, seconds = 0, 0.0
    if checkpoints.steps():
        done = checkpoints.steps()[-1]
        current, info = checkpoints.restore(done, current)
        batches.set_state(_state_of(info["data"]))
        seconds = info["seconds"]
    log = Log(workdir, done)
    look = _Validation(config, module, spec, anchors, catalog)
    feed = _Feed(batches, sharding.batch_sharding(mesh))
    rate = optim.schedule(config.optim, config.train.steps)

    # ---------------------------------------------------------------------------------- the run
    progress = Progress(config.train.steps, "train", "step", quiet, done)
    began, compiled, outcomes = time.monotonic(), 0.0, collections.Counter()
    with _Signal() as stop:
        while done < config.train.steps:
            batch, position = next(feed)
            outcomes.update(batch.pop("outcome").tolist())
            if not compiled:
                before = time.monotonic()
                run_step = run_step.lower(current, batch).compile()
                compiled = time.monotonic() - before
            current, scalars = run_step(current, batch)
            done += 1

            last = done == config.train.steps
            if last or done % config.train.log_every == 0:
                numbers = _finite({k: float(v) for k, v in scalars.items()}, done)
                numbers["learning_rate"] = float(rate(done - 1))
                log.write(done, {**numbers, **_shares(outcomes)})
                outcomes.clear()
                progress.update(done - progress.done, loss=numbers["loss"])
                checkpoints.poll()
            metric = None
            if last or done % config.train.eval_every == 0:
                found = look(current.variables)
                log.write(done, {f"val_{name}": value for name, value in found.items()})
                metric = found.get(config.train.best_metric)
            if last or stop.requested or done % config.train.checkpoint_every == 0:
                info = {
                    "config": config.to_dict(),
                    "input_spec": spec.to_dict(),
                    "data": _json_of(position),
                    "seconds": seconds + time.monotonic() - began,
                    "metric": metric,
                }
                checkpoints.save(done, current, info, metric)
            if stop.requested and not last:
                checkpoints.close()
                log.close()
                raise Preempted(
                    f"stopped by SIGTERM, saved at step {done}; the same command goes on from there"
                )

    # ---------------------------------------------------------------------------------- the end
    checkpoints.close()
    log.close()
    progress.close()
    return {
        "steps": done,
        "images": done * config.train.batch_size,
        "seconds": seconds + time.monotonic() - began,
        "compile_seconds": compiled,
    }


class _Feed:
    """Puts the next batches on the devices ahead of time, each with the position after it."""

    def __init__(self, batches: Any, placed: Any):
        self._batches, self._sharding = batches, placed
        self._waiting: collections.deque = collections.deque()

    def __next__(self) -> tuple[dict[str, Any], Any]:
        while len(self._waiting) < PREFETCH and self._fetch():
            pass
        return self._waiting.popleft()

    def _fetch(self) -> bool:
        try:
            batch = next(self._batches)
        except StopIteration:
            return False
        placed = sharding.to_devices({k: batch[k] for k in step.FED}, self._sharding)
        placed["outcome"] = batch["outcome"]
        self._waiting.append((placed, self._batches.get_state()))
        return True


class _Validation:
    """Scores a fixed part of the validation split."""

    def __init__(self, config: Config, module, spec, anchors, catalog: Catalog):
        self._config, self._spec, self._catalog = config, spec, catalog
        self._function = DetectorFunction(module, spec, anchors)
        rows = catalog.select("val", methods=sampler.chosen_methods(catalog, config.data))
        count = min(len(rows), config.eval.val_frames)
        self._rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)] if count else rows

    def __call__(self, variables: Any) -> dict[str, float]:
        if not len(self._rows):
            return {}
        detect = self._function.bind(variables)
        size = self._config.eval.batch_size
        table = score(detect, self._catalog, self._rows, self._spec, size, True, "val").table
        names = tuple(dict.fromkeys(("video_auc", "frame_auc", self._config.train.best_metric)))
        found = metrics.evaluate_scores(
            table["video_id"], table["label"], table["score"], names, bootstrap=0
        )
        return {name: m.value for name, m in found.items() if m.value is not None}


class _Signal:
    """Notes SIGTERM while the context lasts; the loop saves and stops."""

    def __enter__(self) -> "_Signal":
        self.requested = False
        self._before = None
        try:
            self._before = signal.signal(signal.SIGTERM, self._note)
        except ValueError:
            pass  # not the main thread: signals are somebody else's business
        return self

    def __exit__(self, *_: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: Any) -> None:
        self.requested = True


def _finite(numbers: dict[str, float], done: int) -> dict[str, float]:
    if not np.isfinite(numbers["loss"]):
        raise DataError(
            f"the loss is {numbers['loss']} at step {done}; lower config.optim.learning_rate"
        )
    return numbers


def _shares(outcomes: collections.Counter) -> dict[str, float]:
    total = max(sum(outcomes.values()), 1)
    return {f"share_{samples.OUTCOMES[k]}": n / total for k, n in sorted(outcomes.items())}


def _json_of(position: Any) -> Any:
    return json.loads(json.dumps(position, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    return int(value)


def _state_of(stored: Any) -> Any:
    if isinstance(stored, dict):
        if set(stored) == {"bytes"}:
            return stored["bytes"].encode("latin-1")
        return {key: _state_of(value) for key, value in stored.items()}
    return stored
