"""The models that learn from pairs, in PyTorch: the same networks, losses and optimizers as canon's.

Imported by peer.py; each function gives one training step to time. `last`: images in channels_last.
"""
import math

import torch
import torch.nn as nn
from torch.nn import functional


def pose_cnn(outputs, channels=1, size=32, width=32):
    layers, inputs = [], channels
    for stride, factor in [(1, 1), (2, 1), (2, 2), (2, 2)]:
        layers += [nn.Conv2d(inputs, factor * width, 3, stride, 1, bias=False), nn.BatchNorm2d(factor * width), nn.ReLU()]
        inputs = factor * width
    side = math.ceil(size / 8)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(side * side * inputs, 128), nn.ReLU(), nn.Linear(128, outputs))


def class_pose(last):
    """Sphere of 8 dimensions and SO(2), projection head, InfoNCE at 0.8; 32 pairs of 32 x 32."""
    shape = torch.channels_last if last else torch.contiguous_format
    network, norm = pose_cnn(10).to(memory_format=shape), nn.BatchNorm1d(8)
    optimizer = torch.optim.AdamW([*network.parameters(), *norm.parameters()], lr=1e-3)
    both = torch.rand(64, 1, 32, 32).contiguous(memory_format=shape)
    angle = torch.rand(32) * 2 * math.pi
    cosine, sine = angle.cos()[:, None], angle.sin()[:, None]

    def step():
        optimizer.zero_grad()
        output = network(both)
        orbit, pose = functional.normalize(norm(output[:, :8])), functional.normalize(output[:, 8:])
        x, y = pose[:32], pose[32:]
        moved = torch.cat([cosine * x[:, :1] - sine * x[:, 1:], sine * x[:, :1] + cosine * x[:, 1:]], 1)
        contrast = functional.cross_entropy(orbit[:32] @ orbit[32:].T / 0.8, torch.arange(32))
        ((moved - y).square().sum(1).mean() + contrast).backward()
        optimizer.step()

    return step


def operators(last):
    """A linear autoencoder of 800 numbers under a shift of period 10; 32 pairs of 28 x 28."""
    encoder, decoder = nn.Linear(784, 800, bias=False), nn.Linear(800, 784, bias=False)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    x, y, steps = torch.rand(32, 784), torch.rand(32, 784), torch.randint(0, 10, (32,))
    places = (torch.arange(10)[None] - steps[:, None]) % 10

    def step():
        optimizer.zero_grad()
        code = encoder(x)
        moved = code.view(32, 10, 80).gather(1, places[:, :, None].expand(-1, -1, 80)).view(32, 800)
        pictures = decoder(torch.cat([code, moved]))
        (functional.mse_loss(pictures[:32], x) + functional.mse_loss(pictures[32:], y)).backward()
        optimizer.step()

    return step


def transport(last):
    """A latent canonicalizer of 200 numbers with a classifier of twice 256 units; 128 pairs of 28 x 28."""
    encoder = nn.Linear(784, 200, bias=False)
    classifier = nn.Sequential(nn.Linear(200, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 10))
    optimizer = torch.optim.Adam([*encoder.parameters(), *classifier.parameters()], lr=1e-3)
    both, labels = torch.rand(256, 784), torch.randint(0, 10, (128,)).repeat(2)
    places = (torch.arange(10)[None] + torch.randint(0, 3, (256,))[:, None]) % 10

    def step():
        optimizer.zero_grad()
        forms = encoder(both).view(256, 10, 20).gather(1, places[:, :, None].expand(-1, -1, 20)).view(256, 200)
        apart = functional.mse_loss(forms[:128], forms[128:])
        (functional.cross_entropy(classifier(forms), labels) + 10 * apart).backward()
        optimizer.step()

    return step


steps = {"class-pose": class_pose, "operators": operators, "transport": transport}
