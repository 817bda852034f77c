"""Starts a project's main with a key, the config, the workdir and a writer."""

import functools
import json
import pathlib

import jax
from absl import app, flags
from ml_collections import config_flags

FLAGS = flags.FLAGS
config_flags.DEFINE_config_file("config", None, "configuration", lock_config=True)
flags.DEFINE_string("workdir", None, "folder of the run")
flags.DEFINE_string("dataset_service_address", None, "of a tf.data service")
flags.mark_flags_as_required(["config", "workdir"])


class Writer:
    """Of clu's MetricWriter what trainers call."""

    def __init__(self, folder):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        self._path = pathlib.Path(folder) / "written.jsonl"

    def write_scalars(self, step, scalars):
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **scalars}) + "\n")

    def flush(self):
        pass


def run(main):
    app.run(functools.partial(_run, main=main))


def _run(argv, *, main):
    rng = jax.random.PRNGKey(FLAGS.config.rng_seed)
    main(rng=rng, config=FLAGS.config, workdir=FLAGS.workdir, writer=Writer(FLAGS.workdir))
