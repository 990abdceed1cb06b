"""Token goldens in tests/golden/tokens/, {"kind", "text", "ids"} a line, by the references:
openai.jsonl by OpenAI's tokenizer (package openai-clip, with ftfy), open_clip.jsonl by
open_clip's SimpleTokenizer, whose "clean" a line names, hf.jsonl by transformers' CLIPTokenizer.

usage: python3 tests/golden/make_tokens.py      (from the project's root; requirements.txt)
"""
import gzip
import json
import os
import random
import tempfile
import unicodedata
from importlib.metadata import version

import clip.simple_tokenizer as simple
import ftfy.bad_codecs
import ftfy.chardata
import open_clip.tokenizer
import transformers

FOLDER = "tests/golden/tokens"
BASIC = ["a diagram", "a dog", "a cat", "hello world", "A photo of a Cat.",
         "You should've done this", "you're, don't, her's",
         "A\n'll 11p223RF☆ho!!to? of a cat", "2024", "café naïve", "日本語", "🙂",
         "", "Élan İstanbul ß", "a-b_c", "antidisestablishmentarianism", "½ cup x²",
         "שלום עולם", "नमस्ते", "🏳️‍🌈 👩🏽‍🚀", "ⅷ Ⅷ ⓐ", "ŉ ǰ ΐ", "\u180ea b", "'ſ x",
         "Ünïcödé ĀĒĪŌŪ Ж ж Ђ", "مرحبا بالعالم", "สวัสดี ชาวโลก", "안녕하세요 세계"]
SPECIAL = ["<|startoftext|>x<|endoftext|>", "a <|endoftext|> b", "<|ENDOFTEXT|>",
           "&lt;|endoftext|&gt;", "&amp;lt;|endoftext|&amp;gt;", "＜|endoftext|＞",
           "<|ſtartoftext|>", "!<|endoftext|>", "<|endoftext|", "<|endoftext|>'s",
           "<start_of_text>x<end_of_text>", "<END_OF_TEXT>", "<ſtart_of_text>",
           "&lt;end_of_text&gt;", "a<|endoftext|><|endoftext|>b"]
HTML = ["&amp;lt;b&gt;", "&copy 2020 &notit; &#x41;&#65 &#0; &#128; &#xD800;", "&bogus; &ampamp",
        "P&EACUTE;REZ &Eacute;t&eacute;", "BUNDESSTRA&SZLIG;E", "&#59; &#059; &#x3b;",
        "&#1; &#x1; &#11; &#xfffe; &#1114111; &#1114112; &#99999999999999999999;",
        "<b>&eacute;</b>", "&lt;\n<i>\n&lt;\n&eacute;", "&eacute;\n<i>\n&eacute;", "&nTILDE; &NTILDE;",
        "&amp;amp;amp;amp;amp;lt;", "&CounterClockwiseContourIntegral;", "&#x80;&#x99;", "this&not that",
        "AT&T &AMP; &AMP &am;", "&#xZZ; &#; &; && &#x; &#12ab;", "&NewLine;&Tab;&nbsp;x", "&#13;&#10;",
        "&fflig;&FFLIG;", "&HilbertSpace;&Jscr;", "&lt;" * 12]
ESCAPES = ["\033[36;44mI'm blue\033[0m", "\033[m\033[1", "\033[１;٣1m", "\033]0;t\007",
           "\033[31\u200bm", "a\033[1;2;3Zb", "\033\033[1mx", "［\033［1ｍ"]
LIGATURES = ["".join(map(chr, ftfy.chardata.LIGATURES)), "ﬁsh ﬂuﬃeﬆ", "ŉ", "ﬅ", "Ǆ ǅ ǆ Ĳ ĳ",
             "ﬀ’s", "æ œ Æ Œ ﬗ"]
WIDTH = ["".join(chr(c) for c in range(0xff01, 0xfff0)), "ＬＯＵＤ　ＮＯＩＳＥＳ", "Ｕﾀｰﾝ", "ﾊﾟｶﾞ",
         "￣￣", "ﾡﾢﾣ￦￨", "ＡＢＣ＇ｓ ＂ｘ＂", "ａ＆ａｍｐ；ｂ", "＆ｌｔ；"]
QUOTES = ["don’t", "“quoted” ‘single’ ‚low‘ „double“ ‛reversed‟", "ʼn ʼ", "it′s ″ ‵", "«» ‹›"]
BREAKS = ["a\r\nb\rc\nd\u2028e\u2029f\x85g", "   leading\t\r\n and  trailing \u3000", "\r", "\n\n",
          "x\x0by\x0cz", "a\r\r\nb", "\u2028\u2029"]
CONTROLS = ["a\x1cb \x1c x", "\x00", "a\x00b", "\x01\x02\x03x\x7f", "\ufeffbom\ufeff", "a\u206ab\u206fc",
            "a\ufff9b\ufffac\ufffbd\ufffce", "\u200b\u200c\u200d\u2060x", "\x80\x81\x8d\x9f", "\x85",
            "a\u00a0b\u200bc", "\U000e0001tag", "\ufdd0\uffff", "\x1a", "a\x1a�b", "\x08\x08<\x08&lt;"]
NFC = ["cafe\u0301", "e\u0301\u0323", "e\u0323\u0301", "\u1e9b\u0323", "\u0958 \u09dc \ufb2c",
       "각", "\u1100\u1161\u11a8", "Å \u212b \u2126 \u212a", "\u0344", "\u0340\u0341",
       "a" + "\u0301\u0316" * 30, "\U0001d15e\U0001d165", "q\u0307\u0323", "\u0301a", "\u0f71\u0f72\u0f74"]
SIGMA = ["ΟΔΟΣ", "ΑΣ. ΑΣα Σ", "a\u0345Σ", "Σ", "ΑΣ'", "ΑΣ'Α", "ΑΣ\u00adΑ", "ΑΣ\u0301", "1Σ", "ΑΣ:Α ΑΣ,Α",
         "ΑΣ\u2019Α", "ⓐΣ ªΣ ʰΣ", "Σ\u0300Σ", "ΣΣ ΣΣΣ", "İΣ", "AΣ_B"]
LONG = ["x" * 300, "word " * 200, "café " * 200, "1" * 200, "!" * 200, "日" * 100, "a\u0301" * 100,
        "â€™" * 60, "é" * 500 + "â€™"]
LONE = ["\ud800", "a\udc00b", "\ude00\ud83d", "caf\ud83dé"]
WORDS = ["café", "naïve", "“quoted”", "it’s", "日本語", "Привет, мир", "Ελληνικά", "čeština žluťoučký",
         "łódź", "😍", "à la carte", "às vezes àquele", "…", "–", "—", "€100", "½", "नमस्ते", "שלום",
         "ışık ğ", "ąčęėįšųūž", "©", "\xa0", "ő", "™", "ÀÉÍ", "×²", "°C", "ñandú", "größe", "œuvre",
         "ŠĆŽ", "мир", "Ωμέγα", "ĀĒ", "í", "𝒥", "ﬁ"]
BROKEN = ["schÃ¶n", "sÃ³", "voilÃ le travail", "Ã la mode", "fÃ cil", "âœ” No problems", "â€œ like this â€�",
          "&macr;\\_(ã\x83\x84)_/&macr;", "L&AMP;AMP;ATILDE;&AMP;AMP;SUP3;PEZ", "À\n", "Ã©tÃ© À\n", "Ã©tÃ© À",
          "í\xa0½í¸\x8d", "Ã©í\xa0\x80í°\n", "a\xc0\x80Ã©b", "ÃƒÂ©", "ÃƒÆ’Ã‚Â©", "вЂ™ Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "ГўВЂВ™ a", "√©√†",
          "‚Äúquoted‚Äù", "в\x80\x99", "β€™", "ā€™", "Ã?Â?â??", "Ã\ufffd", "ï¿½", "à¤¨à¤®à¤¸à¥\x8dà¤¤à¥‡", "ðŸ˜\x8d ð  ",
          "Åland Ã\xa0", "ÂÃ§Ã£o", "caf\x82", "\x93quoted\x94", "Ð\x9fÑ\x80", "Œe œ1", "A° É°", "l’Ã©tÃ© d'â€˜",
          "The MÃ¶nsters âŠ‚ Ã¶ and “Ã¶”", "ÓÒ┐ ┐(・~・)┌", "¯\\_(ツ)_/¯", "(◕‿◕)✿", "Oà ®", "S² × 3²", "Â£100 Â½"]


def double_encoded(rng, n):
    """Words whose UTF-8 was read in each of ftfy's encodings, once to three times; some bytes
    0xa0 as blanks, some lost."""
    for i in range(n):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 4)))
        encoding = ftfy.chardata.CHARMAP_ENCODINGS[i % len(ftfy.chardata.CHARMAP_ENCODINGS)]
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            text = text.encode().decode(encoding)
        if rng.random() < 0.2:
            text = text.replace("\xa0", " ")
        if rng.random() < 0.2:
            text = "".join(rng.choice("?\ufffd") if c > "\x7f" and rng.random() < 0.1 else c for c in text)
        yield text + rng.choice(["", "", " " + rng.choice(WORDS), "\n" + rng.choice(WORDS)])


def noise(rng, n):
    pool = ([chr(c) for c in [*range(33, 127)] * 8 + [*range(0xa0, 0x250)] +
             [*range(0x370, 0x530)] + [*range(0x5d0, 0x600)] + [*range(0x3040, 0x3100)] +
             [*range(0x1f300, 0x1f350)] + [0x2028, 0x3000, 0x85, 0x200d]
             if unicodedata.category(chr(c)) != "Cn"] +
            [" "] * 120 + ["'s", "'LL ", " &amp; ", "é", "e\u0301"])
    return ["".join(rng.choices(pool, k=rng.randint(1, 40))) for _ in range(n)]


def texts():
    rng = random.Random(1)
    kinds = {"basic": BASIC, "special strings": SPECIAL, "HTML": HTML, "terminal escapes": ESCAPES,
             "ligatures": LIGATURES, "width": WIDTH, "quotes": QUOTES, "line breaks": BREAKS,
             "control characters": CONTROLS, "NFC": NFC, "final sigma": SIGMA, "long": LONG,
             "lone surrogates": LONE, "mojibake": BROKEN + list(double_encoded(rng, 200)),
             "noise": noise(rng, 150)}
    return [(kind, text) for kind, list_ in kinds.items() for text in list_]


def write(name, rows):
    with open(f"{FOLDER}/{name}.jsonl", "w") as f:
        for row in rows:
            f.write(json.dumps(row) + "\n")


def hf_tokenizer(encoder):
    """From the two files that a folder of the hub has."""
    lines = gzip.open(simple.default_bpe()).read().decode().split("\n")
    with tempfile.TemporaryDirectory() as folder:
        json.dump(encoder, open(f"{folder}/vocab.json", "w"))
        open(f"{folder}/merges.txt", "w").write("\n".join(["#version: 0.2", *lines[1:48895], ""]))
        return transformers.CLIPTokenizer.from_pretrained(folder)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    openai = simple.SimpleTokenizer()
    rows = texts()
    write("openai", ({"kind": k, "text": t, "ids": openai.encode(t)} for k, t in rows))
    few = [(k, t) for i, (k, t) in enumerate(rows)
           if k != "lone surrogates" and (k not in ("mojibake", "noise") or i % 5 == 0)]
    cleaners = {c: open_clip.tokenizer.SimpleTokenizer(clean=c)
                for c in ("lower", "whitespace", "canonicalize")}
    write("open_clip", ({"kind": k, "clean": c, "text": t, "ids": tokenizer.encode(t)}
                        for c, tokenizer in cleaners.items() for k, t in few
                        if c != "lower" or k == "special strings"))
    hf = hf_tokenizer(openai.encoder)
    write("hf", ({"kind": k, "text": t, "ids": hf(t, add_special_tokens=False)["input_ids"]}
                 for k, t in few))
    with open(f"{FOLDER}/MANIFEST", "w") as f:
        f.write(f"openai.jsonl, open_clip.jsonl, hf.jsonl: python3 tests/golden/make_tokens.py\n"
                f"Unicode {unicodedata.unidata_version}; " +
                ", ".join(f"{p} {version(p)}" for p in ("openai-clip", "ftfy", "regex", "open_clip_torch",
                                                        "transformers", "tokenizers")) + "\n")


if __name__ == "__main__":
    main()
