# ---
# jupyter:
#   accelerator: TPU
#   colab:
#     provenance: []
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Train on a TPU, and go on when the runtime was taken away
#
# `Runtime > Change runtime type > TPU`, then fill in the settings and `Runtime > Run all`. With
# `workdir` on Drive a run outlives its runtime: open the notebook again and run all; it goes on
# from the last checkpoint, with the same batches as if nothing had happened.
#
# The step is one jitted function over a mesh of all cores (BatchNorm sees the whole batch),
# computed in bfloat16 with float32 parameters and loss. It has been run from top to bottom on CPU
# in its small form; what it takes on a TPU has not been measured.

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
# effb4.py is the paper's B4 detector (290 M parameters); quickstart.py a small one (1 M).
config = "configs/effb4.py"  # @param ["configs/effb4.py", "configs/quickstart.py"]
# A prepared data set. practice_faces, drawn by the package, needs no data.
data = "practice_faces"  # @param {type:"string"}
# Where prepared data lies: a folder, one on Drive, or gs://bucket/folder, which is copied here.
prepared = ""  # @param {type:"string"}
# On Drive (/content/drive/MyDrive/...) it outlives the runtime.
workdir = "runs/tpu"  # @param {type:"string"}
mount_drive = False  # @param {type:"boolean"}
steps = 20000  # @param {type:"integer"}
batch_size = 128  # @param {type:"integer"}
dtype = "bfloat16"  # @param ["bfloat16", "float32"]
licence = ""  # @param {type:"string"}
import os
import shlex
from pathlib import Path

from IPython.display import Image, Markdown, display

from iid_jax.main import main

# The small form, in which this notebook is tested.
SMOKE = bool(os.environ.get("IID_SMOKE"))
if SMOKE:
    config, steps, batch_size = "configs/quickstart.py", 4, 4
if mount_drive and IN_COLAB:
    from google.colab import drive

    drive.mount("/content/drive")


def run(*words):
    """Runs a verb of iid_jax in this process, as `python -m iid_jax.main ...` would."""
    print("$ python -m iid_jax.main", shlex.join(map(str, words)))
    code = main([str(word) for word in words])
    if code:
        raise RuntimeError(f"ended with exit code {code}; the reason stands above")


# %% [markdown]
# ## The devices
#
# Every core takes an equal share of the batch: `batch_size` must be a multiple of their number.

# %%
import jax

from iid_jax.training import sharding

sharding.start(batch_size)
mesh = sharding.make_mesh(batch_size)
print(f"{jax.device_count()} x {jax.devices()[0].device_kind}, mesh {dict(mesh.shape)}")
if IN_COLAB and jax.default_backend() != "tpu":
    print("This is no TPU: Runtime > Change runtime type. Going on would take very long.")

# %% [markdown]
# ## The data
#
# A bucket is copied once: records are read at random, which a bucket or Drive is too slow for.

# %%
data_dir = "data"
if prepared.startswith("gs://"):
    if IN_COLAB:
        from google.colab import auth

        auth.authenticate_user()
    Path(data_dir).mkdir(exist_ok=True)
    copy = ["gcloud", "storage", "rsync", "--recursive", prepared, data_dir]
    subprocess.run(copy, check=True)
elif prepared:
    shutil.copytree(prepared, data_dir, dirs_exist_ok=True)
if data == "practice_faces":
    limit = ["--limit=40"] if SMOKE else []
    run("prepare", f"--dataset={data}", f"--data_dir={data_dir}", "--quiet", *limit)

# %% [markdown]
# ## Train
#
# A checkpoint is saved every twentieth of the run, and when the runtime says that it is about to
# end. Run this cell again to go on; the settings must be those of the beginning.

# %%
every = max(1, steps // 20)
SETTINGS = {
    "model.dtype": dtype,
    "train.batch_size": batch_size,
    "train.eval_every": every,
    "train.checkpoint_every": every,
}
if SMOKE:
    SETTINGS |= {"train.eval_every": 2, "train.checkpoint_every": 2}
    SETTINGS |= {"eval.val_frames": 16, "eval.bootstrap": 20}
words = [f"--config.{name}={value}" for name, value in SETTINGS.items()]
chosen = f"--config={config}:data={data},steps={steps}"
run(chosen, f"--workdir={workdir}", f"--data_dir={data_dir}", *words)

# %%
pictures = ["--count=8"] if SMOKE else []
run(
    "show", f"--checkpoint={workdir}", f"--data_dir={data_dir}", "--out=first-look.png", "--quiet",
    *pictures,
)  # fmt: skip
display(Image("first-look.png"))

# %% [markdown]
# ## Hand it on
#
# Parameters (Orbax and safetensors), the network as StableHLO for CPU, CUDA and TPU, and a model
# card, each form checked against the run. `predict.ipynb` takes the folder or the .zip.

# %%
out = Path(f"{workdir}-detector-{steps}")
if not out.exists():
    named = [f"--licence={licence}"] if licence else []
    run(
        "export", f"--checkpoint={workdir}", f"--out={out}", f"--data_dir={data_dir}", "--quiet",
        *named,
    )  # fmt: skip
shutil.make_archive(str(out), "zip", out.parent, out.name)
display(Markdown((out / "MODEL_CARD.md").read_text()))
