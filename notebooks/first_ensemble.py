# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A first ensemble in ten minutes
#
# Eight experts, each trained on one cluster of handwritten digits, become one model. What a table
# of the suite has trained is in the store already; the rest is trained here, on the processor.

# %%
import os
import sys
from pathlib import Path

if not Path("experiments").is_dir():  # a notebook starts in its own folder
    os.chdir("..")
sys.path.insert(0, os.getcwd())
SCALE, STORE = os.environ.get("SCALE", "small"), os.environ.get("STORE", "store")

# %%
import matplotlib.pyplot as plt
import numpy as np

from experiments.lab import Lab
from modules.selection import Full, Only, Top

lab = Lab(SCALE, store=STORE, train=True)
prompts = ["the digit zero", "the digit three", "a handwritten eight", "the digit nine"]

# %% [markdown]
# An ensemble is experts, a router that says whose cluster a noisy picture is from, and a
# selection that makes weights of its probabilities. An expert of weight zero is not asked.

# %%
ensemble = lab.ensemble(Top(2))
pictures = lab.draw(ensemble, prompts, guidance=2.0)
pictures.shape


# %%
def show(rows):
    """Lines of pictures [N, 1, H, W] in [-1, 1], each behind its name."""
    _, axes = plt.subplots(len(rows), len(prompts), figsize=(6, 1.6 * len(rows)), squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right")
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image[0], cmap="gray", vmin=-1, vmax=1)
            axis.set(xticks=[], yticks=[])
    for axis, prompt in zip(axes[0], prompts, strict=True):
        axis.set_title(prompt, fontsize=7)
    plt.show()


# %% [markdown]
# The same prompts and the same noise by other rules, by a router that reads no text, and by one
# expert alone. That expert has seen its own cluster and nothing else.

# %%
show(
    {
        "Top-2": pictures,
        "Full": lab.draw(lab.ensemble(Full()), prompts, guidance=2.0),
        "Top-2, text-free": lab.draw(
            lab.ensemble(Top(2), router="text-free"), prompts, guidance=2.0
        ),
        "expert 0": lab.draw(lab.ensemble(Only(0), router=None), prompts, guidance=2.0),
    }
)

# %% [markdown]
# Whom did the router ask, and when? Weights from noise (left, t = 1) to data, for one prompt.

# %%
weights = lab.routing(ensemble, prompts[:1], guidance=2.0)
heat = weights.pivot_table(index="expert", columns="t", values="w")[weights["t"].unique()]
plt.imshow(heat, aspect="auto", vmin=0, vmax=1)
plt.gca().set(xlabel="step", ylabel="expert", title=prompts[0])
plt.colorbar(label="weight")
plt.show()

# %% [markdown]
# Two of the experts may predict noise in the place of velocity: another objective, on another
# schedule. They are converted as they are asked, and need no other training.

# %%
mixed = lab.ensemble(Top(2), {0: "ddpm", 3: "ddpm"})
show({"8FM": pictures, "2DDPM:6FM": lab.draw(mixed, prompts, guidance=2.0)})
print([f"{type(e.objective).__name__} on {type(e.schedule).__name__}" for e in mixed.experts])

# %% [markdown]
# What is drawn for a table's captions is the table's own sample, to the bit.

# %%
n = lab.scale.draw.samples
assert np.array_equal(lab.draw(ensemble, lab.captions(n))[:8], lab.samples(Top(2))[:8])
