"""The main job on the embedded default: a small detector on faces that the package draws itself.

  python -m iid_jax.main --config=configs/quickstart.py

Arguments, as in `configs/quickstart.py:method=binary,steps=300`:
  method   iid (Artifact Detection Module and facial swaps) or binary (plain classifier)
  data     practice_faces or photo_swaps, or any prepared data set
  gap      none, donor or target: who of the fakes' people is missing from the genuine pictures
  without  a manipulation kept out of training, to be met for the first time in the test
  people, donors, steps, seed
"""

from iid_jax import config_file


def get_config(argument=""):
    """Returns the quickstart's configuration."""
    options = config_file.parse_arguments(
        argument,
        {
            "method": "iid",
            "data": "practice_faces",
            "gap": "none",
            "without": "",
            "people": 0,
            "donors": 0,
            "steps": 1800,
            "seed": 0,
        },
    )
    config = config_file.default()
    # Where an artifact is takes longer to learn than that there is one: more examples of it.
    config.data.swap.update(untouched=0.1, global_=0.3, partial=0.6)
    config_file.use_method(config, options["method"])
    config.seed = options["seed"]
    config.data.name = options["data"]
    config.data.without = (options["without"],) if options["without"] else ()
    config.data.identity_gap = options["gap"]
    config.data.train_people = options["people"] or None
    config.data.train_donors = options["donors"] or None
    if options["gap"] == "target":
        config.data.pairing = "independent"
    config.model.backbone = "resnet_small"
    config.model.canvas = 112
    config.model.adm_width = 64
    config.loss.beta = 0.3
    config.optim.learning_rate = 3e-3
    config.optim.beta2 = 0.99
    config.optim.warmup_steps = 30
    config.train.steps = options["steps"]
    config.train.batch_size = 32
    config.train.eval_every = config.train.checkpoint_every = 450
    return config
