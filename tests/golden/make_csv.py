"""Tables as Python's csv module reads them, strictly: tests/golden/csv/N.csv (N.tsv: tabs) and
records.json, {"N.csv": [[field, ..], ..]}.

usage: python3 tests/golden/make_csv.py      (from the project's root; nothing but Python)
"""
import csv, io, json, os

ROOT = "tests/golden/csv"
TEXTS = {
    "plain.csv": 'filepath,title\na.png,a cat\nb.png,two dogs\n',
    "quoted.csv": 'filepath,title,n\r\n"a, b.png","say ""hi""",1\r\nc.png,"two\nlines",2\r\n"",\'x\',"3"',
    "odd.csv": '\ufefffilepath,title\n\n\r\na.png,in "the middle"\r b,\n,,,\n"","",\rlast,',
    "wide.tsv": 'title\tfilepath\tid\na, b\t"x\ty"\t1\n"q""\n"\tz\t2\n\t\t\n',
}


def main():
    os.makedirs(ROOT, exist_ok=True)
    records = {}
    for name, text in TEXTS.items():
        open(f"{ROOT}/{name}", "w", newline="").write(text)
        text = io.StringIO(text.removeprefix("\ufeff"), newline="")
        tabs = "\t" if name.endswith(".tsv") else ","
        records[name] = [r for r in csv.reader(text, delimiter=tabs, strict=True) if r]
    json.dump(records, open(f"{ROOT}/records.json", "w"), ensure_ascii=False)


main()
