"""Two panels over the steps: losses of both programs; how far they are apart, logarithmic, and how
far they may be."""
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 720, 240, 64, 16, 40, 44
TEXT = 'font-family="sans-serif" font-size="12"'


class Panel:
    """Axes from x 0 to `steps` and y low to high, `top` pixels down."""

    def __init__(self, title, top, steps, low, high, log=False):
        self.top, self.steps, self.low, self.high, self.log = top, steps, low, high, log
        self.parts = [f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
                      f'stroke="#999"/>', self.text(LEFT, top - 8, title)]
        for y in self.ticks():
            at = self.y(y)
            label = f"1e{round(math.log10(y))}" if log else f"{y:g}"
            self.parts.append(f'<path d="M{LEFT} {at:.1f}h{WIDTH}" stroke="#ddd"/>'
                              + self.text(LEFT - 6, at + 4, label, "end"))
        for x in range(0, steps + 1, max(1, steps // 6)):
            self.parts.append(self.text(self.x(x), top + HEIGHT + 15, x, "middle"))

    @staticmethod
    def text(x, y, what, anchor="start", fill="#222"):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" {TEXT}>{what}</text>'

    def ticks(self):
        if self.log:
            return [10.0 ** e for e in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]
        return [y for y in range(math.ceil(self.low), math.floor(self.high) + 1)]

    def x(self, step):
        return LEFT + WIDTH * step / self.steps

    def y(self, value):
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        return self.top + HEIGHT * (high - value) / (high - low)

    def line(self, values, colour, name, width=1.2):
        points = " ".join(f"{self.x(i + 1):.1f},{self.y(v):.1f}" for i, v in enumerate(values))
        row = sum(p.startswith("<polyline") for p in self.parts)
        self.parts += [f'<polyline points="{points}" fill="none" stroke="{colour}" '
                       f'stroke-width="{width}"/>',
                       self.text(LEFT + WIDTH - 8, self.top + 18 + 15 * row, name, "end", colour)]


def plot(path, title, losses, gaps):
    """losses, gaps: {name: (values a step, colour)}, drawn in this order."""
    every = [v for values, _ in gaps.values() for v in values if v > 0]
    low, high = (10.0 ** f(math.log10(g(every))) for f, g in ((math.floor, min), (math.ceil, max)))
    steps = len(next(iter(losses.values()))[0])
    most = max(max(values) for values, _ in losses.values())
    panels = (Panel(f"{title}: loss in nats over steps", TOP, steps, 0, 1.05 * most),
              Panel("difference of the losses in nats", TOP + HEIGHT + GAP, steps, low, high, log=True))
    for panel, lines in zip(panels, (losses, gaps)):
        for name, (values, colour) in lines.items():
            panel.line(values, colour, name, 3 if colour.startswith("#b") else 1.2)
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} '
                f'{TOP + 2 * HEIGHT + GAP + 26}">\n<rect width="100%" height="100%" fill="#fff"/>\n')
        f.write("\n".join(part for panel in panels for part in panel.parts) + "\n</svg>\n")
