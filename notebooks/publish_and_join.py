# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Publishing one expert and joining an ensemble
#
# Whoever has one expert for each cluster and a router has an ensemble, wherever the folders come
# from. Here you publish the expert of cluster 3, a friend the other seven and a router.

# %%
import os
import subprocess
import sys
from pathlib import Path

if not Path("experiments").is_dir():  # a notebook starts in its own folder
    os.chdir("..")
sys.path.insert(0, os.getcwd())
SCALE, STORE = os.environ.get("SCALE", "small"), os.environ.get("STORE", "store")
MINE, FRIENDS = Path(f"{STORE}-mine"), Path(f"{STORE}-friends")


def publish(out, *what):
    """Run the command; nothing is published over, so what is there stays."""
    command = [sys.executable, "-m", "experiments.publish", "--scale", SCALE, "--store", STORE]
    command += [*what, "--train", "true", "--licence", "CC-BY-4.0", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout or done.stderr)


publish(MINE, "--clusters", "3", "--objective", "ddpm")

# %% [markdown]
# A folder has weights as safetensors and a card. The card says what the expert predicts and on
# which schedule, whose cluster it is of which partition, the encoders of pictures and captions,
# and the licence.

# %%
print([path.name for path in sorted((MINE / "expert_3").iterdir())])
print((MINE / "expert_3" / "card.json").read_text()[:900])

# %%
publish(FRIENDS, "--clusters", *"0124567", "--router", "text-aware")

# %% [markdown]
# Cards are compared before any weights are read: partition and encoders must be the same, and
# each cluster must have one expert. Your expert predicts noise, the others velocity; that is no
# obstacle.

# %%
from modules.guard import LAST, Guard
from modules.selection import Top
from modules.weights.published import load_ensemble

ensemble, origin = load_ensemble([MINE, FRIENDS], Top(2), Guard(t_max=LAST))
print(origin.experts, "clusters of", origin.partition)
[f"{type(e.objective).__name__} on {type(e.schedule).__name__}" for e in ensemble.experts]

# %% [markdown]
# It draws what an ensemble of the store's own networks draws.

# %%
import numpy as np

from experiments.lab import Lab

lab = Lab(SCALE, store=STORE, train=True)
prompts = ["the digit three", "a handwritten eight"]
joined = lab.draw(ensemble, prompts)
own = lab.draw(lab.ensemble(Top(2), {3: "ddpm"}), prompts)
assert np.allclose(joined, own, atol=1e-5)
float(np.abs(joined - own).max())

# %% [markdown]
# One expert missing is said by name, before anything is drawn.

# %%
from modules.weights.checkpoint import CheckpointError

try:
    load_ensemble([FRIENDS], Top(2))
except CheckpointError as error:
    print(error)
