"""The names that others give to a network's tensors, made into ours.

Ours are dotted: "trunk.stem_conv.weight", "artifact.block0.bn1.running_mean", "classifier.bias". A
new scheme is one entry of `SCHEMES`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from iid_jax.models.input_spec import InputSpec

Renames = tuple[tuple[str, str], ...]


class Scheme(NamedTuple):
    """One way to name tensors, and what a network trained under these names expects.

    `renames` are applied one after the other. `blocks` finds a stage's block, as in "blocks.2.0.",
    where blocks are numbered by stage; they become "blocks." and "first." (of the first stage) with
    running numbers. `note` is said of weights with these names, `whole` is there where they are of
    a detector and not of a backbone alone.
    """

    renames: Renames
    blocks: str = ""
    whole: bool = False
    note: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def spec(self, size: int) -> InputSpec:
        """Returns the input that weights of these names are used to, for a canvas of `size`."""
        if self.whole:
            return InputSpec.reference()
        return InputSpec(size) if self.mean is None else InputSpec(size, "RGB", self.mean, self.std)


# A residual block of torchvision and, in a file of it, of timm.
_SHORTCUT = ((r"\.downsample\.0\.", ".shortcut_conv."), (r"\.downsample\.1\.", ".shortcut_bn."))
_RESNET = (
    (r"^trunk\.(conv1|bn1)\.", r"trunk.stem_\1."),
    (r"\.stem_conv1\.", ".stem_conv."),
    (r"\.stem_bn1\.", ".stem_bn."),
    (r"\.layer(\d+)\.(\d+)\.", r".stage\1_block\2."),
    *_SHORTCUT,
)
_EFFICIENTNET_PYTORCH = (
    (r"^trunk\._conv_(stem|head)\.", r"trunk.\1_conv."),
    (r"^trunk\._bn0\.", "trunk.stem_bn."),
    (r"^trunk\._bn1\.", "trunk.head_bn."),
    (r"^trunk\._blocks\.(\d+)\._", r"trunk.block\1."),
    (r"^(trunk\.block\d+)\.bn0\.", r"\1.expand_bn."),
    (r"^(trunk\.block\d+)\.bn1\.", r"\1.depthwise_bn."),
    (r"^(trunk\.block\d+)\.bn2\.", r"\1.project_bn."),
)
_ADM = (
    (r"^adm\.adm_extra_layers\.3\.downsample\.", "artifact.end.shortcut."),
    (r"^adm\.adm_extra_layers\.3\.", "artifact.end."),
    (r"^adm\.adm_extra_layers\.(\d)\.0\.", r"artifact.block\1."),
    (r"^adm\.multi_scale_detection_module\.ms_dets\.(\d)\.", r"artifact.box\1."),
    (r"^adm\.multi_scale_detection_module\.ms_cls\.(\d)\.", r"artifact.score\1."),
    *_SHORTCUT,
    (r"^fc\.", "classifier."),
)
_BARE = ((r"^", "trunk."),)
_NUMBERED = ((r"^(?:first|blocks)\.(\d+)\.", r"trunk.block\1."),)
_TIMM_EFFICIENTNET = (
    (r"^conv_(stem|head)\.", r"trunk.\1_conv."),
    (r"^bn1\.", "trunk.stem_bn."),
    (r"^bn2\.", "trunk.head_bn."),
    (r"\.se\.conv_(reduce|expand)\.", r".se_\1."),
    (r"\.conv_dw\.", ".depthwise_conv."),
    (r"\.conv_pwl\.", ".project_conv."),
    (r"^(first\.\d+)\.conv_pw\.", r"\1.project_conv."),
    (r"^(first\.\d+)\.bn1\.", r"\1.depthwise_bn."),
    (r"^(first\.\d+)\.bn2\.", r"\1.project_bn."),
    (r"\.conv_pw\.", ".expand_conv."),
    (r"^(blocks\.\d+)\.bn1\.", r"\1.expand_bn."),
    (r"^(blocks\.\d+)\.bn2\.", r"\1.depthwise_bn."),
    (r"^(blocks\.\d+)\.bn3\.", r"\1.project_bn."),
    *_NUMBERED,
)
_TORCHVISION_EFFICIENTNET = (
    (r"^features\.0\.0\.", "trunk.stem_conv."),
    (r"^features\.0\.1\.", "trunk.stem_bn."),
    (r"^features\.8\.0\.", "trunk.head_conv."),
    (r"^features\.8\.1\.", "trunk.head_bn."),
    (r"\.fc1\.", ".se_reduce."),
    (r"\.fc2\.", ".se_expand."),
    (r"^(\w+\.\d+)\.block\.\d\.se_", r"\1.se_"),
    (r"^(first\.\d+)\.block\.0\.0\.", r"\1.depthwise_conv."),
    (r"^(first\.\d+)\.block\.0\.1\.", r"\1.depthwise_bn."),
    (r"^(first\.\d+)\.block\.2\.0\.", r"\1.project_conv."),
    (r"^(first\.\d+)\.block\.2\.1\.", r"\1.project_bn."),
    (r"^(blocks\.\d+)\.block\.0\.0\.", r"\1.expand_conv."),
    (r"^(blocks\.\d+)\.block\.0\.1\.", r"\1.expand_bn."),
    (r"^(blocks\.\d+)\.block\.1\.0\.", r"\1.depthwise_conv."),
    (r"^(blocks\.\d+)\.block\.1\.1\.", r"\1.depthwise_bn."),
    (r"^(blocks\.\d+)\.block\.3\.0\.", r"\1.project_conv."),
    (r"^(blocks\.\d+)\.block\.3\.1\.", r"\1.project_bn."),
    *_NUMBERED,
)
_XCEPTION = (
    (r"^model\.", ""),
    (r"^(conv|bn)([12])\.", r"trunk.stem_\1\2."),
    (r"^conv3\.", "trunk.head1."),
    (r"^conv4\.", "trunk.head2."),
    (r"^bn3\.", "trunk.head_bn1."),
    (r"^bn4\.", "trunk.head_bn2."),
    (r"\.skip\.", ".shortcut_conv."),
    (r"\.skipbn\.", ".shortcut_bn."),
    # The first block has no ReLU in front: its layers are counted from one less.
    *((rf"^block1\.rep\.{3 * n}\.", rf"block1.separable{n + 1}.") for n in range(2)),
    *((rf"^block1\.rep\.{3 * n + 1}\.", rf"block1.bn{n + 1}.") for n in range(2)),
    *((rf"^(block\d+)\.rep\.{3 * n + 1}\.", rf"\1.separable{n + 1}.") for n in range(3)),
    *((rf"^(block\d+)\.rep\.{3 * n + 2}\.", rf"\1.bn{n + 1}.") for n in range(3)),
    (r"\.(separable\d|head\d)\.conv1\.", r".\1.depthwise."),
    (r"^block", "trunk.block"),
)
_PADDING = (
    "a file with these names can be of a network that pads its maps on all sides, where "
    "TensorFlow's and this one's have the odd pixel below and right; fine-tune it, or take "
    "timm's tf_efficientnet weights"
)

SCHEMES: Mapping[str, Scheme] = {
    "the published CADDM's": Scheme(
        ((r"^base_model\.", "trunk."), *_RESNET, *_EFFICIENTNET_PYTORCH, *_ADM), whole=True
    ),
    "torchvision's and timm's ResNet": Scheme((*_BARE, *_RESNET)),
    "efficientnet_pytorch's": Scheme((*_BARE, *_EFFICIENTNET_PYTORCH)),
    "timm's EfficientNet": Scheme(
        _TIMM_EFFICIENTNET, blocks=r"^blocks\.(\d+)\.(\d+)\.", note=_PADDING
    ),
    "torchvision's EfficientNet": Scheme(
        _TORCHVISION_EFFICIENTNET, blocks=r"^features\.([1-7])\.(\d+)\.(?=block)", note=_PADDING
    ),
    "the common Xception's": Scheme(_XCEPTION, mean=(127.5,) * 3, std=(127.5,) * 3),
}
CADDM = SCHEMES["the published CADDM's"]
# What DistributedDataParallel puts before every name.
_WRAPPER = "module."


def ours(names: Iterable[str], scheme: Scheme) -> dict[str, str]:
    """Returns {name: our dotted name}; one that means nothing in the scheme is ours nowhere."""
    names = list(names)
    short = {name: name.removeprefix(_WRAPPER) for name in names}
    found = {
        name: re.match(scheme.blocks, short[name]) if scheme.blocks else None for name in names
    }
    places = {name: (int(m[1]), int(m[2])) for name, m in found.items() if m}
    numbers = {place: number for number, place in enumerate(sorted(set(places.values())))}
    first = min(places.values(), default=(0, 0))[0]
    for name, place in places.items():
        kind = "first" if place[0] == first else "blocks"
        short[name] = f"{kind}.{numbers[place]}.{short[name][found[name].end() :]}"
    for pattern, replacement in scheme.renames:
        short = {name: re.sub(pattern, replacement, value) for name, value in short.items()}
    return short
