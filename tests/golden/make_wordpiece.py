"""WordPiece goldens in tests/golden/wordpiece/: two small vocabularies, cased.txt and
uncased.txt, trained by the package `tokenizers` on the sentences below, and texts.jsonl,
{"o", "text", "ids"} by transformers' BertTokenizerFast without [CLS] and [SEP].  "o" are
the options: "c" cased or "u" uncased, then "a" accents kept or "s" stripped where that is
not the default, "z" without blanks around Chinese, "p" special tokens as ordinary text.

usage: python3 tests/golden/make_wordpiece.py             (from the project's root)
       python3 tests/golden/make_wordpiece.py --train     new vocabularies first; they differ
           from time to time, since the trainer breaks ties at random
       python3 tests/golden/make_wordpiece.py --tables    writes src/text/wordpiece_data.c,
           the classes of characters as `tokenizers` has them, asked for one by one
"""
import json, random, sys

import tokenizers
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

HERE = "tests/golden/wordpiece/"
VOCABULARY = {"c": HERE + "cased.txt", "u": HERE + "uncased.txt"}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SENTENCES = """
a photo of a cat sitting on the windowsill of an old house
a photograph of two dogs running along the beach at sunset, splashing water
The Quick Brown Fox jumps over the lazy dog; it's 12:30 already!
an unaffable, unbelievable and unrelated misunderstanding of photography
A drawing of the castle in black-and-white (detail), 1921, oil on canvas, 45.5 x 60 cm
Women's running shoes, size 8½, “like new” – $59.99 / €54,90 & free shipping…
they're walking, talking, painting, drawing, running and singing in the rain
ein Foto von einer schönen großen Straße in München, Größe überprüfen, weiß und süß
Die Bären fressen gern Äpfel, Öl und Übermut; Fußgängerübergänge verändern die Städte
une photo d'un garçon à la plage, été, forêt, cœur, naïve, Noël, ça et là, où êtes-vous
L'élève français préfère les crêpes à l'école; déjà vu, château, hôtel, août
un niño pequeño y su corazón; ¿dónde está el pingüino? ¡mañana, señor!
uma ação, três irmãos, coração, avô e avó, pães e maçãs
zażółć gęślą jaźń, łódź, źródło, święto, książka
příliš žluťoučký kůň úpěl ďábelské ódy
İstanbul'da ılık bir gün, IŞIK ışık, İĞNE iğne, çocuk, güneş, öğrenci, DİYARBAKIR
μια φωτογραφία μιας γάτας στο παράθυρο, Ελλάδα, ΟΔΟΣ οδός, ΣΑΣ, Άνθρωπος, ἄνθρωπος ὁ λόγος
фотография кошки на окне, большой дом и ёлка; Йошкар-Ола, объект, съезд, мой край
світлина кота на підвіконні, їжак, ґанок, Європа
一只猫坐在窗台上，看着外面的雨。 中华人民共和国 北京大学 照片 圖書館 龍
窓辺に座っている猫の写真、東京タワー、カタカナ、ひらがな。 プログラム がぎぐげご ぱぴぷぺぽ
창가에 앉아 있는 고양이 사진, 대한민국 서울, 사랑해요, 학교에서 한글을 배운다
صورة قطة تجلس على النافذة، السَّلَامُ عَلَيْكُمْ، مدينة القاهرة ١٢٣
תמונה של חתול על אדן החלון, שָׁלוֹם עוֹלָם, ירושלים
खिड़की पर बैठी बिल्ली की तस्वीर, नमस्ते दुनिया, हिन्दी क्षत्रिय।
ภาพถ่ายของแมวที่นั่งอยู่บนขอบหน้าต่าง สวัสดีชาวโลก กรุงเทพฯ
ảnh chụp một con mèo đang ngồi, Việt Nam, tiếng Việt, đường phố Hà Nội
bức ảnh, trường học, người đẹp, nước, được
a 🙂 smiling 😂 face with ❤️ heart 🎉 party 👍🏽 🏳️‍🌈 👩🏽‍🚀 rocket 🚀 ✓ ★ ☆ → ± × ÷ °C ™ ©
a watercolor illustration of an underwater photographer photographing jellyfish
screenshots, downloadable wallpapers, and high-resolution backgrounds for smartphones
microscopic electroencephalographic measurements of psychophysiological relationships
mountains, waterfalls, rainbows, thunderstorms and snowflakes over the northern hemisphere
internationalization, misinterpretation, counterproductive, uncharacteristically
seventeen yellow school buses parked outside the neighbourhood supermarket at night
Donaudampfschifffahrtsgesellschaft, Geschwindigkeitsbegrenzung, Rindfleischetikettierung
Eisenbahnbrücke, Schmetterlinge, Kühlschränke, Frühstück, Wörterbücher, Schlösser
développement, anticonstitutionnellement, extraordinaire, événement, bibliothèque
desenvolvimento, otorrinolaringologista, felicidad, ferrocarril, desafortunadamente
достопримечательность, путешествие, превосходительство, здравствуйте, воскресенье
φωτογράφος, ηλεκτροεγκεφαλογράφημα, θάλασσα, ευχαριστώ, πανεπιστήμιο
kuvankaunis, lentokonesuihkuturbiinimoottori, hyvää päivää, tyttö, älykäs
megszentségteleníthetetlenségeskedéseitekért, gyönyörű, könyvtár, őszibarack
ﬁne ﬂower ＡＢＣ１２３ ½ ¼ x² H₂O Ⅷ ⅷ ⓐ № ﷺ
""".strip().split("\n")
TEXTS = SENTENCES + [
    "", " ", "\t\n\r \u3000\u00a0", "[CLS] a photo of [MASK] [SEP]", "a[SEP]b", "[sep] [Mask]",
    "[[SEP]]", "[UNK][PAD][MASK]", "[MASK", "[MAS[MASK]K]", "e\u0301[SEP]\u0301", "[ SEP ]",
    "##ing", "a##ing ## #", "x" * 99, "a" * 100, "a" * 101, "photo" * 30 + " cat", "é" * 100,
    "e\u0301" * 60, "가" * 50, "가" * 51, "가" * 100, "\u0301\u0302", "a\u0301\u0323\u0302b",
    "a\u0323\u0301", "o\u0302\u0323 ộ", "Å Å Å", "ΟΔΟΣ ΣΑΣ Σ", "İ I ı i̇ İSTANBUL",
    "straße STRASSE ẞ", "cafe\u0301 café CAFÉ", "a\u0000b"[:1], "a\u0001b\u001fc\u007fd\u0085e",
    "a\u200bb\u200cc\u200dd\u2060e\ufefff", "a\u00adb soft\u00adhyphen", "x\u000by\u000cz\u001cw",
    "a\u2028b\u2029c\u1680d\u2003e\u202ff\u205fg", "\u180ea\u180eb", "\ufffd a\ufffdb",
    "\ue000private\uf8ff \U000f0000 \U00100000", "unassigned \u0378 \u0380 \U000e0080",
    "\ufdd0 \ufffe \uffff \U0010ffff", "a\U000e0001b\U000e007f", "一\u0301二", "a一b二c", "豈更車 侮",
    "\U00020000\U0002a6df\U0002a700\U0002b81f\U0002b820\U0002b920\U0002ceaf\U0002ceb0",
    "a\U0002b820\U0002b91f\U0002b920", "a\u1b44\u034f\U00011446", "a\u1b44\u0301\U00011446",
    "\U0002f800\U0002fa1d", "⺀⼀々〇〆ㄅ㐀䶿䷀", "a.b,c!d?e:f;g", "a…b—c–d―e", "«a» „b“ ‚c‘ ‹d›",
    "$+<=>^`|~ £€¥ ¢ ¬ ¦", "a·b ; ·", "¿a? ¡b!", "_under_score-d__", "3.14 1,000,000 50%",
    "@user #tag http://a.b/c?d=e&f", "don't can’t ʼn ŉ", "\u2e3ca\u2e43b\u2e52c", "a\u16fe2b",
    "\u0df4a\u166db\u1400c", "ᛁᚲ ᚷ", "\u1c89 \ua7cb \ua7cc \ua7dc \U00010d50 \U00016ea0 ᲀ Ა ꭰ Ꭰ",
    "\U00011938 \U00011935\U00011930 \u1b06 \U0001d15e \U0001d1bb", "\u302e\u302fa \u16ff0",
    "\U0001d16d\U0001d165\U0001d172", "\ua953\u1dfb\U00011446\U00011442\u034f\U00011446x",
    "\u0344 \u0345 \u0340\u0341\u0374", "Ấấ ǖǗ ﬃ Ǆ ǅ ǆ", "क़ ख़ ড় ਲ਼ ଡ଼", "ั ิ ี ำ", "ぱ ば は\u309a は\u3099", "ﾊﾟ ﾊﾞ ｶﾞ",
    "한글 \u1112\u1161\u11ab \u314e\u314f", "نَصٌّ كـــتاب", "\u202eevil\u202c \u2066x\u2069",
    "👨‍👩‍👧‍👦 🇩🇪 1️⃣ ☝🏿", "\u0600\u06dd\u070f\u08e2\u110bd\u110cd", "\u0890\u0891x",
]
# Characters where the reference has its own ways: tokens of their own show what becomes of
# them, while [UNK] would not.
RARE = ("\u0301\u0307\u0264\u019b\u0378\u1734\u1b44\u1c8a\u1dfb\u2e3c\u2e43\u2e52\u302e\u302f\ua7cd\ua953"
        "\u0891\U00010d70\U00011446\U00011442\U00011930\U00011935\U00011938\U00016ebb\U00016fe2"
        "\U0001d158\U0001d165\U0001d16d\U0001d16e\U0001d172\U0002b820\U0002b91f\U0002b920豈一二ςσ")
# Where random texts take their characters from.
POOLS = [[*range(0x20, 0x7f)] * 3 + [*range(0xa1, 0x180)], [*range(0x1cd, 0x250)] + [*range(0x1e00, 0x1f00)],
         [*range(0x300, 0x370)] + [0x61, 0x65, 0x6f, 0x20] * 20, [*range(0x370, 0x530)],
         [*range(0x5b0, 0x5f5)] + [*range(0x600, 0x6ff)], [*range(0x900, 0xa00)] + [*range(0xe01, 0xe5c)],
         [*range(0x4e00, 0x4e80)] + [*range(0x3000, 0x3100)], [*range(0xac00, 0xac80)] + [*range(0x1100, 0x1200)],
         [*range(0x2000, 0x2070)] + [0x61, 0x62] * 30, [*range(0x1f300, 0x1f650)] + [0x200d, 0xfe0f] * 40,
         [*range(1, 0x20), *range(0x7f, 0xa1)] + [0x61] * 30, [*range(0x11000, 0x11d00)],
         [*range(0xd800), *range(0xe000, 0x20000)]]


def train(cased):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    alphabet = [chr(c) for c in range(33, 127)]
    t.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(
        vocab_size=2000, min_frequency=1, special_tokens=SPECIAL, initial_alphabet=alphabet))
    vocab = [token for token, _ in sorted(t.get_vocab().items(), key=lambda kv: kv[1])]
    vocab += [token for c in RARE for token in (c, "##" + c) if token not in vocab]
    with open(VOCABULARY["c" if cased else "u"], "w", newline="\n") as f:
        f.write("".join(token + "\n" for token in vocab))


def tokenizer(o):
    accents = True if "s" in o else False if "a" in o else None
    return transformers.BertTokenizerFast(vocab=VOCABULARY[o[0]], do_lower_case=o[0] == "u", strip_accents=accents,
                                          tokenize_chinese_chars="z" not in o)


def random_texts(n):
    words = " ".join(SENTENCES).split()
    for i in range(n):
        pool = random.choice(POOLS)
        text = "".join(chr(random.choice(pool)) for _ in range(random.randint(1, 16)))
        if i % 2:
            parts = random.sample(words, 2) + [text] + [random.choice(SPECIAL)] * (i % 5 == 0)
            random.shuffle(parts)
            text = random.choice(["", " ", " ", "-"]).join(parts)
        if i % 7 == 0:
            text = text.upper()
        yield text


def write_goldens():
    random.seed(1)
    kinds = ["u", "c", "ua", "cs", "uz", "cz", "up", "cp"]
    refs = {o: tokenizer(o) for o in kinds}
    rows = [(o, t) for t in TEXTS for o in ("u", "c")]
    rows += [(random.choice(kinds[2:]), t) for t in TEXTS]
    rows += [(random.choice(kinds), t) for t in random_texts(300)]
    with open(HERE + "texts.jsonl", "w") as f:
        for o, text in rows:
            ids = refs[o](text, add_special_tokens=False, split_special_tokens="p" in o)["input_ids"]
            row = json.dumps({"o": o, "text": text, "ids": ids}, separators=(",", ":"), ensure_ascii=False)
            f.write(row + "\n")
    with open(HERE + "MANIFEST", "w") as f:
        f.write(f"cased.txt, uncased.txt, texts.jsonl: {len(rows)} rows; python3 tests/golden/make_wordpiece.py\n"
                f"Python {sys.version.split()[0]}, transformers {transformers.__version__}, "
                f"tokenizers {tokenizers.__version__}\n")


# ---- tables ------------------------------------------------------------------------------

CODES = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000]


def ranges(codes):
    """[first, last, class] of (code, class) in order."""
    out = []
    for c, k in codes:
        if out and out[-1][1] == c - 1 and out[-1][2] == k:
            out[-1][1] = c
        else:
            out.append([c, c, k])
    return out


def marks(accents):
    """(code, combining class) of what NFD reorders and is no accent: a mark of class k moves
    before marks of higher classes and after those of lower ones."""
    import unicodedata
    nfd = normalizers.NFD().normalize_str
    of = {unicodedata.combining(chr(c)): chr(c) for c in sorted(accents, reverse=True)
          if nfd(chr(c)) == chr(c)}
    of.pop(0)
    for c in CODES:
        s = chr(c)
        if c in accents or nfd(s) != s:
            continue
        after = [k for k in of if nfd("a" + s + of[k]) == "a" + of[k] + s]
        before = [k for k in of if nfd("a" + of[k] + s) == "a" + s + of[k]]
        if after or before:
            k = unicodedata.combining(s) or 230
            assert max(after, default=0) < k < min(before, default=256), hex(c)
            assert all(x in after or x in before or x == k for x in of), hex(c)
            yield c, k


def write_table(f, name, rows):
    kind = "code_class" if rows[0][2] else "code_range"
    cells = ["{" + f"{a:#x}, {b:#x}" + (f", {k}" if k else "") + "}" for a, b, k in rows]
    f.write(f"\nconst {kind} wordpiece_{name}[] = {{\n")
    for i in range(0, len(cells), 4):
        f.write("    " + ", ".join(cells[i:i + 4]) + ",\n")
    f.write(f"}};\nconst size_t n_wordpiece_{name} =\n"
            f"    sizeof wordpiece_{name} / sizeof *wordpiece_{name};\n")


def write_tables():
    clean = normalizers.BertNormalizer(handle_chinese_chars=False, strip_accents=False, lowercase=False)
    strip = normalizers.BertNormalizer(False, False, True, False)
    split = pre_tokenizers.BertPreTokenizer()
    removed = [c for c in CODES if clean.normalize_str(chr(c)) == ""]
    accents = {c for c in CODES if strip.normalize_str(chr(c)) == ""}
    combining = [c for c in CODES if normalizers.StripAccents().normalize_str(chr(c)) == ""]
    punct = [c for c in CODES if len(split.pre_tokenize_str("a" + chr(c) + "a")) == 3]
    with open("src/text/wordpiece_data.c", "w") as f:
        f.write("/* Made by tests/golden/make_wordpiece.py --tables with tokenizers "
                f"{tokenizers.__version__}. */\n#include \"text/wordpiece_data.h\"\n")
        for name, rows in (("removed", [(c, 0) for c in removed]),
                           ("accents", [(c, 0) for c in sorted(accents)]),
                           ("combining", [(c, 0) for c in combining]),
                           ("punct", [(c, 0) for c in punct]), ("marks", list(marks(accents)))):
            write_table(f, name, ranges(rows))


if __name__ == "__main__":
    if sys.argv[1:] == ["--tables"]:
        write_tables()
    else:
        if sys.argv[1:] == ["--train"]:
            train(False)
            train(True)
        write_goldens()
