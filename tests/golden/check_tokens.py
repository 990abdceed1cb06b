"""Compares `clipc tokenize --jsonl` with openai-clip (and the real ftfy) on texts that lie on a
Debian machine: documentation and translations in many languages, Python's own tests, every
character of Unicode; as they are, and damaged in the ways that ftfy repairs. Whole rows are
compared: ids, length before cutting, position pooled. Prints a table by category.

usage: python3 tests/golden/check_tokens.py [TEXTS-A-CATEGORY]      (default 10000; ./clipc built)
"""
import gettext
import glob
import gzip
import html
import html.entities
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import unicodedata
from collections import defaultdict

import clip.simple_tokenizer as simple
import ftfy.bad_codecs
import ftfy.chardata
import regex

CONTEXT = 77
MOST = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
RNG = random.Random(1)


def sample(texts, n=MOST):
    texts = list(dict.fromkeys(t for t in texts if t.strip()))
    return texts if len(texts) <= n else RNG.sample(texts, n)


# ---- where texts come from ----

def lines_of(path, limit=200):
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
            text = f.read(1 << 20).decode()
    except (OSError, EOFError, UnicodeDecodeError):
        return []
    lines = text.splitlines(keepends=True)
    return lines if len(lines) <= limit else RNG.sample(lines, limit)


def files(pattern, n):
    found = sorted(p for p in glob.glob(pattern, recursive=True) if os.path.isfile(p))
    return found if len(found) <= n else RNG.sample(found, n)


def manuals():
    return [line for path in files("/usr/share/man/[a-z][a-z]*/man*/*.gz", 1500) if "/man/man" not in path
            for line in lines_of(path, 40)]


def documentation():
    return [line for path in files("/usr/share/doc/**/*", 3000) for line in lines_of(path, 30)]


def translations():
    """A share for each language, so that the large ones do not hide the small."""
    by_language = defaultdict(list)
    for path in files("/usr/share/locale/*/LC_MESSAGES/*.mo", 4000):
        with open(path, "rb") as f:
            try:
                catalog = gettext.GNUTranslations(f)._catalog
            except (UnicodeDecodeError, OSError, ValueError, IndexError):
                continue
        by_language[path.split("/")[4]] += [v for v in catalog.values() if isinstance(v, str)]
    share = 3 * MOST // max(1, len(by_language)) + 1
    return [t for language in sorted(by_language) for t in sample(by_language[language], share)]


def python_tests():
    folder = sysconfig.get_path("stdlib") + "/test/**/*"
    return [line for path in files(folder, 5000) if path.endswith((".py", ".txt", ".html", ".xml"))
            for line in lines_of(path, 10000) if not line.isascii()]


def python_strings():
    """What the escapes in the string literals of those tests stand for."""
    found = []
    for path in files(sysconfig.get_path("stdlib") + "/test/*.py", 5000):
        for line in lines_of(path, 10000):
            for literal in regex.findall(r'"((?:[^"\\\n]|\\[xuU0-7abtnfr])+)"', line):
                if "\\" in literal:
                    try:
                        text = literal.encode("latin-1").decode("unicode-escape")
                        text.encode()
                    except UnicodeError:
                        continue
                    found.append(text)
    return found


def characters(wanted):
    """Each in the middle of others: what it does to its neighbours counts too."""
    every = [chr(c) for c in range(0x110000) if not 0xd800 <= c <= 0xdfff and wanted(chr(c))]
    return ["aΣ" + "B".join(every[i:i + 5]) + "' 'S" for i in range(0, len(every), 5)]


def is_assigned(c):
    return unicodedata.category(c) not in ("Cn", "Co")


def is_later(c):
    return unicodedata.category(c) == "Cn" and not regex.fullmatch(r"\p{Cn}", c)


# ---- what happens to them ----

def mojibake(texts, encoding):
    for text in texts:
        for _ in range(RNG.choice([1, 1, 1, 2, 3])):
            text = text.encode().decode(encoding)
        yield text


def part_mojibake(texts):
    """Some words damaged, in whatever encoding, and the others not."""
    for text in texts:
        yield " ".join(next(mojibake([word], RNG.choice(ftfy.chardata.CHARMAP_ENCODINGS)))
                       if RNG.random() < 0.3 else word for word in text.split(" "))


def lossy(texts):
    for text in texts:
        damaged = next(mojibake([text], "sloppy-windows-1252"))
        yield "".join(RNG.choice(["?", "\ufffd", " "]) if c > "\x7f" and RNG.random() < 0.15 else c
                      for c in damaged)


def html_damage(texts):
    names = {v: k for k, v in html.entities.html5.items() if k.endswith(";")}
    for text in texts:
        kind = RNG.randrange(5)
        if kind == 0:
            yield html.escape(html.escape(text))
        elif kind == 1:
            yield "".join("&" + names[c] if c in names and c not in "\n\t" else c for c in text)
        elif kind == 2:
            yield "".join(f"&#{ord(c)};" if not c.isascii() else c for c in text)
        elif kind == 3:
            yield "".join(f"&#x{ord(c):x}" + RNG.choice([";", "", " "]) if RNG.random() < 0.2 else c for c in text)
        else:
            yield "".join("&" + names[c].upper() if c in names and RNG.random() < 0.5 else c for c in text)


def shapes(texts):
    """Full width, ligatures, curly quotes, decomposed, other line ends."""
    ligatures = {v: chr(k) for k, v in ftfy.chardata.LIGATURES.items()}
    for text in texts:
        kind = RNG.randrange(5)
        if kind == 0:
            yield "".join(chr(ord(c) + 0xfee0) if "!" <= c <= "~" else c for c in text)
        elif kind == 1:
            for letters, one in ligatures.items():
                text = text.replace(letters, one)
            yield text
        elif kind == 2:
            yield text.replace("'", RNG.choice("‘’‛ʼ")).replace('"', RNG.choice("“”‟"))
        elif kind == 3:
            yield unicodedata.normalize(RNG.choice(["NFD", "NFKD"]), text)
        else:
            yield text.replace(" ", RNG.choice(["\r\n", "\r", "\u2028", "\x85", "\u3000", "\xa0", "\x0b"]))


def inserted(texts):
    """Control characters, terminal escapes, special strings, stray bits of mojibake."""
    bits = ([chr(c) for c in [*range(0x20), *range(0x7f, 0xa0), *range(0x206a, 0x2070), 0xfeff, 0xfff9, 0xfffc]] +
            ["\033[1m", "\033[38;5;12m", "\033[", "<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "<", ">", "&",
             "&lt;|endoftext|&gt;", "Σ", "'s", "'LL", "\u0301", "\u0345", "İ", "ſ", "Ã", "â€", "Â ", "�", "Ã\xa0"])
    for text in texts:
        for _ in range(RNG.randint(1, 4)):
            at = RNG.randint(0, len(text))
            text = text[:at] + RNG.choice(bits) + text[at:]
        yield text


def noise():
    pools = [[*range(0x20, 0x7f)], [*range(0x80, 0x180)], [*range(0x370, 0x530)], [*range(0x2010, 0x2060)],
             [*range(0x2200, 0x22ff)], [*range(0x2500, 0x25a0)], [*range(0x1f300, 0x1f700)]]
    for _ in range(MOST):
        yield "".join(chr(RNG.choice(RNG.choice(pools))) for _ in range(RNG.randint(1, 30)))


def categories():
    translated, manual = sample(translations(), 3 * MOST), sample(manuals())
    mixed = sample(translated + manual, MOST)
    yield "manuals, all languages", manual
    yield "documentation", sample(documentation())
    yield "translations, all languages", translated
    yield "lines of Python's tests", sample(python_tests())
    yield "strings of Python's tests", sample(python_strings())
    yield "every character of Unicode 14", characters(is_assigned)
    for encoding in ftfy.chardata.CHARMAP_ENCODINGS:
        yield f"mojibake, {encoding}", mojibake(sample(mixed, MOST // 2), encoding)
    yield "mojibake in parts", part_mojibake(mixed)
    yield "mojibake with losses", lossy(mixed)
    yield "HTML", html_damage(mixed)
    yield "width, ligatures, quotes, NFD, breaks", shapes(mixed)
    yield "controls, escapes, special strings", inserted(mixed)
    yield "noise", noise()
    yield "characters of later Unicodes", characters(is_later)


# ---- comparing ----

def reference(tokenizer, text):
    ids = [49406, *tokenizer.encode(text), 49407]
    n = len(ids)
    if n > CONTEXT:
        ids = ids[:CONTEXT - 1] + [49407]
    ids += [0] * (CONTEXT - len(ids))
    return {"ids": ids, "n": n, "pool": ids.index(max(ids))}


def clipc(texts):
    with tempfile.TemporaryFile("w+") as f:
        for i, text in enumerate(texts):
            f.write(json.dumps({"id": i, "text": text}) + "\n")
        f.seek(0)
        out = subprocess.run(["./clipc", "tokenize", "--jsonl"], stdin=f, stdout=subprocess.PIPE).stdout
    return {row.pop("id"): row for row in map(json.loads, out.splitlines())}


def main():
    tokenizer = simple.SimpleTokenizer()
    total = wrong = later = 0
    print("| texts | compared | equal |\n|---|---:|---:|")
    for name, texts in categories():
        texts = list(texts)
        ours = clipc(texts)
        bad = [t for i, t in enumerate(texts) if ours.get(i) != reference(tokenizer, t)]
        print(f"| {name} | {len(texts):,} | {len(texts) - len(bad):,} |", flush=True)
        for text in bad[:3]:
            print("differs:", ascii(text)[:300], file=sys.stderr)
        total += len(texts)
        wrong += len(bad)
        if "later" in name:
            later = len(bad)
    print(f"| all | {total:,} | {total - wrong:,} |")
    sys.exit(wrong != later)


main()
