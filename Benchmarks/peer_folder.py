"""The peer's folder job: read PNGs of 28 x 28, canonicalize by C8, predict, write the canonical images.

usage: peer_folder.py IN OUT. The model has random weights: only time and memory are of interest.
"""
import os
import sys

sys.stdin = open(os.devnull)  # importing peer reads no commands
import torch
from torchvision.io import ImageReadMode, read_image, write_png

import peer

source, target = sys.argv[1:3]
os.makedirs(target, exist_ok=True)
model = peer.Model(8, False)
model.train(False)
names = sorted(name for name in os.listdir(source) if name.endswith(".png"))
with torch.inference_mode():
    for start in range(0, len(names), 128):
        part = names[start : start + 128]
        images = torch.stack([read_image(os.path.join(source, n), ImageReadMode.GRAY) for n in part]) / 255
        forms = model.canonicalize(images)
        classes = model.backbone(forms).softmax(-1).argmax(-1).tolist()
        for name, form in zip(part, (forms.clamp(0, 1) * 255).round().byte()):
            write_png(form, os.path.join(target, name))
        for name, label in zip(part, classes):
            print(f"{name},{label}")
