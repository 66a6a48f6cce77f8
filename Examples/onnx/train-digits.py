"""Trains a small CNN on upright digits in PyTorch, and exports it: a network that knows no turned digit.

usage: train-digits.py MNIST_FOLDER OUT.onnx [WIDTH]   (needs torch, numpy, onnx, onnxscript)
"""

import gzip
import os
import struct
import sys

import numpy as np
import torch
from torch import nn


def idx(path):
    """An IDX file, plain or gzipped."""
    if not os.path.exists(path):
        path += ".gz"
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        data = file.read()
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


folder, out = sys.argv[1:3]
width = int(sys.argv[3]) if len(sys.argv) > 3 else 32
images = torch.tensor(idx(f"{folder}/train-images-idx3-ubyte")).float()[:, None] / 255
labels = torch.tensor(idx(f"{folder}/train-labels-idx1-ubyte")).long()
torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(2 * width * 49, 4 * width), nn.ReLU(), nn.Dropout(0.25),
    nn.Linear(4 * width, 10),
)
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
# The last 10,000 are for validation, and choose nothing here.
for epoch in range(3):
    network.train()
    for rows in torch.randperm(50_000).split(128):
        loss = nn.functional.cross_entropy(network(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        wrong = sum(
            int((network(x).argmax(1) != y).sum())
            for x, y in zip(images[50_000:].split(1000), labels[50_000:].split(1000))
        )
    print(f"epoch {epoch + 1}, validation error {wrong / 100:.2f} %")
torch.onnx.export(
    network, (images[:2],), out, input_names=["images"], output_names=["scores"],
    dynamic_axes={"images": {0: "batch"}, "scores": {0: "batch"}}, dynamo=False,
)
