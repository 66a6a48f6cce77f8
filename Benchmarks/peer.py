"""Times the peer, equiadapt on PyTorch (CPU), one run at a time, on demand.

Reads commands from standard input, answers each with a line of JSON: {"seconds": s}, {"error": text}.
  step C8 1          one training step, batch 128; 1: backbone in channels_last
  predict C8 128 0   inference of a batch
  rotate 0 1         grid_sample of 128 images 224 x 224 x 3; the second number: with affine_grid
  class-pose 1       one training step of a model that learns from pairs (also operators, transport); 1: channels_last
  memory             the peak resident memory of this process, in bytes, as "seconds"
Needs torch, kornia, omegaconf, e2cnn, and equiadapt without its dependencies.
"""
import json
import os
import resource
import sys
import time

import torch
import torch.nn as nn
from torch.nn import functional

import peer_latent

torch.set_num_threads(int(os.environ.get("PEER_THREADS", "2")))
torch.manual_seed(0)


def canonicalizer(order):
    from equiadapt.images.canonicalization.discrete_group import GroupEquivariantImageCanonicalization
    from equiadapt.images.canonicalization_networks import CustomEquivariantNetwork
    from omegaconf import OmegaConf

    shape = (1, 28, 28)
    network = CustomEquivariantNetwork(shape, 16, 5, "rotation", order, 3, device="cpu")
    # equiadapt 0.1.2 leaves these unset for this network.
    network.group_type, network.num_rotations, network.num_group = "rotation", order, order
    settings = OmegaConf.create({"beta": 1.0, "input_crop_ratio": 1.0, "resize_shape": 28})
    return GroupEquivariantImageCanonicalization(network, settings, shape)


def small_cnn():
    layers = []
    for inputs, outputs, pools in [(1, 32, 0), (32, 32, 1), (32, 64, 0), (64, 64, 1), (64, 128, 0)]:
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pools else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


class Model:
    def __init__(self, order, channels_last):
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.canonicalize = canonicalizer(order)
        self.backbone = small_cnn().to(memory_format=self.format)
        self.optimizer = torch.optim.AdamW([*self.canonicalize.parameters(), *self.backbone.parameters()], lr=1e-3)
        self.images, self.labels = torch.rand(128, 1, 28, 28), torch.randint(0, 10, (128,))

    def forward(self, images):
        return self.backbone(self.canonicalize(images).contiguous(memory_format=self.format))

    def train(self, on):
        self.canonicalize.train(on), self.backbone.train(on)

    def step(self):
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.forward(self.images), self.labels)
        (loss + self.canonicalize.get_prior_regularization_loss()).backward()
        self.optimizer.step()


models, rotations = {}, {}


def work(command, *arguments):
    """The function to time."""
    if command in ("step", "predict"):
        key = (int(arguments[0][1:]), arguments[-1] == "1")
        model = models[key] = models.get(key) or Model(*key)
        model.train(command == "step")
        if command == "step":
            return model.step
        images = model.images[: int(arguments[1])]

        def predict():
            with torch.inference_mode():
                model.forward(images)

        return predict
    if command == "rotate":
        if "maps" not in rotations:
            angles = torch.rand(128) * 6.2831853
            rows = torch.stack([angles.cos(), -angles.sin(), 0 * angles, angles.sin(), angles.cos(), 0 * angles], 1)
            rotations["maps"], rotations["0"] = rows.view(128, 2, 3), torch.rand(128, 3, 224, 224)
            rotations["1"] = rotations["0"].contiguous(memory_format=torch.channels_last)
            rotations["grid"] = functional.affine_grid(rotations["maps"], [128, 3, 224, 224], align_corners=False)
        images = rotations[arguments[0]]

        def rotate():
            with torch.inference_mode():
                grid = rotations["grid"]
                if arguments[1] == "1":
                    grid = functional.affine_grid(rotations["maps"], images.shape, align_corners=False)
                functional.grid_sample(images, grid, align_corners=False)

        return rotate
    if command == "function":
        rotations["numbers"] = rotations.get("numbers", torch.rand(1 << 20) * 3.9 + 0.1)
        own = {"exp": torch.exp, "log": torch.log, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
        function = own.get(arguments[0]) or getattr(functional, arguments[0])

        def apply():
            with torch.inference_mode():
                function(rotations["numbers"])

        return apply
    if command in peer_latent.steps:
        key = (command, arguments[0])
        models[key] = models.get(key) or peer_latent.steps[command](arguments[0] == "1")
        return models[key]
    raise ValueError(f"unknown command {command}")


for line in sys.stdin:
    try:
        if line.strip() == "memory":
            answer = {"seconds": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0}
        else:
            body = work(*line.split())
            begin = time.perf_counter()
            body()
            answer = {"seconds": time.perf_counter() - begin}
    except Exception as error:  # the benchmark reports it and goes on without the peer
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
