# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     provenance: []
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A detector of manipulated faces: train one and look at it
#
# Real/fake classifiers quietly learn the *people* of their training set. The detector here has to
# say *where* a face was manipulated, and is trained on facial swaps made on the fly, whose areas
# are known ("Implicit Identity Leakage", CVPR 2023).
#
# The faces are drawn by the package: nothing is downloaded. About ten minutes on two CPU cores; a
# GPU (Runtime > Change runtime type) takes less. `Runtime > Run all`.

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
method = "iid"  # @param ["iid", "binary"]
steps = 1800  # @param {type:"integer"}
seed = 0  # @param {type:"integer"}
workdir = "runs/quickstart"  # @param {type:"string"}
data_dir = "data"  # @param {type:"string"}
import json
import os
import shlex
from pathlib import Path

from IPython.display import HTML, Image, Markdown, display

from iid_jax.main import main

# The small form, in which this notebook is tested.
SMOKE = bool(os.environ.get("IID_SMOKE"))
SMALL = ["train.steps=4", "train.eval_every=2", "train.checkpoint_every=2", "train.batch_size=4"]
SMALL += ["eval.val_frames=16", "eval.bootstrap=20"]
CONFIG = f"configs/quickstart.py:method={method},steps={steps},seed={seed}"


def run(*words):
    """Runs a verb of iid_jax in this process, as `python -m iid_jax.main ...` would."""
    print("$ python -m iid_jax.main", shlex.join(map(str, words)))
    code = main([str(word) for word in words])
    if code:
        raise RuntimeError(f"ended with exit code {code}; the reason stands above")


# %% [markdown]
# ## The data
#
# 620 drawn people, clips of four frames, four manipulations that differ in kind. Nobody is in two
# splits. Below is what the trainer is fed: genuine | manipulated | mask | result.

# %%
limit = ["--limit=40"] if SMOKE else []
run("prepare", "--dataset=practice_faces", f"--data_dir={data_dir}", "--quiet", *limit)
run("show", f"--config={CONFIG}", f"--data_dir={data_dir}", "--out=fed.png", "--count=4")
display(Image("fed.png"))

# %% [markdown]
# ## Train
#
# Interrupted (or the runtime gone, with `workdir` on Drive)? Run this cell again: it goes on.

# %%
small = [f"--config.{setting}" for setting in SMALL] if SMOKE else []
run(f"--config={CONFIG}", f"--workdir={workdir}", f"--data_dir={data_dir}", *small)

# %% [markdown]
# ## Look
#
# AUC on people that were never seen, with 95 % intervals.

# %%
summary = json.loads(Path(workdir, "summary.json").read_text())
table = ["| manipulation | metric | value | 95 % interval |", "|---|---|---|---|"]
for row in summary["results"]:
    if row["metric"] in ("video_auc", "leak_auc") and row["value"] is not None:
        interval = f"{row['lo']:.3f} to {row['hi']:.3f}" if row["lo"] is not None else "-"
        table.append(f"| {row['method']} | {row['metric']} | {row['value']:.3f} | {interval} |")
display(Markdown("\n".join(table)))

# %% [markdown]
# Held-out pairs, genuine left and fake right. Green: where it was manipulated. Red: where the
# detector says so. Above each picture P(fake).

# %%
pictures = ["--count=8"] if SMOKE else []
run(
    "show", f"--checkpoint={workdir}", f"--data_dir={data_dir}", "--out=first-look.png", "--quiet",
    *pictures,
)  # fmt: skip
display(Image("first-look.png"))

# %% [markdown]
# The whole report: curves, ROC, tables, calibration, examples.

# %%
page = Path(workdir, "report.html").read_text().replace("&", "&amp;").replace('"', "&quot;")
display(HTML(f'<div><iframe srcdoc="{page}" width="100%" height="900"></iframe></div>'))

# %% [markdown]
# ## Use it
#
# `predict.ipynb` scores your own pictures with it, `identity_leakage.ipynb` asks whether it has
# learned who the people are.

# %%
import iid_jax

detector = iid_jax.load(workdir)
records = iid_jax.data.load("practice_faces", "test", data_dir)
record = next(record for record in records if record.label)
picture = record.pixels()
result = detector.predict(picture, landmarks=record.crop_landmarks(picture.shape[:2]))
print("truth:", record.method, "| P(fake):", result.score, "| boxes:", result.faces[0].artifacts)
