"""`export`: makes of a trained detector what others can use, and checks that it is the same one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from iid_jax.errors import DataError, UsageError
from iid_jax.flags import Parser

SAFETENSORS, STABLEHLO, CARD = "model.safetensors", "model.stablehlo", "MODEL_CARD.md"
PLATFORMS = ("cpu", "cuda", "tpu")
TOLERANCE = 1e-4
CHECKED = 3


def main(argv: list[str]) -> int:
    """Writes the inference checkpoint, .safetensors, StableHLO and the model card."""
    parser = Parser("export", "Make of a detector what others can use.")
    parser.add_argument("--checkpoint", required=True, help="a workdir (its best step), a step")
    parser.add_argument("--out", required=True, help="a new folder for all that is written")
    parser.add_argument("--licence", help="of the weights, as an SPDX identifier")
    parser.add_data_dir()
    parser.add_quiet()
    flags = parser.parse(argv)
    if flags.overrides:
        name = next(iter(flags.overrides))
        raise UsageError(f"--config.{name}: a detector keeps its configuration; leave it out")
    differences = export(flags.checkpoint, flags.out, flags.data_dir, flags.licence, flags.quiet)
    for name, difference in differences.items():
        print(f"{name}: differs from the checkpoint by {difference:.1e} at most")
    print(Path(flags.out))
    return 0


def export(
    checkpoint: str, out: str, data_dir: str, licence: str | None = None, quiet: bool = True
) -> dict[str, float]:
    """Writes the folder `out` and returns what each form's logits differ by, at most.

    Temperature and score threshold are fitted on the validation split of the data the detector was
    trained on, where it is prepared under `data_dir`. StableHLO is lowered for `PLATFORMS` and run
    on the one at hand.

    Raises:
      UsageError: `out` is there already.
      DataError: no detector, a damaged one, or a form that does not give the same logits.
    """
    from iid_jax import inference_checkpoint
    from iid_jax.checkpoint import load_detector
    from iid_jax.evaluation import model_card

    loaded = load_detector(checkpoint)
    with inference_checkpoint.new_folder(Path(out)) as folder:
        known = _knowledge(Path(checkpoint), loaded, data_dir, quiet)
        description = inference_checkpoint.describe(loaded, licence=licence, **known)
        inference_checkpoint.write(folder, loaded, description)
        write_safetensors(folder / SAFETENSORS, loaded.variables)
        write_stablehlo(folder / STABLEHLO, loaded)
        (folder / CARD).write_text(model_card.render(description), encoding="utf-8")
        return check(folder, loaded)


def write_safetensors(path: Path, variables: Mapping[str, Any]) -> None:
    """Writes the arrays under names such as `params/trunk/stem_conv/kernel`."""
    from safetensors.numpy import save_file

    save_file(_flat(variables), path, metadata={"format": "iid_jax"})


def write_stablehlo(path: Path, loaded: Any) -> None:
    """Writes (arrays as in `SAFETENSORS`, RGB uint8 (b, S, S, 3)) -> the detector's outputs.

    {"logits" (b, 2)} and, with the ADM, {"deltas" (b, A, 4), "box_logits" (b, A, 2)}, computed in
    float32, for any b and each of `PLATFORMS`. `jax.export.deserialize(bytes).call(arrays, images)`
    runs it.
    """
    import jax
    import numpy as np
    from jax import export as jax_export

    size = loaded.input_spec.size
    (batch,) = jax_export.symbolic_shape("b")
    images = jax.ShapeDtypeStruct((batch, size, size, 3), np.uint8)
    arrays = {
        name: jax.ShapeDtypeStruct(value.shape, value.dtype)
        for name, value in _flat(loaded.variables).items()
    }
    lower = jax_export.export(jax.jit(_forward(loaded)), platforms=PLATFORMS)
    path.write_bytes(bytes(lower(arrays, images).serialize()))


def check(folder: Path, loaded: Any) -> dict[str, float]:
    """Returns the largest difference of each form's outputs from those of `loaded`, in float32.

    Raises:
      DataError: one is larger than `TOLERANCE`, or not a number.
    """
    import jax
    import numpy as np
    from jax import export as jax_export
    from safetensors.numpy import load_file

    from iid_jax.checkpoint import load_detector

    size = loaded.input_spec.size
    images = np.random.default_rng(0).integers(0, 256, (CHECKED, size, size, 3), np.uint8)
    run = jax.jit(_forward(loaded))
    wanted = run(_flat(loaded.variables), images)
    tensors = load_file(folder / SAFETENSORS)
    lowered = jax_export.deserialize(bytearray((folder / STABLEHLO).read_bytes()))
    found = {
        "inference checkpoint": run(_flat(load_detector(folder).variables), images),
        SAFETENSORS: run(tensors, images),
        STABLEHLO: lowered.call(tensors, images),
    }
    differences = {}
    for name, outputs in found.items():
        differences[name] = max(
            float(np.abs(np.asarray(outputs[key]) - np.asarray(wanted[key])).max())
            for key in wanted
        )
        if not differences[name] <= TOLERANCE:
            raise DataError(
                f"{name} differs from the checkpoint by {differences[name]:.3g}, "
                f"more than {TOLERANCE}; nothing is written"
            )
    return differences


def _forward(loaded: Any) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The detector as a function of flat arrays and RGB uint8 images, in float32."""
    import dataclasses

    from iid_jax.models import detector

    model = dataclasses.replace(loaded.config.model, dtype="float32")
    module, _, _ = detector.build_detector(model)

    def forward(arrays: Mapping[str, Any], images: Any) -> dict[str, Any]:
        outputs = module.apply(_nested(arrays), loaded.input_spec.normalise(images))
        named = {n: getattr(outputs, n) for n in ("logits", "deltas", "box_logits")}
        return {name: value for name, value in named.items() if value is not None}

    return forward


def _flat(variables: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np
    from flax.traverse_util import flatten_dict

    flat = flatten_dict(dict(variables), sep="/")
    return {name: np.ascontiguousarray(value) for name, value in flat.items()}


def _nested(arrays: Mapping[str, Any]) -> dict[str, Any]:
    from flax.traverse_util import unflatten_dict

    return unflatten_dict(dict(arrays), sep="/")


def _knowledge(checkpoint: Path, loaded: Any, data_dir: str, quiet: bool) -> dict[str, Any]:
    """What is known of the detector beside its arrays: its run's summary, and what is fitted."""
    from iid_jax import inference_checkpoint
    from iid_jax.evaluation import command_lines, operating, summary
    from iid_jax.evaluation.localisation import THRESHOLD

    known = inference_checkpoint.known
    before = inference_checkpoint.read(checkpoint)
    if before is not None:
        names = ("temperature", "score_threshold", "box_threshold", "data", "metrics", "train")
        return {name: before[name] for name in names} | {"source": before.get("source", "")}
    made = summary.of_run(summary.run_folder(checkpoint), loaded.config)
    if made is None:
        made = {"data": {}, "results": [], "train": {"steps": loaded.step}, "command": ""}
    boxes = [row for row in made["results"] if row["metric"] == THRESHOLD]
    found = {
        "box_threshold": known(boxes[0]["value"], boxes[0]["reason"]) if boxes else None,
        "data": made["data"],
        "metrics": made["results"],
        "train": made["train"],
        "source": command_lines.shareable(made["command"]),
    }
    fitted = operating.fit(loaded, data_dir, quiet)
    return {**found, **{name: known(m.value, m.reason) for name, m in fitted.items()}}
