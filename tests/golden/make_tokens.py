"""Writes tests/golden/tokens/openai.jsonl: texts and their ids by OpenAI's own tokenizer
(package openai-clip, clip/simple_tokenizer.py) with ftfy.fix_text replaced by the identity,
since clipc does not repair text yet.  Start and end are not among the ids.

usage: python3 tests/golden/make_tokens.py
"""
import importlib.util, json, os, platform, random, sys, types, unicodedata
from importlib.metadata import version

import regex

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens")


def reference():
    """The tokenizer without the package around it, which would import torch."""
    ftfy = types.ModuleType("ftfy")
    ftfy.fix_text = lambda s: s
    sys.modules["ftfy"] = ftfy
    folder = importlib.util.find_spec("clip").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location(
        "simple_tokenizer", os.path.join(folder, "simple_tokenizer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


TABLE = [  # the texts that every port is tried with first
    "a diagram", "a dog", "a cat", "hello world", "A photo of a Cat.", "You should've done this",
    "you're, don't, her's", "A\n'll 11p223RF☆ho!!to? of a cat", "2024", "café naïve", "日本語", "🙂",
    "&amp;lt;b&gt;", "<|startoftext|>x<|endoftext|>", "", "Élan İstanbul ß", "don’t", "a-b_c",
    "antidisestablishmentarianism", "½ cup x²", "ΟΔΟΣ", "a\u00a0b\u200bc", "ﬁsh ＡＢＣ", "schÃ¶n",
    "cafe\u0301",
]

CLASSES = [
    # contractions, caseless, and what only looks like them
    "I'm I'M it's IT'S they'll THEY'LL we've we'd can't 'tis rock'n'roll 'ſ x'ſ y's's",
    "''s 's 'S 's's's 're're 'ved 'lls 'mm 'dd",
    # digits and numbers: each is its own piece
    "0123456789", "1,000,000.00", "3.14159e-10", "x2y3z4", "Ⅷ ⅷ ① ½ ¾ ² ٣ ४ 一 〇 𝟘",
    # punctuation
    "!!!", "...", "?!?!?!", "a/b\\c|d", "@user #tag $5 100% ^_^ ~/.bashrc", "\"quoted\" `code`",
    "—en–em—", "«guillemets» „low“ ‘curly’ ¿qué? ¡sí!", "(){}[]<>", "C++ c# f(x)=x^2",
    # white space of all kinds
    " ", "\t\n\r\x0b\x0c", " lead", "trail ", "two  blanks", "tab\tnew\nline\r\ncr\rend",
    "a\x1cb\x1dc\x1ed\x1fe", "\x1c\x1d inside \x1e\x1f", "a\x85b", "\x85a\x85", "a\u2003b\u3000c",
    "a\u2028b\u2029c", "a\u1680b\u202fc\u205fd", "a\u180eb", "a\ufeffb", "\u00a0nbsp\u00a0",
    # case: final sigma and its neighbours, dotted and dotless i, title case, special ones
    "Σ", "ΑΣ", "ΑΣΑ", "Σ Σ", "ΑΣ.", "ΑΣ.Α", "ΑΣ'", "'ΣΑ", "Α\u0301Σ\u0301", "ΑΣ\u00adΑ", "ⒶΣ", "🄰Σ", "ⅧΣ",
    "aΣ1", "1Σ", "İ", "I ı i İİ", "ẞ ß", "ǅ ǈ ǋ ǲ", "K Å Ω", "ÀÈÌÒÙ Ñ Ç Ø Æ Œ", "ДОБРОЕ УТРО", "ԱԲԳ", "ႠႡ Ა", "𐐀𐐁 𞤀",
    # scripts
    "日本語のテキスト", "中文文本", "한국어 텍스트", "สวัสดีชาวโลก", "नमस्ते दुनिया", "שלום עולם", "مرحبا بالعالم",
    "ελληνικά", "русский язык", "tiếng Việt", "‏RTL‎ mark", "የአማርኛ", "ქართული", "ਪੰਜਾਬੀ",
    # combining marks
    "e\u0301 n\u0303 a\u0308\u0301", "\u0301alone", "x\u0345y", "\u0345", "α\u0345β", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘",
    # emoji
    "😀😃😄", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪🇫🇷", "❤️", "☆★", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    # entities
    "&amp;", "&amp;amp;", "&amp;lt;", "&lt;b&gt;", "&copy 2024", "&copy;", "&notit;", "&notin;", "&no", "&nosuch;",
    "&#65;&#x42;&#X43", "&#0;", "&#128;&#x9f;", "&#xD800;", "&#x110000;", "&#99999999999999999999;", "&#13;x",
    "&#1;x&#xb;y&#xfffe;", "&#;", "&#x;", "&", "&&", "& amp;", "&;", "&eacute;t&eacute;", "&NotEqualTilde;", "&AMP",
    "&CounterClockwiseContourIntegral;", "&amp", "&ampx", "&amp;copy;", "&nbsp;x&nbsp;", "&thetasym;", "&lang;&rang;",
    "AT&T R&D Q&A", "&#38;#38;amp;", "&hearts;", "&quot;x&quot; &apos;y&apos;", "&#39;s",
    # special strings and near misses
    "<|startoftext|>", "<|endoftext|>", "x<|endoftext|>y", "<|ENDOFTEXT|>", "<|StartOfText|>",
    "<|endoftext|", "|endoftext|>", "<|endoftext|><|endoftext|>", "&lt;|endoftext|&gt;", "<|ſtartoftext|>",
    "<start_of_text> <end_of_text>", "a<|endoftext|>'s",
    # long words
    "a" * 300, "ab" * 100, "Donaudampfschifffahrtsgesellschaftskapitän", "supercalifragilisticexpialidocious",
    "pneumonoultramicroscopicsilicovolcanoconiosis", "é" * 40, "!" * 60, "7" * 20, "ÄÖÜ" * 15, "<>" * 30,
    # byte alphabet: bytes of every kind
    "\x01\x02\x7f", "".join(map(chr, range(33, 127))), "".join(map(chr, range(0xa1, 0x180))), "\U0010ffff\ue000", "\ufffd",
    # the prompts that people use
    "a photo of a {}.", "a bad photo of the {}.", "itap of a golden retriever.", "a centered satellite photo of forest.",
    "a demonstration of a person playing Cello.", "art of the hamster", "The quick brown fox jumps over the lazy dog.",
    "A black-and-white picture of two people (1920s), riding bicycles; rain.", "close-up, 4k, HDR, f/2.8, 85mm",
]

PIECES = list("abcxyzASTREVMLD0189 .,;:!?-_'’\"&<>|()#/\\\n\t\x0b\x0c\x1c\x1f\x85\xa0") + [
    "\u200b", "\u2003", "\u3000", "é", "É", "ß", "ſ", "K", "İ", "ı", "Σ", "ς", "ǅ", "ﬁ", "Ａ", "日", "本", "한", "א", "ع",
    "\u0301", "\u0345", "🙂", "👩", "\u200d", "\ufe0f", "½", "²", "Ⅷ", "٣", "<|startoftext|>", "<|endoftext|>", "'s", "'RE",
    "'ll", "'ſ", "&amp;", "&lt;", "&#39;", "&copy", "the ", "Photo ", "of ", "dogs", "running", " in "]


def all_texts():
    yield from TABLE
    yield from CLASSES
    r = random.Random(20240229)
    for _ in range(200):
        yield "".join(r.choice(PIECES) for _ in range(r.randint(1, 24)))


def main():
    tokenizer = reference()
    os.makedirs(OUT, exist_ok=True)
    n = 0
    with open(os.path.join(OUT, "openai.jsonl"), "w", encoding="utf-8") as f:
        for text in all_texts():
            row = {"text": text, "ids": tokenizer.encode(text)}
            f.write(json.dumps(row, separators=(",", ":")) + "\n")
            n += 1
    with open(os.path.join(OUT, "MANIFEST"), "w") as f:
        f.write(f"openai.jsonl: {n} texts; python3 tests/golden/make_tokens.py\n"
                f"Python {platform.python_version()}, Unicode {unicodedata.unidata_version}, "
                f"openai-clip {version('openai-clip')}, regex {regex.__version__}; "
                "ftfy.fix_text replaced by the identity\n")


main()
