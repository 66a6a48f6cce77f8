"""Trains a U-Net in PyTorch to mark the upper half of upright digits, and exports it: a network of parts that knows no turned digit.

usage: train-masks.py MNIST_FOLDER OUT.onnx TEST.safetensors   (needs torch, numpy, onnx, onnxscript)

TEST.safetensors gets 10,000 upright test digits and their masks, as `canon evaluate` takes them.
"""
import gzip
import json
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
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def upper(images):
    """The ink above the ink's center."""
    rows = torch.arange(images.shape[2])[:, None].float()
    center = (images * rows).sum((2, 3), keepdim=True) / images.sum((2, 3), keepdim=True)
    return ((images > 0.3) & (rows < center)).float()


def block(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.first, self.second, self.third = block(1, width), block(width, 2 * width), block(2 * width, 4 * width)
        self.fourth, self.fifth = block(6 * width, 2 * width), block(3 * width, width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        a = self.first(x)
        b = self.second(nn.functional.max_pool2d(a, 2))
        c = self.third(nn.functional.max_pool2d(b, 2))
        b = self.fourth(torch.cat([b, nn.functional.interpolate(c, scale_factor=2)], 1))
        a = self.fifth(torch.cat([a, nn.functional.interpolate(b, scale_factor=2)], 1))
        return torch.sigmoid(self.last(a))


folder, out, test = sys.argv[1:4]
images = torch.tensor(idx(f"{folder}/train-images-idx3-ubyte")).float()[:, None] / 255
masks = upper(images)
torch.manual_seed(0)
network = UNet()
optimizer = torch.optim.Adam(network.parameters(), 2e-3)
for epoch in range(2):
    for rows in torch.randperm(20_000).split(64):
        loss = nn.functional.binary_cross_entropy(network(images[rows]), masks[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
network.eval()
with torch.no_grad():
    found = torch.cat([network(x) for x in images[50_000:52_000].split(500)]) > 0.5
    true = masks[50_000:52_000] > 0.5
    print(f"validation: intersection over union {float((found & true).sum() / (found | true).sum()):.4f}")
torch.onnx.export(
    network, (images[:2],), out, input_names=["images"], output_names=["mask"],
    dynamic_axes={"images": {0: "batch"}, "mask": {0: "batch"}}, dynamo=False,
)
digits = torch.tensor(idx(f"{folder}/t10k-images-idx3-ubyte")).float()[:, None] / 255
header, body = {}, b""
for name, pictures in (("inputs", digits), ("mask", upper(digits))):
    numbers = pictures.permute(0, 2, 3, 1).contiguous().numpy().astype("<f4")
    place = [len(body), len(body) + numbers.nbytes]
    header[name] = {"dtype": "F32", "shape": list(numbers.shape), "data_offsets": place}
    body += numbers.tobytes()
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(test, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + body)
