"""Losses of a student from a teacher in tests/golden/distill/golden.safetensors: open_clip's
DistillClipLoss (its second part) and the mean distance of directions, in float64.  A batch of B
pairs is B/img, B/txt and B/scale (the student's, the teacher's); of each kind B/KIND/ come the
teacher's timg and ttxt (of 7 numbers for logits) and loss, dscale, dimg, dtxt (of the largest batch
every 50th row).

usage: python3 tests/golden/make_distill.py      (from the project's root; requirements.txt)
"""
import os

import torch
import torch.nn.functional as F
from open_clip.loss import DistillClipLoss
from safetensors.torch import save_file

FOLDER = "tests/golden/distill"
E = 5
SCALES = {1: (14.3, 10.0), 7: (3.0, 100.0), 64: (50.0, 20.0), 600: (20.0, 40.0)}


def by_logits(img, txt, scale, timg, ttxt, tscale):
    return DistillClipLoss()(img, txt, scale, timg, ttxt, tscale)[1]


def by_embeddings(img, txt, scale, timg, ttxt, tscale):
    return (2 - (img * timg).sum(1) - (txt * ttxt).sum(1)).mean() / 2 + 0 * scale


def main():
    torch.manual_seed(11)
    out = {}
    for B, scale in SCALES.items():
        img, txt = (F.normalize(torch.randn(B, E)) for _ in range(2))
        scale = torch.tensor(scale, dtype=torch.float32)
        out |= {f"{B}/img": img, f"{B}/txt": txt, f"{B}/scale": scale}
        for name, f, width in ("logits", by_logits, 7), ("embeddings", by_embeddings, E):
            timg, ttxt = (F.normalize(torch.randn(B, width)) for _ in range(2))
            x, y, z = (t.double().requires_grad_() for t in (img, txt, scale[0]))
            loss = f(x, y, z, timg.double(), ttxt.double(), scale[1].double())
            loss.backward()
            rows = slice(None, None, 50 if B > 64 else 1)
            out |= {f"{B}/{name}/timg": timg, f"{B}/{name}/ttxt": ttxt,
                    f"{B}/{name}/loss": loss.detach().reshape(1),
                    f"{B}/{name}/dscale": z.grad.reshape(1),
                    f"{B}/{name}/dimg": x.grad[rows].float().contiguous(),
                    f"{B}/{name}/dtxt": y.grad[rows].float().contiguous()}
    os.makedirs(FOLDER, exist_ok=True)
    save_file(out, FOLDER + "/golden.safetensors")


if __name__ == "__main__":
    main()
