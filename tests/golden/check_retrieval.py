"""Recalls of the pictures and captions of tests/cli/eval.sh by open_clip's features, for the golden
model e2e.   usage: python3 tests/golden/check_retrieval.py   (from the project's root)
"""
import open_clip
import torch
from PIL import Image

HERE = "tests/golden/models/e2e"
PICTURES = ["drawing.png", "photo.jpg", "picture.webp"]
CAPTIONS = [("a cat", 0), ("a photo of the number 42.", 1), ("waves", 1), ("waves", 2)]

model, _, preprocess = open_clip.create_model_and_transforms("local-dir:" + HERE)
model.eval()
tokenize = open_clip.get_tokenizer("local-dir:" + HERE)
with torch.no_grad():
    images = model.encode_image(torch.stack([preprocess(Image.open(f"{HERE}/{p}")) for p in PICTURES]), normalize=True)
    texts = model.encode_text(tokenize([c for c, _ in CAPTIONS]), normalize=True)
right = torch.tensor([[owner == i for _, owner in CAPTIONS] for i in range(len(PICTURES))])
# A caption that another picture has in the same words: for torch.topk, which CLIP_benchmark asks, a tie
# of which either may come first.
words = torch.tensor([[text in [c for c, o in CAPTIONS if o == i] for text, _ in CAPTIONS] for i in range(len(PICTURES))])


def recall(scores, right, same):
    """A row's best right one against the wrong ones; a tie is no success, but with the same words."""
    best = torch.where(right, scores, -torch.inf).max(1, keepdim=True).values
    rank = ((scores >= best) & ~same).sum(1)
    return [f"{(rank < k).float().mean():.6f}" for k in (1, 5, 10)]


scores = images @ texts.T
print(scores)
print("image_to_text", recall(scores, right, words), "text_to_image", recall(scores.T, right.T, right.T))
