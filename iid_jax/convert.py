"""`convert`: makes of a published detector's weights an inference checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

from iid_jax.errors import DataError, UsageError
from iid_jax.flags import Parser

if TYPE_CHECKING:
    from iid_jax.checkpoint import Loaded
    from iid_jax.models.weights import Placement

# As the published configurations call them.
SHORT = {f"effb{number}": f"efficientnet_b{number}" for number in range(8)}
CARD = "MODEL_CARD.md"


def main(argv: list[str]) -> int:
    """Writes the folder that `iid_jax.load` and every --checkpoint read."""
    parser = Parser("convert", "Make of a published detector's weights what is read here.")
    parser.add_argument("source", metavar="SRC", help=".pth (with the [torch] extra), .safetensors")
    parser.add_argument("--model", required=True, help="its backbone: resnet34, effb3, effb4, ...")
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument("--licence", help="of the weights, as an SPDX identifier")
    flags = parser.parse(argv)
    if flags.overrides:
        name = next(iter(flags.overrides))
        raise UsageError(f"--config.{name}: the weights say what they are; leave it out")
    print(convert(flags.source, flags.model, flags.out, flags.licence))
    print(flags.out)
    return 0


def convert(source: str, model: str, out: str, licence: str | None = None) -> str:
    """Writes the inference checkpoint of the published CADDM's weights, and says what it holds.

    Its input is that of the published code: BGR, 0 to 255, 224 px. Thresholds and temperature are
    unknown: there are no validation scores.

    Raises:
      UsageError: no such model or file, `out` is there already, or the file is of a backbone alone.
      DataError: the file is damaged, wants to run code, or is of another model; tensors are named.
    """
    from iid_jax import inference_checkpoint
    from iid_jax.evaluation import model_card

    with inference_checkpoint.new_folder(Path(out)) as folder:
        loaded, placed = read(source, model)
        name = f"converted from {Path(source).name}"
        description = inference_checkpoint.describe(loaded, licence=licence, source=name)
        inference_checkpoint.write(folder, loaded, description)
        (folder / CARD).write_text(model_card.render(description), encoding="utf-8")
    return _account(source, placed)


def read(source: str, model: str) -> tuple["Loaded", "Placement"]:
    """Returns the detector in a file, and where its tensors went (errors: see `convert`)."""
    import jax
    import numpy as np

    from iid_jax.checkpoint import Loaded
    from iid_jax.config import Config, ModelConfig
    from iid_jax.models import InputSpec, detector, weight_files, weights
    from iid_jax.models.weight_names import SCHEMES

    spec = InputSpec.reference()
    config = Config(model=ModelConfig(backbone=SHORT.get(model, model), canvas=spec.size))
    module, _, anchors = detector.build_detector(config.model)
    images = jax.ShapeDtypeStruct((1, spec.size, spec.size, 3), np.float32)
    expected = weights.described(jax.eval_shape(module.init, jax.random.key(0), images))
    tensors = weight_files.open_tensors(source)
    placed = weights.place({name: tensor.shape for name, tensor in tensors.items()}, expected)
    if placed.paths and not SCHEMES[placed.scheme].whole:
        raise UsageError(
            f"{source} holds a backbone alone ({placed.scheme}); to start training from it: "
            f"--config.model.backbone={config.model.backbone} --config.model.init_from={source}"
        )
    if placed.missing or placed.misshapen or placed.foreign:
        raise DataError(
            f"{source} is no published {config.model.backbone} detector; "
            + "; ".join(_trouble(placed))
        )
    made = weights.variables(placed, lambda name: tensors[name].read(), expected)
    _check_finite(source, made)
    return Loaded(module, made, spec, anchors, config, step=0), placed


def _trouble(placed: "Placement") -> list[str]:
    groups = {"missing": placed.missing, "of another shape": placed.misshapen}
    groups["has no place"] = placed.foreign
    return [f"{what} ({len(names)}): {_named(names)}" for what, names in groups.items() if names]


def _named(names: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _check_finite(source: str, made: dict) -> None:
    import jax
    import numpy as np

    for path, leaf in jax.tree_util.tree_leaves_with_path(made):
        if not np.isfinite(leaf).all():
            raise DataError(f"{source}: {jax.tree_util.keystr(path)} is not finite everywhere")


def _account(source: str, placed: "Placement") -> str:
    said = f"{source}: {len(placed.paths)} tensors read as {placed.scheme}"
    return f"{said}; not used: {', '.join(placed.unused)}" if placed.unused else said
