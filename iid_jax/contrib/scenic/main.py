"""`python -m iid_jax.contrib.scenic.main --config=... --workdir=...`: Scenic's way to start it."""

import sys
from typing import Any

import jax
import ml_collections
from absl import flags
from scenic import app
from scenic.train_lib import train_utils

from iid_jax.contrib.scenic import dataset as _registered  # noqa: F401
from iid_jax.contrib.scenic import model, trainer
from iid_jax.errors import UserError


def main(rng: jax.Array, config: ml_collections.ConfigDict, workdir: str, writer: Any) -> None:
    """Trains `config.model_name` on `config.dataset_name`; a user's error ends it with one line."""
    try:
        model_cls = model.get_model_cls(config.model_name)
        data_rng, rng = jax.random.split(rng)
        address = flags.FLAGS.dataset_service_address
        dataset = train_utils.get_dataset(config, data_rng, dataset_service_address=address)
        trainer.train(
            rng=rng,
            config=config,
            model_cls=model_cls,
            dataset=dataset,
            workdir=workdir,
            writer=writer,
        )
    except UserError as error:
        print(f"iid_jax: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    app.run(main=main)
