"""Losses of a student from a teacher in tests/golden/distill/golden.safetensors, in float64:
open_clip's DistillClipLoss (its second part), the same of classes' probabilities, the mean distance of
directions, and that behind linear maps of the student's (CLIP-KD's FD, arXiv:2307.12732, without bias).

A batch of B pairs is B/img, B/txt and B/scale (the student's, the teacher's); of WIDTH numbers the
teacher's are B/WIDTH/timg and B/WIDTH/ttxt.  B/classes is the student's text side of classes (the
teacher's: the first rows of its texts), B/maps the maps.  Of each kind B/KIND/ come loss, dscale, dimg
and dtxt (of the largest batch every 50th row) and dmaps.

usage: python3 tests/golden/make_distill.py      (from the project's root; requirements.txt)
"""
import os

import torch
import torch.nn.functional as F
from open_clip.loss import DistillClipLoss
from safetensors.torch import save_file

FOLDER = "tests/golden/distill"
E, TE, CLASSES = 3, 4, 6
SCALES = {7: (3.0, 100.0), 64: (50.0, 20.0), 1: (14.3, 10.0), 1100: (20.0, 40.0)}


def by_logits(img, txt, scale, maps, timg, ttxt, tscale):
    return DistillClipLoss()(img, txt, scale, timg, ttxt, tscale)[1]


def by_classes(img, txt, scale, maps, timg, ttxt, tscale):
    return F.cross_entropy(scale * img @ txt.T, (tscale * timg @ ttxt.T).softmax(1))


def by_embeddings(img, txt, scale, maps, timg, ttxt, tscale):
    return (2 - (img * timg).sum(1) - (txt * ttxt).sum(1)).mean() / 2


def by_features(img, txt, scale, maps, timg, ttxt, tscale):
    distance = sum(F.mse_loss(F.normalize(F.linear(x, w)), t, reduction="sum")
                   for x, w, t in ((img, maps[0], timg), (txt, maps[1], ttxt)))
    return distance / 4 / len(img)


KINDS = {"logits": (by_logits, TE), "classes": (by_classes, TE),
         "embeddings": (by_embeddings, E), "features": (by_features, TE)}


def main():
    torch.manual_seed(11)
    out = {}
    for B, scale in SCALES.items():
        img, txt, classes = (F.normalize(torch.randn(n, E)) for n in (B, B, CLASSES))
        scale, maps = torch.tensor(scale, dtype=torch.float32), torch.randn(2, TE, E)
        out |= {f"{B}/img": img, f"{B}/txt": txt, f"{B}/scale": scale, f"{B}/classes": classes,
                f"{B}/maps": maps}
        for width in E, TE:
            for side in "timg", "ttxt":
                out[f"{B}/{width}/{side}"] = F.normalize(torch.randn(max(B, CLASSES), width))
        for kind, (f, width) in KINDS.items():
            texts = classes if kind == "classes" else txt
            timg, ttxt = out[f"{B}/{width}/timg"][:B], out[f"{B}/{width}/ttxt"][:len(texts)]
            x, y, z, w = (t.double().requires_grad_() for t in (img, texts, scale[0], maps))
            loss = f(x, y, z, w, timg.double(), ttxt.double(), scale[1].double())
            grads = torch.autograd.grad(loss, (x, y, z, w), allow_unused=True, materialize_grads=True)
            rows = slice(None, None, 50 if B > 64 else 1)
            out |= {f"{B}/{kind}/loss": loss.detach().reshape(1),
                    f"{B}/{kind}/dscale": grads[2].reshape(1),
                    f"{B}/{kind}/dimg": grads[0][rows].float().contiguous(),
                    f"{B}/{kind}/dtxt": grads[1][rows].float().contiguous(),
                    f"{B}/{kind}/dmaps": grads[3].float().contiguous()}
    os.makedirs(FOLDER, exist_ok=True)
    save_file(out, FOLDER + "/golden.safetensors")


if __name__ == "__main__":
    main()
