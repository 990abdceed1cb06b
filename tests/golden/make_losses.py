"""Losses and their gradients in tests/golden/losses/golden.safetensors: of open_clip's ClipLoss
and SigLipLoss and of torch's cross_entropy (label smoothing, targets that are shares, rows of
fewer logits), in float64.  A batch of B pairs is B/img, B/txt [B,E], B/caption and B/logit (scale,
bias); of each objective B/LOSS/EQUAL/SMOOTHING/ come loss, dlogit, dimg, dtxt, the last two as
float32 (of the largest batch every 50th row).

usage: python3 tests/golden/make_losses.py      (from the project's root; requirements.txt)
"""
import os

import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss
from safetensors.torch import save_file

FOLDER = "tests/golden/losses"
E = 5
# Batches, with what the logits are made by; 1100 are more than one block of rows.
LOGITS = {1: (14.3, -10.0), 2: (100.0, -10.0), 7: (3.0, -1.5), 33: (50.0, -12.0), 64: (10.0, 0.5),
          1100: (20.0, -10.0)}
OBJECTIVES = [(loss, equal, smoothing) for loss in ("softmax", "sigmoid")
              for equal in ("mask", "negatives", "positives") for smoothing in (0.0, 0.1)
              if loss == "softmax" or smoothing == 0]


class Positives(SigLipLoss):
    """Labels of 1 for all pairs of equal captions."""
    def __init__(self, same):
        super().__init__()
        self.same = same

    def get_ground_truth(self, device, dtype, num_logits, negative_only=False):
        return 2 * self.same.to(dtype) - 1


def softmax(img, txt, scale, bias, same, own, equal, smoothing):
    if equal == "negatives" and smoothing == 0:
        return ClipLoss()(img, txt, scale, bias)
    loss = 0
    logits = scale * img @ txt.T + bias
    target = same.double() / same.sum(1, keepdim=True) if equal == "positives" else own.double()
    for side in (logits, logits.T):
        for row, of_row, keep in zip(side, target, own | ~same if equal == "mask" else own | True):
            loss = loss + F.cross_entropy(row[keep], of_row[keep], label_smoothing=smoothing)
    return loss / (2 * len(img))


def sigmoid(img, txt, scale, bias, same, own, equal, _):
    if equal == "negatives":
        return SigLipLoss()(img, txt, scale, bias)
    if equal == "positives":
        return Positives(same)(img, txt, scale, bias)
    labels = SigLipLoss().get_ground_truth(img.device, img.dtype, len(img))
    logits = SigLipLoss().get_logits(img, txt, scale, bias)
    return -F.logsigmoid(labels * logits)[own | ~same].sum() / len(img)


def main():
    torch.manual_seed(7)
    out = {}
    for B, logit in LOGITS.items():
        img, txt = (F.normalize(torch.randn(B, E)) for _ in range(2))
        txt = F.normalize(txt + img)
        caption = torch.randint(0, max(1, 2 * B // 3), (B,), dtype=torch.int32)
        logit = torch.tensor(logit, dtype=torch.float32)
        out |= {f"{B}/img": img, f"{B}/txt": txt, f"{B}/caption": caption, f"{B}/logit": logit}
        same = caption[:, None] == caption[None, :]
        own = torch.eye(B, dtype=torch.bool)
        for objective in OBJECTIVES:
            x, y, z = (t.double().requires_grad_() for t in (img, txt, logit))
            f = softmax if objective[0] == "softmax" else sigmoid
            loss = f(x, y, z[0], z[1], same, own, *objective[1:])
            loss.backward()
            name = f"{B}/{objective[0]}/{objective[1]}/{objective[2]:g}/"
            rows = slice(None, None, 50 if B > 64 else 1)
            out |= {name + "loss": loss.detach().reshape(1), name + "dlogit": z.grad,
                    name + "dimg": x.grad[rows].float().contiguous(),
                    name + "dtxt": y.grad[rows].float().contiguous()}
    os.makedirs(FOLDER, exist_ok=True)
    save_file(out, FOLDER + "/golden.safetensors")


if __name__ == "__main__":
    main()
