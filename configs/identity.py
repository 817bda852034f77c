"""A classifier of people on the quickstart's backbone, for detectors to start from.

  python -m iid_jax.main --config=configs/identity.py --workdir=runs/identity --data_dir=data
  python -m iid_jax.main --config=configs/quickstart.py --config.model.init_from=runs/identity ...

It is trained on the genuine pictures of the training split alone; its summary.json has the share of
the `probe` split's pictures, which no training sees, whose person it finds first.

Arguments: data, gap, people, donors, steps, seed as in configs/quickstart.py. Where the detectors
are then measured on another configuration of the data than the one trained on here, leave out the
pictures that it holds out: --config.data.apart_from=photo_swaps/donor_p80_d10.
"""

from iid_jax import config_file


def get_config(argument=""):
    """Returns the quickstart's configuration with a head for as many people as there are."""
    known = {"data": "practice_faces", "steps": 1800, "seed": 0}
    known |= {"gap": "none", "people": 0, "donors": 0}
    options = config_file.parse_arguments(argument, known)
    told = ",".join(f"{key}={value}" for key, value in options.items())
    config = config_file.shipped("quickstart.py", told, method="binary")
    config.model.people = 0
    config.train.keep = 1
    return config
