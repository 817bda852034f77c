"""ResNet-18 with the whole ADM at 224 px, on FaceForensics++ c23.

  python -m iid_jax.main --config=configs/resnet18.py --workdir=runs/resnet18 --data_dir=data

The paper analyses it as a plain classifier (`:method=binary`); there is no published row of the
detector.
Nothing was measured with it here: the data set needs its owners' permission.

Memory: XLA plans 1.2 GiB for a training step of 32 pictures in float32 (docs/models.md); the
default of 128 takes about 3, less in bfloat16, and 20,000 such steps want a GPU or a TPU.

Arguments are those of configs/paper.py but the backbone, as in `:method=binary`,
`:adm_width=256` (a slim ADM) and `:data=practice_faces,steps=2`.
"""

from iid_jax import config_file


def get_config(argument=""):
    """Returns the configuration."""
    return config_file.shipped("paper.py", argument, backbone="resnet18")
