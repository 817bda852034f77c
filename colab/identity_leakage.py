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
# # Does a detector learn who the people are?
#
# Four detectors: a plain classifier (`binary`) and one that must say where (`iid`), each trained
# without an identity gap (`none`: everybody of the fakes is genuine too) and with one (`donor`: the
# faces pasted into fakes belong to people who are never genuine in training). With the gap, *whose
# face it is* gives the answer away, and a detector may take that road.
#
# Then three questions. Behaviour: does the score single out genuine pictures of the donors (leak
# AUC, 0.5: no)? Content: can a linear probe read the person off the features? And a picture: t-SNE.
#
# Four trainings of five to seven minutes each on two CPU cores; a GPU takes less.

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
people = 80  # @param {type:"integer"}
donors = 10  # @param {type:"integer"}
steps = 1800  # @param {type:"integer"}
seed = 0  # @param {type:"integer"}
workdir = "runs/leakage"  # @param {type:"string"}
data_dir = "data"  # @param {type:"string"}
import json
import os
import shlex
from pathlib import Path

from IPython.display import Image, Markdown, display

from iid_jax.main import main

# The small form, in which this notebook is tested.
SMOKE = bool(os.environ.get("IID_SMOKE"))
SMALL = ["train.steps=2", "train.eval_every=2", "train.checkpoint_every=2", "train.batch_size=4"]
SMALL += ["eval.val_frames=16", "eval.bootstrap=20"]
if SMOKE:
    people, donors = 12, 4


def run(*words):
    """Runs a verb of iid_jax in this process, as `python -m iid_jax.main ...` would."""
    print("$ python -m iid_jax.main", shlex.join(map(str, words)))
    code = main([str(word) for word in words])
    if code:
        raise RuntimeError(f"ended with exit code {code}; the reason stands above")


# %% [markdown]
# ## Train the four
#
# What is finished is kept: run this again after an interruption.

# %%
RUNS = {}
limit = ["--limit=40"] if SMOKE else []
small = [f"--config.{setting}" for setting in SMALL] if SMOKE else []
for gap in ("none", "donor"):
    data = f"practice_faces/{gap}_p{people}_d{donors}"
    run("prepare", f"--dataset={data}", f"--data_dir={data_dir}", "--quiet", *limit)
    for method in ("binary", "iid"):
        name = f"{method}-{gap}"
        RUNS[name] = Path(workdir, name)
        arguments = f"method={method},gap={gap},people={people},donors={donors}"
        config = f"--config=configs/quickstart.py:{arguments},steps={steps},seed={seed}"
        run(config, f"--workdir={RUNS[name]}", f"--data_dir={data_dir}", "--quiet", *small)

# %% [markdown]
# ## Behaviour: is the score that of a face or of a person?
#
# Genuine pictures alone. *Leak AUC*: the training's donors against new people; *familiarity AUC*:
# new people against those who were genuine in training. No leak is 0.5. Intervals are over people,
# and with ten donors they are wide.

# %%
first, *others = RUNS.values()
LOOK = [f"--checkpoint={first}", f"--against={','.join(map(str, others))}"]
LOOK += [f"--data_dir={data_dir}", "--out=leakage", "--quiet"]
LOOK += ["--bootstrap=20"] if SMOKE else []
run("analyze", "leak", *LOOK)


def tell(measurement, metrics):
    """Shows a measurement's numbers as a table, and its figures."""
    stored = json.loads(Path("leakage/results.json").read_text())["measurements"][measurement]
    lines = ["| detector | data | metric | value | 95 % interval |", "|---|---|---|---|---|"]
    for row in stored["results"]:
        if row["metric"] in metrics and row["value"] is not None:
            interval = f"{row['lo']:.3f} to {row['hi']:.3f}" if row["lo"] is not None else "-"
            told = (row["detector"], row["data"], row["metric"], f"{row['value']:.3f}", interval)
            lines.append(f"| {' | '.join(told)} |")
    display(Markdown("\n".join(lines)))
    for figure in stored["figures"]:
        display(Image(str(Path("leakage", figure["file"]))))


tell("leak", ("leak_auc", "familiarity_auc", "video_auc"))

# %% [markdown]
# ## Content: can a linear probe read the person off the features?
#
# Beside it stand grey pixels and an untrained network: only what lies above both was learned. Of
# every drawn person there is one clip, whose beginning is fitted and whose end is tested:
# background and light give the person away, so expect all of them near 1 here. With several clips
# or photographs of a person (`photo_swaps`, FaceForensics++) the probe tells more. Below it,
# whether the probe takes a fake for its target or for its donor.

# %%
TEST = [f"--data=practice_faces/donor_p{people}_d{donors}:test"]
run("analyze", "probe", *LOOK, *TEST)
tell("probe", ("top1", "top5", "top1_target", "top1_donor"))

# %% [markdown]
# ## A picture: t-SNE of the last features
#
# Left by person, right by label. Crosses are fakes. Islands of one colour are people.

# %%
run("analyze", "embedding", *LOOK, *TEST, "--people=6" if SMOKE else "--people=12")
tell("embedding", ("silhouette_identity", "silhouette_label"))
