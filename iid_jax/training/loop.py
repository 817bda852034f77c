"""The training loop, in the order in which things happen."""

import collections
import contextlib
import math
import time
from pathlib import Path
from typing import Any

import jax

from iid_jax.config import Config, ModelConfig
from iid_jax.data import identities, pipeline, samples
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.models import detector
from iid_jax.models.input_spec import InputSpec
from iid_jax.progress import Progress
from iid_jax.training import optim, pretrained, recogniser, sharding, state, step, validation
from iid_jax.training.checkpoints import Checkpoints
from iid_jax.training.feed import Feed
from iid_jax.training.log import Log
from iid_jax.training.preemption import Preempted, Stop
from iid_jax.training.state import State


def train(config: Config, workdir: Path, catalog: Catalog, quiet: bool = False) -> dict[str, Any]:
    """Trains to the end of the configured run; {steps, images, seconds, compile_seconds}.

    With `config.model.people` it is a classifier of people, see `recogniser.py`. Goes on from the
    newest complete checkpoint of `workdir`; the outcome is the same, bit for bit
    on one machine, as without the interruption. `seconds` are without compilation.

    Raises:
      UsageError: the configuration does not fit the devices.
      DataError: the loss is not finite, or a checkpoint is damaged.
      Preempted: SIGTERM came; everything is saved.
    """
    config = recogniser.resolved(config, catalog) if config.model.people is not None else config
    length = config.train
    first = jax.process_index() == 0

    # ------------------------------------------------------------------ model, optimiser, devices
    module, spec, anchors = detector.build_detector(config.model)
    mesh = sharding.make_mesh(length.batch_size, length.fsdp)
    tx = optim.optimiser(config.optim, length.steps)
    rate = optim.schedule(config.optim, length.steps)
    current = state.create(module, spec, tx, config.seed, mesh)
    run_step = step.make_step(module, spec, anchors, config.loss, tx, current, mesh, config.seed)

    # --------------------------------------------------------- data, and where to go on from
    looks, feeds = validation.Validation, pipeline.train_iterator
    if config.model.people:
        looks, feeds = recogniser.Recognition, identities.train_iterator
    look = looks(config, module, spec, anchors, catalog)
    side = detector.feature_side(config.model)
    drawn = length.batch_size, length.steps, config.seed
    here = jax.process_index(), jax.process_count()
    batches = feeds(catalog, config.data, spec, side, *drawn, *here)
    feed = Feed(batches, sharding.batch_sharding(mesh), step.FED)
    with contextlib.ExitStack() as closing:
        closing.callback(feed.close)
        stop = closing.enter_context(Stop())
        checkpoints = closing.enter_context(Checkpoints(workdir, length.keep))
        done, spent = 0, {"seconds": 0.0, "compile_seconds": 0.0}
        if checkpoints.steps():
            done = checkpoints.steps()[-1]
            current, info = checkpoints.restore(done, current)
            feed.resume(done)
            spent = info["spent"]
        elif config.model.init_from:
            current, said = _start_from(config.model, spec, current)
        log = closing.enter_context(Log(workdir, done, active=first))
        progress = Progress(length.steps, "train", "step", quiet or not first, done)
        closing.callback(progress.close)
        if done or checkpoints.removed:
            progress.say(_resumed(done, length.steps, checkpoints.removed))
        elif config.model.init_from:
            progress.say(said)

        # ------------------------------------------------------------------------------ the run
        compiled, outcomes = None, collections.Counter()
        began = time.monotonic() - spent["seconds"]
        while done < length.steps:
            batch, host = next(feed)
            outcomes.update(host["outcome"].tolist())
            if compiled is None:
                before = time.monotonic()
                compiled = run_step.lower(current, batch).compile()
                took = time.monotonic() - before
                spent["compile_seconds"] += took
                began += took
            current, scalars = compiled(current, batch)
            done += 1
            last, stopping = done == length.steps, stop.wanted(done)
            to_log, to_look, to_save = (
                last or done % every == 0
                for every in (length.log_every, length.eval_every, length.checkpoint_every)
            )

            # The order is important: 1 numbers, 2 held-out people, 3 save what 1 and 2 have judged.
            merit = None
            if to_log or to_look or to_save or stopping:
                numbers = _finite(scalars, done, checkpoints)
            if to_log:
                shown = {"learning_rate": float(rate(done - 1)), **_shares(outcomes)}
                log.write(done, {**numbers, **shown})
                progress.update(done - progress.done, loss=numbers["loss"])
                outcomes.clear()
                checkpoints.poll()
            if to_look:
                found = look(current.variables)
                log.write(done, {f"val_{name}": value for name, value in found.items()})
                merit = look.merit(found)
            if to_save or stopping or (merit is not None and checkpoints.is_best(merit)):
                spent["seconds"] = time.monotonic() - began
                about = {"config": config.to_dict(), "input_spec": spec.to_dict()}
                about |= {"landmarker": catalog.landmarker, "spent": spent}
                checkpoints.save(done, current, about, merit)
            if stopping:
                break
    if done and stop.noted:
        raise Preempted(
            f"stopped by SIGTERM, saved at step {done}; the same command goes on from there"
        )
    return {"steps": done, "images": done * length.batch_size, **spent}


def _start_from(config: ModelConfig, spec: InputSpec, current: State) -> tuple[State, str]:
    """Returns the state with the variables of `config.init_from`, and what was taken."""
    given = config.init_from, config.backbone, spec, current.variables
    variables, said = pretrained.start_from(*given)
    laid_out = jax.tree.map(
        lambda new, old: jax.device_put(new, old.sharding), *(variables, current.variables)
    )
    return current.replace(**laid_out), f"train: {said}"


def _resumed(done: int, steps: int, removed: list[str]) -> str:
    text = f"train: going on from step {done} of {steps}"
    return f"{text}; checkpoint {', '.join(removed)} was cut off while saving" if removed else text


def _finite(scalars: dict[str, jax.Array], done: int, checkpoints: Checkpoints) -> dict[str, float]:
    """Returns the scalars as floats; a state that is not finite is never saved.

    Raises:
      DataError: one of them is not finite.
    """
    numbers = {name: float(value) for name, value in scalars.items()}
    wrong = [f"{name} is {value}" for name, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        checkpoints.wait()
        saved = checkpoints.steps()
        left = f"the state of step {saved[-1]} remains" if saved else "nothing was saved before"
        raise DataError(
            f"{wrong[0]} at step {done}, {left}; lower --config.optim.learning_rate and use "
            "another --workdir"
        )
    return numbers


def _shares(outcomes: collections.Counter) -> dict[str, float]:
    """Returns what became of the batches' elements since the last line, as shares of all."""
    total = max(sum(outcomes.values()), 1)
    return {f"share_{samples.OUTCOMES[k]}": n / total for k, n in sorted(outcomes.items())}
