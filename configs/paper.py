"""The detectors of the paper's tables: a backbone at its canvas, with the whole ADM and the swap.

  python -m iid_jax.main --config=configs/paper.py:backbone=resnet34,data=faceforensics/c23

Arguments:
  backbone  any registered one; its own canvas is used
  method    iid, adm, mfs or binary
  data      a prepared data set; the compression is a part of its name
  only      manipulations to train on, joined by +; all of the four published ones by default
  sbi       yes: half of the fakes are self-blended images
  init      a file with weights of the backbone to start from; the paper starts from pretrained ones
  adm_width channels of the ADM; 0: as many as the backbone's map has, as published
  steps, batch, seed

As in the authors' code: AdamW with weight decay 4e-3, the learning rate 3.6e-4 and after 4 and 10
epochs 1e-4 and 5e-5 (of 900 steps: 3,600 clips of FaceForensics++ at 32 frames), batches of 128,
and the probabilities of the augmentations. Theirs went on for 200 epochs; the number of steps is
ours, as are the shares of the swaps (config.data.swap). Nothing was measured with it yet: the data
sets need their owners' permission.
"""

from iid_jax import config_file
from iid_jax.models import registry

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SLOWER_FROM = (3_600, 9_000)
AUGMENT = {
    "half_resolution": 0.3,
    "jpeg": 0.3,
    "contrast": 0.5,
    "low_noise": 0.5,
    "saturation": 0.25,
    "gamma": 1.0,
    "motion_blur": 0.3,
    "blur": 0.3,
    "noise": 0.3,
    "tone": 0.3,
    "resample": 0.25,
}


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
            "init": "",
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
    config.data.augment.update(AUGMENT)
    config.model.backbone = options["backbone"]
    config.model.init_from = options["init"] or None
    config.model.canvas = registry.entry(options["backbone"]).canvas
    config.model.adm_width = options["adm_width"] or None
    config.optim.schedule = "steps"
    steps = max(1, options["steps"])
    config.optim.boundaries = tuple(min(1.0, step / steps) for step in SLOWER_FROM)
    config.train.steps = options["steps"]
    config.train.batch_size = options["batch"]
    config.train.eval_every = config.train.checkpoint_every = max(1, options["steps"] // 20)
    return config
