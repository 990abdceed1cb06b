"""What ImageNet's classes are called, in the classifier's order, from WordNet: a class a line,
"word, word, word<TAB>gloss".  usage: python3 classes.py WORDNET SYNSETS > classes.tsv
SYNSETS: timm's imagenet_synsets.txt."""
import sys
from wordnet import WordNet

wordnet = WordNet(sys.argv[1])
for line in open(sys.argv[2]):
    noun = wordnet.nouns[line.strip()[1:]]
    print(", ".join(noun.words), noun.gloss, sep="\t")
