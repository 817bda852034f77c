"""Xception with the whole ADM at 224 px, on FaceForensics++ c23.

  python -m iid_jax.main --config=configs/xception.py --workdir=runs/xception --data_dir=data

The paper's cross-method table trains it, alone and as "Ours + Xception"; its numbers were not
looked up.
Nothing was measured with it here: the data set needs its owners' permission.

Arguments are those of configs/paper.py but the backbone, as in `:method=binary`,
`:adm_width=256` (a slim ADM) and `:data=practice_faces,steps=2`.
"""

from iid_jax import config_file


def get_config(argument=""):
    """Returns the configuration."""
    return config_file.shipped("paper.py", argument, backbone="xception")
