"""EfficientNet-b4 with the whole ADM at 224 px, on FaceForensics++ c23.

The whole chain, from the data sets as downloaded to a row of the table:

  python -m iid_jax.main prepare --dataset=faceforensics/c23 --source=FF++ --data_dir=data
  python -m iid_jax.main prepare --dataset=faceforensics/c23 --data_dir=data --check
  python -m iid_jax.main prepare --dataset=celeb_df/v2 --source=Celeb-DF-v2 --data_dir=data
  python -m iid_jax.main --config=configs/effb4.py --workdir=runs/effb4 --data_dir=data
  python -m iid_jax.main evaluate --checkpoint=runs/effb4 --data=celeb_df/v2:test --out=out/effb4
  python -m iid_jax.main reproduce --table=sota --data_dir=data --dry_run

Its row of the authors' table, video AUC: FaceForensics++ 0.9979, Celeb-DF 0.9388, DFDC 0.7385.
Nothing was measured with it here: the data set needs its owners' permission.

Memory: XLA plans 11.6 GiB for a training step of 32 pictures in float32 (docs/models.md); the
default of 128 takes about 33, less in bfloat16, and 20,000 such steps want a GPU or a TPU.

Arguments are those of configs/paper.py but the backbone, as in `:method=binary`,
`:adm_width=256` (a slim ADM) and `:data=practice_faces,steps=2`.
"""

from iid_jax import config_file


def get_config(argument=""):
    """Returns the configuration."""
    return config_file.shipped("paper.py", argument, backbone="efficientnet_b4")
