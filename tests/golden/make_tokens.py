"""Token goldens: tests/golden/tokens.jsonl, {"text", "ids"} by OpenAI's own tokenizer
(package openai-clip), with ftfy.fix_text replaced by the identity.

usage: python3 tests/golden/make_tokens.py      (from the project's root; requirements.txt)
"""
import json, random, unicodedata
import clip.simple_tokenizer as simple

simple.ftfy.fix_text = lambda text: text
TEXTS = ["a diagram", "a dog", "a cat", "hello world", "A photo of a Cat.",
         "You should've done this", "you're, don't, her's",
         "A\n'll 11p223RF☆ho!!to? of a cat", "2024", "café naïve", "日本語", "🙂",
         "&amp;lt;b&gt;", "<|startoftext|>x<|endoftext|>", "", "Élan İstanbul ß", "don’t",
         "a-b_c", "antidisestablishmentarianism", "½ cup x²", "ΟΔΟΣ", "a\u00a0b\u200bc",
         "ﬁsh ＡＢＣ", "schÃ¶n", "cafe\u0301", "&copy 2020 &notit; &#x41;&#65 &#0; &#128; &#xD800;",
         "&bogus; &ampamp", "'ſ x", "<|ſtartoftext|>", "a\x1cb \x1c x", "ΑΣ. ΑΣα Σ", "\u180ea b",
         "x" * 300, "&lt;|endoftext|&gt;", "<|ENDOFTEXT|>", "ⅷ Ⅷ ⓐ", "ŉ ǰ ΐ", "a\u0345Σ",
         "   leading\t\r\n and  trailing \u3000", "🏳️‍🌈 👩🏽‍🚀", "שלום עולם", "नमस्ते"]


def main():
    random.seed(1)
    pool = ([chr(c) for c in [*range(33, 127)] * 8 + [*range(0xa0, 0x250)] +
             [*range(0x370, 0x530)] + [*range(0x5d0, 0x600)] + [*range(0x3040, 0x3100)] +
             [*range(0x1f300, 0x1f350)] + [0x2028, 0x3000, 0x85, 0x200d]
             if unicodedata.category(chr(c)) != "Cn"] +
            [" "] * 120 + ["'s", "'LL ", " &amp; ", "é", "e\u0301"])
    texts = TEXTS + ["".join(random.choices(pool, k=random.randint(1, 40))) for _ in range(300)]
    tokenizer = simple.SimpleTokenizer()
    with open("tests/golden/tokens.jsonl", "w") as f:
        for text in texts:
            row = {"text": text, "ids": tokenizer.encode(text)}
            f.write(json.dumps(row, ensure_ascii=False) + "\n")


main()
