"""Scenic's training loop over our step: jit on a mesh, BatchNorm of the whole batch."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from sklearn.metrics import roc_auc_score

from iid_jax.contrib.scenic import dataset as our_dataset
from iid_jax.contrib.scenic import settings
from iid_jax.errors import DataError
from iid_jax.models.xla import compiler_options
from iid_jax.training import optim, sharding
from iid_jax.training import state as states
from iid_jax.training.checkpoints import Checkpoints
from iid_jax.training.feed import Feed
from iid_jax.training.preemption import Preempted, Stop
from iid_jax.training.state import State

FED = ("inputs", *our_dataset.FED, "batch_mask")
Summary = dict[str, float]


def train(
    *,
    rng: jax.Array,
    config: ml_collections.ConfigDict,
    model_cls: type,
    dataset: Any,
    workdir: str,
    writer: Any,
) -> tuple[State, Summary, Summary]:
    """Trains and evaluates a model; (state, last training numbers, last held-out numbers).

    `dataset` is that of dataset.py. The workdir's checkpoints are those of iid_jax: its verbs take
    `--checkpoint=WORKDIR`, and the same command goes on where an interrupted run stopped.

    Raises:
      UsageError: the configuration does not fit the devices.
      DataError: the loss is not finite, or a checkpoint is damaged.
      Preempted: SIGTERM came; everything is saved.
    """
    experiment, model = settings.experiment(config), model_cls(config, dataset.meta_data)
    length = experiment.train
    mesh = sharding.make_mesh(length.batch_size)
    placed = sharding.batch_sharding(mesh)
    tx = optim.optimiser(experiment.optim, length.steps)
    seed = int(jax.random.bits(rng, (), "uint32"))
    state = states.create(model.flax_model, model.spec, tx, seed, mesh)
    run_step, look = make_step(model, tx, state, mesh), _Look(model, dataset, mesh, config)
    first, learned, judged = jax.process_index() == 0, {}, {}
    with contextlib.ExitStack() as closing:
        feed = Feed(dataset.train_iter.flat, placed, FED)
        closing.callback(feed.close)
        stop = closing.enter_context(Stop())
        checkpoints = closing.enter_context(Checkpoints(Path(workdir), length.keep))
        done = 0
        if config.get("checkpoint", True) and checkpoints.steps():
            done = checkpoints.steps()[-1]
            state, _ = checkpoints.restore(done, state)
            feed.resume(done)
        while done < length.steps:
            batch, _ = next(feed)
            state, scalars = run_step(state, batch)
            done += 1
            stopping = stop.wanted(done)
            to_log, to_look, to_save = (
                done == length.steps or done % every == 0
                for every in (length.log_every, length.eval_every, length.checkpoint_every)
            )
            if to_log or to_look or to_save or stopping:
                learned = _finite(scalars, done)
                if first:
                    writer.write_scalars(done, {f"train_{k}": v for k, v in learned.items()})
            merit = None
            if to_look:
                judged = look(state.variables)
                merit = judged.get("frame_auc")
                if first:
                    writer.write_scalars(done, {f"valid_{k}": v for k, v in judged.items()})
            if config.get("checkpoint", True) and (to_save or stopping):
                info = {"config": experiment.to_dict(), "input_spec": model.spec.to_dict()}
                checkpoints.save(done, state, info, merit)
            if stopping:
                break
        if first:
            writer.flush()
    if stop.noted:
        raise Preempted(f"stopped by SIGTERM at step {done}; the same command goes on")
    return state, learned, judged


def make_step(
    model: Any, tx: optax.GradientTransformation, state: State, mesh: Any
) -> Callable[[State, dict[str, jax.Array]], tuple[State, dict[str, jax.Array]]]:
    """Returns the jitted (state, batch [B, ...]) -> (state, scalars); the state given is used up.

    The loss is the model's `loss_function`.
    """

    def loss(params: Any, state: State, batch: dict[str, jax.Array]) -> tuple[jax.Array, Any]:
        found, updated = model.flax_model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            batch["inputs"],
            train=True,
            mutable=["batch_stats"],
        )
        return model.loss_function(found, batch, params), updated["batch_stats"]

    def step(state: State, batch: dict[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        gradient = jax.value_and_grad(loss, has_aux=True)
        (value, batch_stats), grads = gradient(state.params, state, batch)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = State(state.step + 1, params, batch_stats, opt_state)
        return state, {"loss": value, "grad_norm": optax.tree.norm(grads)}

    placed = sharding.state_sharding(state, mesh)
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.jit(
        step,
        in_shardings=(placed, sharding.batch_sharding(mesh)),
        out_shardings=(placed, everywhere),
        donate_argnums=0,
        compiler_options=compiler_options(),
    )


class _Look:
    """One look at the held-out split: the model's metrics, and the exact AUC of all its scores."""

    def __init__(self, model: Any, dataset: Any, mesh: Any, config: ml_collections.ConfigDict):
        self._batches, self._placed = dataset.valid_iter, sharding.batch_sharding(mesh)
        size = config.get("eval_batch_size") or config.batch_size
        self._count = -(-dataset.meta_data["num_eval_examples"] // size)
        measure = model.get_metrics_fn_jit("validation")

        def evaluate(variables: Any, batch: dict[str, jax.Array]) -> tuple[Any, ...]:
            found = model.flax_model.apply(variables, batch["inputs"], train=False)
            score = found["logits"][:, 1] - found["logits"][:, 0]
            return measure(found, batch), (score, batch["label"], batch["batch_mask"])

        everywhere = NamedSharding(mesh, PartitionSpec())
        self._evaluate = jax.jit(evaluate, out_shardings=everywhere)

    def __call__(self, variables: Any) -> Summary:
        sums: dict[str, list[np.ndarray]] = {}
        columns = []
        for _ in range(self._count):
            batch = our_dataset.unshard(next(self._batches))
            measured, columns_of = self._evaluate(
                variables, sharding.to_devices(batch, self._placed)
            )
            columns.append([np.asarray(column) for column in columns_of])
            for name, pair in measured.items():
                sums.setdefault(name, []).append(np.array(pair, np.float64))
        found = {}
        for name, pairs in sums.items():
            total, count = np.sum(pairs, axis=0)
            found[name] = float(total / max(count, 1.0))
        score, label, mask = (np.concatenate(parts) for parts in zip(*columns, strict=True))
        score, label = score[mask > 0], label[mask > 0]
        if len(set(label.tolist())) == 2 and np.isfinite(score).all():
            found["frame_auc"] = float(roc_auc_score(label, score))
        return found


def _finite(scalars: dict[str, jax.Array], done: int) -> Summary:
    numbers = {name: float(value) for name, value in scalars.items()}
    if not np.isfinite(numbers["loss"]):
        raise DataError(
            f"the loss is {numbers['loss']} at step {done}; lower "
            "--config.iid.optim.learning_rate and use another --workdir"
        )
    return numbers
