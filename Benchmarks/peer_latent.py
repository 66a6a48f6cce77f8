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


def variational(last, sections=0, elements=10):
    """A variational autoencoder of 10 numbers, 64 pictures of 64 x 64; with sections CFASL's codebook and all its terms."""
    shape = torch.channels_last if last else torch.contiguous_format
    widths, dimension = [1, 32, 32, 64, 64], 10
    encoder, inputs = [], 1
    for width in widths[1:]:
        encoder += [nn.Conv2d(inputs, width, 4, 2, 1), nn.ReLU()]
        inputs = width
    encoder = nn.Sequential(*encoder, nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 2 * dimension))
    decoder = [nn.Linear(dimension, 128), nn.ReLU(), nn.Linear(128, 1024), nn.ReLU(), nn.Unflatten(1, (64, 4, 4))]
    for a, b in zip(widths[:0:-1], widths[-2::-1]):
        decoder += [nn.ConvTranspose2d(a, b, 4, 2, 1), nn.ReLU()]
    decoder = nn.Sequential(*decoder[:-1])
    encoder, decoder = encoder.to(memory_format=shape), decoder.to(memory_format=shape)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    if sections:
        codebook = nn.Parameter(0.1 * torch.randn(sections, elements, dimension, dimension))
        attention = nn.Linear(4 * dimension, sections * (2 + elements))
        parameters += [codebook, *attention.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    x = torch.rand(64, 1, 64, 64).contiguous(memory_format=shape)

    def reconstruction(raw, target):
        return functional.binary_cross_entropy_with_logits(raw, target, reduction="sum") / len(target)

    def symmetry(mean, deviation, z):
        one, two, z1, z2 = slice(0, 32), slice(32, 64), z[:32], z[32:]
        seen = torch.cat([mean[one], deviation[one], mean[two], deviation[two]], 1)
        output = attention(seen).view(32, sections, 2 + elements)
        logits, weights = output[:, :, :2], output[:, :, 2:].softmax(2)
        switches = functional.gumbel_softmax(logits, tau=0.5, hard=True)[:, :, 1]
        algebra = torch.einsum("nse,seab,ns->nab", weights, codebook, switches)
        forward = (z1[:, None] @ torch.matrix_exp(algebra))[:, 0]
        back = (z2[:, None] @ torch.matrix_exp(-algebra))[:, 0]
        loss = functional.mse_loss(forward, z2) + functional.mse_loss(back, z1)
        changed = ((z1 - z2).abs() > 0.2).long()
        loss = loss + functional.cross_entropy(logits.reshape(-1, 2), changed.reshape(-1), reduction="sum") / 32
        exponentials = torch.matrix_exp(codebook.view(-1, dimension, dimension))
        moved = z[:, None] - (z @ exponentials.permute(1, 0, 2).reshape(dimension, -1)).view(64, -1, dimension)
        d = moved.view(64, sections, elements, dimension).permute(1, 2, 0, 3).reshape(sections, -1, dimension)
        u = functional.normalize(d, dim=2)
        some = u[:, torch.randint(0, u.shape[1], (64,))]
        loss = loss - ((some @ u.transpose(1, 2)).square() + 1e-9).log().mean()
        moments = u.transpose(1, 2) @ u / u.shape[1]
        loss = loss + (moments.sum(0).square().sum() - moments.square().sum()) / (sections * (sections - 1))
        squares = d.square()
        loss = loss + (squares.sum(2) - squares.amax(2)).square().mean()
        g = codebook.view(-1, dimension, dimension)
        products = (g.reshape(-1, dimension) @ g.permute(1, 0, 2).reshape(dimension, -1)).view(len(g), dimension, len(g), dimension)
        commutators = (products - products.permute(2, 1, 0, 3)).square().sum() / (len(g) * (len(g) - 1) * dimension**2)
        return loss + commutators, torch.cat([back, forward])

    def step():
        optimizer.zero_grad()
        mean, variance = encoder(x).chunk(2, 1)
        deviation = (variance / 2).exp()
        z = mean + deviation * torch.randn_like(mean)
        loss = (mean.square() + variance.exp() - variance - 1).sum() / 128
        if sections:
            terms, codes = symmetry(mean, deviation, z)
            drawn = decoder(torch.cat([z, codes]))
            loss = loss + terms + 0.2 * reconstruction(drawn[64:], x) + reconstruction(drawn[:64], x)
        else:
            loss = loss + reconstruction(decoder(z), x)
        loss.backward()
        optimizer.step()

    return step


def cfasl(last):
    """The same with 10 sections of 10 elements."""
    return variational(last, sections=10)


def algebra(last, nodes=6, width=16):
    """A small CNN under a Lie-algebra convolution of turns, six nodes: copies, the CNN, a mean by a learned kernel; 32 digits of 28 x 28."""
    shape = torch.channels_last if last else torch.contiguous_format

    def block(a, b):
        return [nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]

    network = nn.Sequential(
        *block(1, width), *block(width, width), nn.MaxPool2d(2), *block(width, 2 * width), *block(2 * width, 2 * width), nn.MaxPool2d(2),
        *block(2 * width, 4 * width), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10),
    ).to(memory_format=shape)
    kernel = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW([*network.parameters(), *kernel.parameters()], lr=1e-3)
    x, labels = torch.rand(32, 1, 28, 28), torch.randint(0, 10, (32,))
    place = (2 * (torch.arange(nodes) + 0.5) / nodes - 1)[:, None]
    angle = math.pi * place[:, 0]
    turns = torch.stack([angle.cos(), angle.sin(), 0 * angle, -angle.sin(), angle.cos(), 0 * angle], 1).view(-1, 2, 3)

    def step():
        optimizer.zero_grad()
        grid = functional.affine_grid(turns, (nodes, 1, 28, 28), align_corners=False).repeat(32, 1, 1, 1)
        copies = functional.grid_sample(x.repeat_interleave(nodes, 0), grid, align_corners=False)
        results = network(copies.contiguous(memory_format=shape)).view(32, nodes, 10)
        weights = kernel(place).view(1, nodes, 1).softmax(1)
        functional.cross_entropy((results * weights).sum(1), labels).backward()
        optimizer.step()

    return step


def relaxed(last):
    """A body's state in the frame of its place, a network of 2 x 64 units, turned back, and a residual of as many; 32 states."""

    def network():
        return nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))

    base, residual, scale = network(), network(), nn.Parameter(torch.tensor(0.1))
    optimizer = torch.optim.AdamW([*base.parameters(), *residual.parameters(), scale], lr=5e-3, weight_decay=0)
    x, change = torch.randn(32, 4), torch.randn(32, 4)

    def turned(vectors, cosine, sine):
        v = vectors.view(-1, 2, 2)
        return torch.stack([cosine * v[..., 0] - sine * v[..., 1], sine * v[..., 0] + cosine * v[..., 1]], 2).view(-1, 4)

    def step():
        optimizer.zero_grad()
        along = functional.normalize(x[:, :2])
        cosine, sine = along[:, :1], along[:, 1:]
        correction = scale * residual(x)
        told = base(turned(x, cosine, -sine)) + turned(correction, cosine, -sine)
        loss = functional.mse_loss(told, turned(change, cosine, -sine)) + 0.01 * correction.square().mean()
        loss.backward()
        optimizer.step()

    return step


steps = {"class-pose": class_pose, "operators": operators, "transport": transport, "variational": variational, "cfasl": cfasl,
         "algebra": algebra, "relaxed": relaxed}
