"""Goldens of SentencePiece and tokenizer.json in tests/golden/spm/.

  NAME.model, NAME.json   tiny vocabularies, trained on the sentences of make_wordpiece.py
  NAME/                   folders as on the hub, with the files that transformers reads
  texts.jsonl             {"text"}
  NAME.ids                the reference's ids, one line a text: sentencepiece for *.model,
                          tokenizers for *.json (without what begins and ends a text),
                          open_clip's HFTokenizer or transformers' AutoTokenizer for folders
                          (rows of context_length)

usage: python3 tests/golden/make_spm.py            (from the project's root)
       python3 tests/golden/make_spm.py --train    new vocabularies first
"""
import io, json, os, random, shutil, sys, unicodedata

sys.path.insert(0, "tests/golden")
import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import AddedToken, Regex, Tokenizer, models
from tokenizers import normalizers as N, pre_tokenizers as P, processors as R, trainers as T

from make_wordpiece import POOLS, SENTENCES, TEXTS

HERE = "tests/golden/spm/"
# Few rules, so that models stay small: SentencePiece's own have a quarter of a megabyte.
RULES = [("\ufb01", "fi"), ("\uff21", "A"), ("\u00bd", "1\u20442"), ("e\u0301", "\u00e9"),
         ("\u3000", " "), ("\u200b", ""), ("\u00a0", " "), ("\t", " "), ("\n", " "), ("O", "o"),
         ("Ab", "ab"), ("\u2026", "..."), ("\u0301", "")]
MODELS = {
    "uni": dict(vocab_size=700, normalization_rule_name="nmt_nfkc"),
    "uni_user": dict(vocab_size=700, tsv=True, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                     user_defined_symbols=["<extra_0>", "foo bar", "é", "th"], control_symbols=["<ctl>"]),
    "uni_byte": dict(vocab_size=700, byte_fallback=True, character_coverage=0.98,
                     normalization_rule_name="identity"),
    "uni_raw": dict(vocab_size=700, normalization_rule_name="identity", remove_extra_whitespaces=False,
                    add_dummy_prefix=False, character_coverage=0.98),
    "uni_suffix": dict(vocab_size=700, tsv=True, treat_whitespace_as_suffix=True),
    "uni_spaces": dict(vocab_size=700, normalization_rule_name="identity", allow_whitespace_only_pieces=True,
                       remove_extra_whitespaces=False, split_by_whitespace=False),
    "bpe": dict(vocab_size=700, model_type="bpe", tsv=True),
    "bpe_gemma": dict(vocab_size=900, model_type="bpe", byte_fallback=True, split_digits=True,
                      normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
                      allow_whitespace_only_pieces=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
                      pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
                      user_defined_symbols=["<mask>", "<start_of_turn>", "\n\n", "  ", "   ", "<table>"],
                      character_coverage=0.98),
    "bpe_user": dict(vocab_size=700, model_type="bpe", user_defined_symbols=["the", "é", "foo bar"],
                     control_symbols=["<c>"], treat_whitespace_as_suffix=True, tsv=True),
}
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
MORE = ["  a", "a  b   c ", "▁", "▁a ▁▁b", "<s>", "</s>", "a </s> b", "<unk>a<unk>", "<0x41>☃", "ffff fff ff",
        "aaaaaaaaaaaaaaa", "\n\n\nx\t\ty", "foo bar<extra_0>é the th", "Ab O e\u0301 ½ ﬁ", "1234567 12,5", "<ctl><c>",
        "a<mask>b", "a   <mask>  b", "foo food FOO", "Ｂar bar", "<table>\n\n   x", "don't DON'T we'll", "3.14 1,000,000 50%",
        "Hello, World! under_score", "x" * 70, "the cat " * 40, "a\u001cb\u001dc", "☃☃ ☃", "½x²¹", "ABC abc Äpfel", "가\u11a7\u11a8 \u1100\u1161\u11a7a"]


# ---- vocabularies ------------------------------------------------------------------------

def train_models():
    with open("/tmp/rules.tsv", "w") as f:
        for a, b in RULES:
            f.write(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n")
    for name, kw in MODELS.items():
        kw = dict({"character_coverage": 0.98}, **kw)
        if kw.pop("tsv", False):
            kw["normalization_rule_tsv"] = "/tmp/rules.tsv"
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES * 4), model_writer=out, num_threads=1,
                                                 minloglevel=2, hard_vocab_limit=False, **kw)
        write_model(name, proto_of(out.getvalue()))
    for name in ("uni", "bpe"):  # pieces that are not to be used; BPE takes them apart again
        p = proto_of(open(HERE + name + ".model", "rb").read())
        if name == "uni":
            p.normalizer_spec.precompiled_charsmap = b""
        for i, piece in enumerate(p.pieces):
            if piece.type == 1 and i % 3 == 0:
                piece.type = 5
        write_model(name + "_unused", p)


def proto_of(data):
    p = pb.ModelProto()
    p.ParseFromString(data)
    return p


def write_model(name, p):
    p.trainer_spec.ClearField("input")
    p.normalizer_spec.ClearField("normalization_rule_tsv")
    with open(HERE + name + ".model", "wb") as f:
        f.write(p.SerializeToString())


def load(name):
    return proto_of(open(HERE + name + ".model", "rb").read())


def bpe(pre, norm=None, n=700, **kw):
    t = Tokenizer(models.BPE(**kw))
    t.pre_tokenizer = pre
    if norm:
        t.normalizer = norm
    affix = {k: v for k, v in kw.items() if k in ("continuing_subword_prefix", "end_of_word_suffix")}
    alphabet = P.ByteLevel.alphabet() if isinstance(pre, P.ByteLevel) or "ByteLevel" in str(pre) else []
    t.train_from_iterator(SENTENCES, T.BpeTrainer(vocab_size=n, show_progress=False, initial_alphabet=alphabet,
                                                  special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], **affix))
    return t


def unigram(name, unk=None):
    p = load(name)
    return Tokenizer(models.Unigram([(x.piece, x.score) for x in p.pieces],
                                    p.trainer_spec.unk_id if unk is None else unk, p.trainer_spec.byte_fallback))


def save(t, name):
    t.save(HERE + name + ".json", pretty=False)


def train_json():
    from transformers.tokenization_utils_base import generate_merges
    t = bpe(P.ByteLevel(add_prefix_space=False))
    t.post_processor = R.RobertaProcessing(("</s>", 2), ("<s>", 0))
    save(t, "roberta")
    t.pre_tokenizer = P.ByteLevel(add_prefix_space=True)
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.post_processor = R.Sequence([R.ByteLevel(), R.TemplateProcessing(
        single="<s> $A </s> </s>", pair="$A $B", special_tokens=[("<s>", 0), ("</s>", 2)])])
    t.enable_padding(direction="left", pad_id=1, pad_token="<pad>", length=40)
    t.enable_truncation(40, direction="left")
    save(t, "left")
    save(bpe(P.Sequence([P.Split(Regex(GPT4), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)]),
             norm=N.NFC(), ignore_merges=True), "gpt4")
    save(bpe(P.Whitespace(), norm=N.Sequence([N.NFKC(), N.Lowercase()]), unk_token="<unk>", end_of_word_suffix="</w>"),
         "suffix")
    save(bpe(P.BertPreTokenizer(), n=500, unk_token="<unk>", fuse_unk=True, continuing_subword_prefix="##"), "prefix")
    save(bpe(P.Sequence([P.Punctuation("merged_with_previous"), P.Digits(individual_digits=True), P.WhitespaceSplit()]),
             norm=N.Sequence([N.NFD(), N.StripAccents(), N.Strip(), N.Replace("a", "@@"),
                              N.Replace(Regex(r"\s+|(?<=[0-9])\."), "_"), N.Nmt()]), n=400, unk_token="<unk>"), "mixed")
    vocab = {x.piece: i for i, x in enumerate(load("bpe_gemma").pieces)}
    t = Tokenizer(models.BPE(vocab, generate_merges(vocab), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = N.Replace(" ", "▁")
    t.pre_tokenizer = P.Split(" ", "merged_with_previous")
    t.add_special_tokens(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])
    t.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("<table>"), AddedToken("▁▁", normalized=False)])
    t.post_processor = R.TemplateProcessing(single="$A <eos>", pair="$A $B", special_tokens=[("<eos>", 1)])
    save(t, "gemma")
    d = json.load(open(HERE + "gemma.json"))
    d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
    json.dump(d, open(HERE + "gemma_old.json", "w"), ensure_ascii=False)

    t = unigram("uni_user")
    t.normalizer = N.Sequence([N.Precompiled(load("uni_user").normalizer_spec.precompiled_charsmap),
                               N.Replace(Regex(" {2,}"), "▁")])
    t.pre_tokenizer = P.Metaspace(prepend_scheme="first", split=False)
    t.add_special_tokens([AddedToken("<extra_0>", rstrip=True), "</s>", "<unk>", "<extra_id_9>"])
    t.post_processor = R.TemplateProcessing(single="$A </s>", pair="$A $B", special_tokens=[("</s>", 1)])
    save(t, "t5")
    t = unigram("uni_suffix")
    t.normalizer = N.Sequence([N.Lowercase(), N.Strip(), N.Prepend("▁")])
    t.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Metaspace()])
    t.add_special_tokens(["<s>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)])
    t.add_tokens([AddedToken("foo", single_word=True), AddedToken("Bar", single_word=True, rstrip=True)])
    save(t, "added")
    d = json.load(open(HERE + "added.json"))
    d["pre_tokenizer"]["pretokenizers"][1] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True,
                                              "str_rep": "▁"}
    json.dump(d, open(HERE + "added_old.json", "w"), ensure_ascii=False)
    t = unigram("uni_byte")
    t.pre_tokenizer = P.Metaspace(prepend_scheme="never")
    save(t, "byte")

    for name, kw in (("bert", {}), ("bert_raw", dict(clean_text=False, lowercase=False, handle_chinese_chars=False))):
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = N.BertNormalizer(**kw)
        t.pre_tokenizer = P.BertPreTokenizer()
        t.train_from_iterator(SENTENCES, T.WordPieceTrainer(
            vocab_size=700, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
        t.post_processor = R.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        save(t, name)
    d = json.load(open(HERE + "bert.json"))
    d["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    d["model"].pop("type")
    json.dump(d, open(HERE + "bert_old.json", "w"), ensure_ascii=False)

    forms = [N.NFC(), N.NFD(), N.NFKC(), N.NFKD(), N.StripAccents()]
    for i, how in enumerate(["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]):
        t = unigram("uni_spaces")
        last = [P.CharDelimiterSplit("e"), P.ByteLevel(), P.Digits(), P.Digits(True), P.Whitespace()][i]
        t.pre_tokenizer = P.Sequence([P.Split(Regex(r"\w\b|\d{2}|\h{3}|[[:upper:]]|[^\w\s]"), how, invert=bool(i % 2)),
                                      P.Punctuation(how), last])
        t.normalizer = forms[i]
        save(t, "split_" + how)


# ---- folders -----------------------------------------------------------------------------

def special(content, **kw):
    return dict(dict(content=content, lstrip=False, rstrip=False, normalized=False, single_word=False, special=True), **kw)


def folder(name, files, config, open_clip=None, context=None, **kwargs):
    """files: {name in the folder: name here, or JSON to write}."""
    path = HERE + name + "/"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    for to, what in files.items():
        if isinstance(what, str) and os.path.exists(HERE + what):
            shutil.copy(HERE + what, path + to)
        elif isinstance(what, str):
            open(path + to, "w").write(what)
        else:
            json.dump(what, open(path + to, "w"), ensure_ascii=False)
    json.dump(config, open(path + "tokenizer_config.json", "w"))
    if open_clip:
        text = {"context_length": context, "hf_tokenizer_name": open_clip}
        if kwargs:
            text["tokenizer_kwargs"] = kwargs
        json.dump({"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": text}},
                  open(path + "open_clip_config.json", "w"))


def make_folders():
    folder("siglip", {"tokenizer.json": "t5.json"},
           {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "additional_special_tokens": [], "eos_token": "</s>",
            "pad_token": "</s>", "unk_token": "<unk>",
            "added_tokens_decoder": {"1": special("</s>"), "2": special("<unk>")}},
           "timm/ViT-B-16-SigLIP", 64, clean="canonicalize")
    folder("siglip2", {"tokenizer.json": "gemma.json"},
           {"tokenizer_class": "GemmaTokenizer", "padding_side": "right", "add_bos_token": False, "add_eos_token": True},
           "timm/ViT-B-16-SigLIP2", 64, clean="canonicalize")
    folder("siglip2_hf", {"tokenizer.json": "gemma.json"}, {"tokenizer_class": "Siglip2Tokenizer"})
    folder("siglip_hf", {"spiece.model": "uni_user.model"}, {"tokenizer_class": "SiglipTokenizer"})
    folder("siglip_hf_cased", {"spiece.model": "uni_suffix.model"},
           {"tokenizer_class": "SiglipTokenizer", "do_lower_case": False,
            "added_tokens_decoder": {"2": special("</s>"), "0": special("<unk>", lstrip=True)}})
    folder("xlmr", {"sentencepiece.bpe.model": "uni_suffix.model"}, {"tokenizer_class": "XLMRobertaTokenizer"},
           "xlm-roberta-base", 77)
    folder("xlmr_json", {"tokenizer.json": "added.json"},
           {"tokenizer_class": "XLMRobertaTokenizerFast", "add_prefix_space": False}, "xlm-roberta-base", 77,
           strip_sep_token=True)
    d = json.load(open(HERE + "roberta.json"))["model"]
    folder("roberta_hub", {"vocab.json": d["vocab"],
                       "merges.txt": "#version: 0.2\n" + "\n".join(" ".join(m) for m in d["merges"]) + "\n"},
           {"tokenizer_class": "RobertaTokenizer", "mask_token": special("<mask>", lstrip=True, __type="AddedToken")},
           "roberta-base", 77)
    folder("mt5", {"spiece.model": "uni_user.model"}, {"tokenizer_class": "T5Tokenizer"}, "google/mt5-base", 77)
    folder("fast", {"tokenizer.json": "left.json"}, {"tokenizer_class": "PreTrainedTokenizerFast"}, "x", 40, clean="lower")


# ---- ids ---------------------------------------------------------------------------------

def texts():
    random.seed(2)
    words = " ".join(SENTENCES).split()
    out = SENTENCES + random.sample(TEXTS[len(SENTENCES):], 60) + MORE
    for i in range(90):
        pool = random.choice(POOLS)
        text = "".join(chr(random.choice(pool)) for _ in range(random.randint(1, 16)))
        if i % 2:
            parts = random.sample(words, 2) + [text, random.choice(MORE)]
            random.shuffle(parts)
            text = random.choice(["", " ", "  ", "\u3000"]).join(parts)
        out.append(text)
    # What a later Unicode has assigned is not the same to every library.
    return [t for t in out if "\0" not in t and not any(unicodedata.category(c) == "Cn" or 0x11930 <= ord(c) <= 0x1193f
                                                        for c in t)]


def write_ids(name, rows):
    with open(HERE + name + ".ids", "w") as f:
        f.writelines(" ".join(map(str, row)) + "\n" for row in rows)


def hub_rows(name, ts):
    from open_clip.tokenizer import HFTokenizer
    from transformers import AutoTokenizer
    path = HERE + name
    if not os.path.exists(path + "/open_clip_config.json"):
        return AutoTokenizer.from_pretrained(path)(ts, max_length=64, padding="max_length", truncation=True).input_ids
    c = json.load(open(path + "/open_clip_config.json"))["model_cfg"]["text_cfg"]
    t = HFTokenizer(path, context_length=c["context_length"], **c.get("tokenizer_kwargs", {}))
    return t(ts).tolist()


def main():
    os.makedirs(HERE, exist_ok=True)
    if sys.argv[1:] == ["--train"]:
        train_models()
        train_json()
    make_folders()
    ts = texts()
    with open(HERE + "texts.jsonl", "w") as f:
        f.writelines(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in ts)
    for name in sorted(os.listdir(HERE)):
        base = name.rsplit(".", 1)[0]
        if name.endswith(".model"):
            sp = sentencepiece.SentencePieceProcessor(model_file=HERE + name)
            write_ids(base, [sp.encode(t) for t in ts])
        elif name.endswith(".json"):
            t = Tokenizer.from_file(HERE + name)
            t.no_padding()
            t.no_truncation()
            write_ids(base, [t.encode(x, add_special_tokens=False).ids for x in ts])
        elif os.path.isdir(HERE + name):
            write_ids(name, hub_rows(name, ts))
    import open_clip, transformers
    with open(HERE + "MANIFEST", "w") as f:
        f.write(f"{len(ts)} texts; python3 tests/golden/make_spm.py\nPython {sys.version.split()[0]}, sentencepiece "
                f"{sentencepiece.__version__}, tokenizers {tokenizers.__version__}, transformers "
                f"{transformers.__version__}, open_clip {open_clip.__version__}\n")


main()
