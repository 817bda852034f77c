"""The optimiser: element-wise gradient clipping, AdamW on every parameter, and its schedules."""

import optax

from iid_jax.config import OptimConfig


def schedule(config: OptimConfig, steps: int) -> optax.Schedule:
    """Returns step -> learning rate for a run of `steps`.

    `cosine` falls to 0; `steps` goes to `rates[i]` after the share `boundaries[i]` of the run (the
    paper's 3.6e-4, 1e-4, 5e-5); all rise linearly over `warmup_steps` first.
    """
    warm = min(config.warmup_steps, max(steps - 1, 0))
    if config.schedule == "cosine":
        main = optax.cosine_decay_schedule(config.learning_rate, max(steps - warm, 1))
    elif config.schedule == "steps":
        rates = [config.learning_rate, *config.rates]
        edges = [round(share * steps) - warm for share in config.boundaries]
        main = optax.join_schedules([optax.constant_schedule(rate) for rate in rates], edges)
    else:
        main = optax.constant_schedule(config.learning_rate)
    if not warm:
        return main
    rise = optax.linear_schedule(config.learning_rate / warm, config.learning_rate, warm)
    return optax.join_schedules([rise, main], [warm])


def optimiser(config: OptimConfig, steps: int) -> optax.GradientTransformation:
    """Returns AdamW with decoupled decay on all parameters, after clipping each gradient element.

    The reference does so (every element to +-2, weight decay on biases and BatchNorm too).
    """
    return optax.chain(
        optax.clip(config.clip_value),
        optax.adamw(schedule(config, steps), b2=config.beta2, weight_decay=config.weight_decay),
    )
