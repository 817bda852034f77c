"""The detectors of the paper's tables: a backbone at its canvas, with the whole ADM and the swap.

  python -m iid_jax.main --config=configs/paper.py:backbone=resnet34,data=faceforensics/c23

Arguments:
  backbone  any registered one; its own canvas is used
  method    iid, adm, mfs or binary
  data      a prepared data set; the compression is a part of its name
  only      manipulations to train on, joined by +; all of the four published ones by default
  sbi       yes: half of the fakes are self-blended images
  adm_width channels of the ADM; 0: as many as the backbone's map has, as published
  steps, batch, seed

AdamW with learning rate 3.6e-4 and weight decay 4e-3 as in the authors' code; the number of steps
is ours. Nothing was measured with it yet: the data sets need their owners' permission.
"""

from iid_jax import config_file
from iid_jax.models import registry

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


def get_config(argument=""):
    """Returns the configuration of a row of the paper's tables."""
    options = config_file.parse_arguments(
        argument,
        {
            "backbone": "resnet34",
            "method": "iid",
            "data": "faceforensics/c23",
            "only": "",
            "sbi": "no",
            "adm_width": 0,
            "steps": 20_000,
            "batch": 128,
            "seed": 0,
        },
    )
    config = config_file.default()
    config_file.use_method(config, options["method"])
    config.seed = options["seed"]
    config.data.name = options["data"]
    if options["data"].startswith("faceforensics/"):
        config.data.methods = METHODS
    if options["only"]:
        config.data.methods = tuple(options["only"].split("+"))
    if options["sbi"] == "yes":
        config.data.forgery = ("swap", "self_blend")
    config.model.backbone = options["backbone"]
    config.model.canvas = registry.entry(options["backbone"]).canvas
    config.model.adm_width = options["adm_width"] or None
    config.train.steps = options["steps"]
    config.train.batch_size = options["batch"]
    config.train.eval_every = config.train.checkpoint_every = max(1, options["steps"] // 20)
    return config
