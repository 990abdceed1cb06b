"""Goldens of the linear probe in tests/golden/probe/, by scikit-learn's LogisticRegression on the
UCI digits that it carries (1,797 pictures of 8 x 8, values 0 to 16; CC BY 4.0):

  golden.safetensors  x [1797,64], label [1797]; the first 1,000 are learned from.  ten.c and two.c:
                      values of C, for all ten classes and for even against odd; for each of them
                      ten.objective, two.objective: what is minimised, and ten.predicted,
                      two.predicted: the classes of the other 797.

usage: python3 tests/golden/make_probe.py      (from the project's root; requirements.txt)
"""
import numpy as np
import sklearn
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

HERE = "tests/golden/probe/"
LEARNED = 1000
CS = [1e-4, 0.01, 0.316, 100.0]


def objective(fit, x, y, C):
    """Mean loss in nats, and the penalty."""
    p = fit.predict_proba(x)[np.arange(len(y)), y]
    return -np.log(p).mean() + (fit.coef_ ** 2).sum() / (2 * C * len(y))


def minimum(x, y, C):
    """The objective where it is least: in float64, until nothing is gained."""
    fit = LogisticRegression(C=C, max_iter=100_000, tol=1e-7).fit(x, y)
    return objective(fit, x, y, C)


def solve(x, y):
    predicted, least, minima = [], [], []
    for C in CS:
        fit = LogisticRegression(C=C, max_iter=1000).fit(x[:LEARNED], y[:LEARNED])
        predicted.append(fit.predict(x[LEARNED:]))
        exact = x[:LEARNED].astype(np.float64)
        least.append(objective(fit, exact, y[:LEARNED], C))
        minima.append(minimum(exact, y[:LEARNED], C))
    return np.array(predicted, np.int32), np.array(least, np.float32), np.array(minima, np.float32)


x, y = load_digits(return_X_y=True)
x = x.astype(np.float32)
ten, two = solve(x, y), solve(x, y % 2)
save_file({"x": x.astype(np.uint8), "label": y.astype(np.int32), "c": np.array(CS, np.float32),
           "ten.predicted": ten[0], "ten.objective": ten[1],
           "ten.minimum": ten[2], "two.minimum": two[2],
           "two.predicted": two[0], "two.objective": two[1]}, HERE + "golden.safetensors")
with open(HERE + "MANIFEST", "w") as f:
    f.write(f"python3 tests/golden/make_probe.py, scikit-learn {sklearn.__version__}, "
            f"numpy {np.__version__}; the digits are UCI's, CC BY 4.0\n")
for name, labels, (p, o, _) in (("ten", y, ten), ("two", y % 2, two)):
    print(name, [f"{(row == labels[LEARNED:]).mean():.4f}" for row in p], o)
