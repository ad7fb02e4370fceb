# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Your own pictures
#
# From a folder of pictures to Table 1. A folder needs a `captions.jsonl` with a line for each
# picture. Set `PICTURES` to yours; without it this notebook draws one of handwritten digits.

# %%
import json
import os
import subprocess
import sys
from pathlib import Path

if not Path("experiments").is_dir():  # a notebook starts in its own folder
    os.chdir("..")
sys.path.insert(0, os.getcwd())
SCALE, STORE = os.environ.get("SCALE", "small"), os.environ.get("STORE", "store")
PICTURES = Path(os.environ.get("PICTURES", f"{STORE}-pictures"))

# %%
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

if not (PICTURES / "captions.jsonl").exists():
    PICTURES.mkdir(parents=True, exist_ok=True)
    lines = []
    for i, (image, digit) in enumerate(zip(*load_digits(return_X_y=True), strict=True)):
        pixels = np.kron(image.reshape(8, 8) * 15.9, np.ones((2, 2))).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(PICTURES / f"{i:04d}.png")
        caption, label = f"the digit {WORDS[digit]}", int(digit)
        lines.append(json.dumps({"file": f"{i:04d}.png", "caption": caption, "label": label}))
    (PICTURES / "captions.jsonl").write_text("\n".join(lines) + "\n")
print((PICTURES / "captions.jsonl").read_text()[:220])

# %% [markdown]
# A `Folder` is a source. Its `name` says what the data are and is part of every key, so pictures
# that change want another name; where they lie is part of none. `image` is the side that they are
# cut to. The scale gives the rest: how large the networks are, and how long they train. A `label`
# on each line lets a classifier judge whether a sample shows what its prompt names.

# %%
from datamodules.sources.folder import Folder
from datamodules.sources.source import Split
from experiments.lab import Lab

source = Folder("my-pictures", str(PICTURES), image=16)
{split.name: source.expected(split) for split in Split}

# %%
lab = Lab(SCALE, {"data.source": source}, store=STORE, train=True)
lab.captions(4)

# %% [markdown]
# One expert is enough for a first look, and says soon whether the pictures are read as they
# should be.

# %%
import matplotlib.pyplot as plt

pictures = lab.draw(lab.alone(lab.expert(0)), lab.captions(4))
for i, picture in enumerate(pictures):
    plt.subplot(1, 4, i + 1)
    plt.imshow(picture.transpose(1, 2, 0).clip(-1, 1) / 2 + 0.5)
    plt.axis("off")
plt.show()

# %% [markdown]
# Table 1 is a command. It makes what is missing, which the lab above has begun, and writes csv,
# md and json. `make table1 ARGS='…'` is the same.

# %%
RESULTS = Path(f"{STORE}-results")
command = [
    *(sys.executable, "-m", "experiments.hddm.table1", "--scale", SCALE, "--seeds", "1"),
    *("--source", "datamodules.sources.folder.Folder", "--scale.data.source.name", source.name),
    *("--scale.data.source.root", str(PICTURES), "--scale.data.source.image", "16"),
    *("--store", STORE, "--results", str(RESULTS)),
]
done = subprocess.run(command, capture_output=True, text=True)
print(done.stdout[-3000:] if done.returncode == 0 else done.stderr[-1000:])
assert done.returncode == 0

# %% [markdown]
# Dials were turned, so the table lies in a folder of its own beside those of the scale.

# %%
import pandas as pd

(written,) = RESULTS.glob("*/table1.csv")
table = pd.read_csv(written)
table[[c for c in table.columns if not c.endswith(("low", "high", "difference", "half-width"))]]
