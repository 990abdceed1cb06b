"""Writes src/text/bpe_data.c and src/text/entities_data.c: OpenAI's merges as pairs of token
ids, and HTML5's named characters.  Both are data; see ATTRIBUTION.md.

usage: python3 tools/make_vocab.py bpe_simple_vocab_16e6.txt.gz
(the file is in the Python packages open-clip-torch and openai-clip)
"""
import gzip, hashlib, html.entities, sys

SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
N_MERGES = 49152 - 256 - 2


def byte_order():
    """GPT-2's order: printable bytes first, each under its own character, then the rest."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return ([(b, chr(b)) for b in printable] +
            [(b, chr(256 + i)) for i, b in enumerate(rest)])


def merges(path):
    data = open(path, "rb").read()
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{path}: not OpenAI's vocabulary")
    lines = gzip.decompress(data).decode().split("\n")[1:N_MERGES + 1]
    ids = {c: i for i, (_, c) in enumerate(byte_order())}
    ids |= {c + "</w>": 256 + i for c, i in ids.items()}
    pairs = []
    for line in lines:
        a, b = line.split()
        pairs.append((ids[a], ids[b]))
        ids[a + b] = len(ids)
    return pairs


def write_rows(f, items, width=12):
    for i in range(0, len(items), width):
        f.write("    " + ", ".join(items[i:i + width]) + ",\n")


def main():
    pairs = merges(sys.argv[1])
    with open("src/text/bpe_data.c", "w") as f:
        f.write("/* Made by tools/make_vocab.py from OpenAI's bpe_simple_vocab_16e6.txt.gz (MIT), "
                "SHA-256\n * " + SHA256 + ". */\n"
                '#include "text/bpe_data.h"\n\n'
                "const uint16_t bpe_bytes[256] = {\n")
        write_rows(f, [str(b) for b, _ in byte_order()])
        f.write("};\n\nconst uint16_t bpe_merges[BPE_MERGES][2] = {\n")
        write_rows(f, [f"{{{a}, {b}}}" for a, b in pairs], 8)
        f.write("};\n")
    with open("src/text/entities_data.c", "w") as f:
        f.write("/* Made by tools/make_vocab.py from Python's html.entities: HTML5's named "
                "characters,\n * sorted by name. */\n"
                '#include "text/entities_data.h"\n\n'
                "const entity entities[] = {\n")
        rows = sorted(html.entities.html5.items(), key=lambda kv: kv[0].encode())
        for name, value in rows:
            octal = "".join(f"\\{b:03o}" for b in value.encode())
            f.write(f'    {{"{name}", "{octal}"}},\n')
        f.write(f"}};\n\nconst size_t n_entities = {len(rows)};\n")


main()
