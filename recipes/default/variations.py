"""Evaluation sets with the labels as users write them: for each set (spec.json, as make_eval.py
writes it) others beside it, spec-VARIATION.json, with the same candidates, in other words.

  photo, drawing, picture   "a photo of a wolf"; templates
  plural                    "wolves"
  order                     "face of a dog" for "dog face", "face, smiling" for "smiling face"
  synonym                   another word of the commonest meaning in WordNet
  category                  which of CATEGORIES; the nearest above the commonest meaning

Pictures whose label a variation leaves as it is are not among its pictures; the label stays a
candidate, as it is, and no two candidates become the same.
usage: python3 variations.py WORDNET SPEC..."""
import json, os, re, sys
from wordnet import WordNet

# Each with the synsets that it stands for, by their first word; none within another.
CATEGORIES = {
    "animal": ["animal"], "vehicle": ["vehicle", "craft"], "fruit": ["edible fruit"],
    "vegetable": ["vegetable"], "dish of food": ["dish", "baked goods", "dessert"],
    "drink": ["beverage"], "clothing": ["clothing", "footwear", "headdress"],
    "furniture": ["furniture"], "building": ["building"], "plant": ["plant"],
    "tool": ["tool"], "weapon": ["weapon"], "musical instrument": ["musical instrument"],
    "person": ["person"], "part of the body": ["body part"],
    "sports equipment": ["sports equipment", "ball"], "toy": ["plaything"],
    "electronic device": ["electronic equipment", "computer", "telephone"],
    "weather": ["weather", "precipitation"], "sign": ["signboard", "sign"]}


def bare(label):
    return re.sub(r"^(a|an|the) ", "", label)


def article(name):
    has = bare(name) != name
    return name if has else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plural(wordnet, label):
    """Of the noun in front of what says more of it ("flags for brazil")."""
    head, *more = re.split(r"( (?:of|for|with|in|on|and) )", label, maxsplit=1)
    return wordnet.plural(head) + "".join(more) if wordnet.sense(head.split()[-1]) else None


def order(wordnet, label):
    first, *rest = label.split()
    if len(rest) != 1 or not wordnet.sense(rest[0]):
        return None
    is_thing = wordnet.sense(first) and len(first) > 1 and not first.endswith(("ing", "ed"))
    return f"{rest[0]} of {article(first)}" if is_thing else f"{rest[0]}, {first}"


def synonym(wordnet, label):
    noun = wordnet.sense(label)
    return next((w for w in noun.words if w != label), None) if noun else None


def category(wordnet, label):
    noun = wordnet.sense(label)
    for _, above in wordnet.above(noun) if noun else []:
        for name, synsets in CATEGORIES.items():
            if above.words[0] in synsets:
                return name
    return None


def renamed(classes, rename):
    """Other labels, None where there is no other that is nobody's already."""
    taken, other = set(classes), []
    for label in classes:
        new = rename(label)
        other.append(new if new and new not in taken else None)
        taken.add(new)
    return other


def write(folder, spec, name, classes, samples, template="{}"):
    with open(f"{folder}/samples-{name}.tsv", "w") as f:
        f.writelines(f"{picture}\t{label}\n" for picture, label in samples)
    with open(f"{folder}/spec-{name}.json", "w") as f:
        json.dump({**spec, "name": f"{spec['name']} {name}", "classes": classes,
                   "templates": [template], "samples": f"samples-{name}.tsv"}, f,
                  ensure_ascii=False, indent=0)
    print(f"{spec['name']} {name}: {len(samples)} pictures, {len(classes)} classes")


def vary(wordnet, path):
    folder, spec = os.path.dirname(path), json.load(open(path))
    classes = spec["classes"]
    samples = [line.rstrip("\n").split("\t") for line in open(f"{folder}/{spec['samples']}")]
    samples = [(picture, int(label)) for picture, label in samples]
    with_article = [article(label) for label in classes]
    for name in ("photo", "drawing", "picture"):
        write(folder, spec, name, with_article, samples, f"a {name} of {{}}")
    for name, rename in (("plural", plural), ("order", order), ("synonym", synonym)):
        other = renamed(classes, lambda label: rename(wordnet, bare(label)))
        write(folder, spec, name, [new or old for new, old in zip(other, classes)],
              [s for s in samples if other[s[1]]])
    names = list(CATEGORIES)
    which = [category(wordnet, bare(label)) for label in classes]
    write(folder, spec, "category", names,
          [(picture, names.index(which[label])) for picture, label in samples if which[label]])


for spec in sys.argv[2:]:
    vary(WordNet(sys.argv[1]), spec)
