# ---
# jupyter:
#   colab:
#     provenance: []
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Score a picture or a short video
#
# Upload a picture or a video with faces: every face gets P(fake), and boxes where artifacts are
# seen. Without an upload two examples are drawn: a swapped face, and a clip of one.
#
# A score is that of this detector on faces as in its training. **It is not proof**, and nobody may
# be judged by it.

# %%
# @title Install
# A wheel, a clone's folder or a git+https address of iid_jax; left empty, Colab asks for a wheel.
source = ""  # @param {type:"string"}
import glob
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys

# As tested (constraints.txt); what else is needed comes with the package.
VERSIONS = ["jax==0.10.2", "flax==0.12.8", "optax==0.2.8", "grain==0.2.18"]
VERSIONS += ["orbax-checkpoint==0.12.8"]
IN_COLAB = "google.colab" in sys.modules
if importlib.util.find_spec("iid_jax") is None:
    if not source and IN_COLAB:
        from google.colab import files

        source = next(iter(files.upload()))
    if not source:
        raise ValueError("iid_jax is not installed here: fill in `source` above and run this again")
    tpu = glob.glob("/dev/accel[0-9]*") + glob.glob("/dev/vfio/[0-9]*")
    extra = "faces,gpu" if shutil.which("nvidia-smi") else "faces,tpu" if tpu else "faces"
    wanted = f"iid-jax[{extra}] @ {source}" if "://" in source else f"{source}[{extra}]"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", wanted, *VERSIONS], check=True)
    importlib.invalidate_caches()
for name in ("numpy", "jax"):
    loaded = getattr(sys.modules.get(name), "__version__", importlib.metadata.version(name))
    if loaded != importlib.metadata.version(name):
        raise RuntimeError(f"{name} {loaded} is still loaded: Runtime > Restart session, run all")

# %%
# @title Settings
# A run, or what `export` wrote; a .zip of one is unpacked. Where there is none, one is trained.
checkpoint = "runs/quickstart"  # @param {type:"string"}
# Of a video so many frames a second are looked at.
fps = 5  # @param {type:"number"}
# dlib:1 finds faces half as large as dlib does.
landmarker = "dlib:1"  # @param ["dlib", "dlib:1"]
mount_drive = False  # @param {type:"boolean"}
import os
import zipfile
from pathlib import Path

import av
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display
from PIL import Image as Pictures

import iid_jax
from iid_jax.faces import choice, drawn
from iid_jax.forgery.manipulations import MANIPULATIONS
from iid_jax.inference.drawing import Drawing
from iid_jax.inference.sources import is_video
from iid_jax.main import main

# The small form, in which this notebook is tested.
SMOKE = bool(os.environ.get("IID_SMOKE"))
if mount_drive and IN_COLAB:
    from google.colab import drive

    drive.mount("/content/drive")

# %% [markdown]
# ## The detector

# %%
if checkpoint.endswith(".zip"):
    unpacked = Path("unpacked", Path(checkpoint).stem)
    zipfile.ZipFile(checkpoint).extractall(unpacked)
    checkpoint = str(next(unpacked.glob("**/checkpoints")).parent)
if not Path(checkpoint).exists():
    print("No detector there: training one on drawn faces, about ten minutes on two cores.")
    words = ["--config=configs/quickstart.py", f"--workdir={checkpoint}"]
    if SMOKE:
        main(["prepare", "--dataset=practice_faces", "--limit=40", "--quiet"])
        words += ["--config.train.steps=2", "--config.train.batch_size=4"]
        words += ["--config.eval.val_frames=16", "--config.eval.bootstrap=20"]
    code = main(words)
    if code:
        raise RuntimeError(f"training ended with exit code {code}; the reason stands above")
detector = iid_jax.load(checkpoint, choice.choose(landmarker))
print(f"step {detector.step}, {detector.config.model.backbone}, on {detector.config.data.name}")

# %% [markdown]
# ## Your picture or video

# %%
# @title Upload, or a file's path
path = ""  # @param {type:"string"}


def swapped(frames=6):
    """Draws two people and swaps the face of one onto the other: genuine and fake frames."""
    rng = np.random.default_rng(0)
    target, donor = (drawn.draw_video(drawn.draw_person(rng), rng, frames) for _ in range(2))
    swap = MANIPULATIONS["affine_swap"]
    fakes = [
        swap(a.image, a.landmarks, b.image, b.landmarks, np.random.default_rng(1)).image
        for a, b in zip(target, donor, strict=True)
    ]
    return [shot.image for shot in target], fakes


def write_clip(name, pictures, rate=5):
    """Writes RGB pictures (H, W, 3) as H.264."""
    with av.open(name, "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


if path:
    paths = [path]
elif IN_COLAB:
    from google.colab import files

    paths = list(files.upload())
else:
    paths = []
if not paths:
    genuine, fakes = swapped()
    Pictures.fromarray(np.hstack([genuine[0], fakes[0]])).save("example.png")
    write_clip("example.mp4", fakes)
    paths = ["example.png", "example.mp4"]

# %% [markdown]
# ## What the detector says
#
# Yellow: the faces. Red: where artifacts are seen, with their scores. Of a video, P(fake) by time
# and some of its frames; its score is their mean. A picture's is that of its most suspicious face.

# %%
said = {}
for name in paths:
    seen = Drawing(is_video(name))
    said[name] = detector.predict_file(name, fps=fps, seen=seen)
    score = "no score" if said[name].score is None else f"P(fake) {said[name].score:.3f}"
    print(f"{name}: {said[name].status}, {score} {said[name].error}")
    shown = seen.png(said[name])
    if shown is not None:
        display(Image(shown))

# %% [markdown]
# ## Why
#
# What each place of a face adds to the logit: red speaks for fake, blue for genuine. In pictures
# only; the detector sees the face turned upright and cropped.

# %%
faces = [face for result in said.values() for face in result.faces if face.canvas is not None]
for face in faces:
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
    left.imshow(face.canvas)
    left.set_title(f"P(fake) {face.score:.2f}")
    top = abs(face.heatmap).max()
    right.imshow(face.canvas)
    drawn_heat = right.imshow(face.heatmap, cmap="RdBu_r", alpha=0.6, vmin=-top, vmax=top)
    right.set_title("what each place adds")
    figure.colorbar(drawn_heat, ax=right)
    for axis in (left, right):
        axis.set_axis_off()
    display(figure)
    plt.close(figure)
if SMOKE and not faces:
    raise AssertionError("no face of the examples was scored")
