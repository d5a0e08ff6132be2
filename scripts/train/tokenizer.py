"""Stage 0: a small CLIP-style byte-level BPE vocabulary learned from the captions.

Layout of the vocabulary as in CLIP: 256 byte symbols, the same with "</w>", one entry per merge,
then <|startoftext|> and <|endoftext|>.
"""
import collections, json, os, re
import numpy as np

import captions, data, effects, procedural

MERGES = 2000
# words worth a token although no caption needs them often
EXTRA_WORDS = "photo picture image icon drawing illustration high quality detailed cute small big isolated transparent background 4k best render emoji of the in and on clean simple white black grey pink brown gold silver"
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+")


def byte_symbols():
    """The printable stand-in character of each byte, in CLIP's order."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    rest = [b for b in range(256) if b not in keep]
    return {b: chr(b) for b in keep} | {b: chr(256 + i) for i, b in enumerate(rest)}


def corpus():
    """Words with counts: many random captions, and once each the labels and tags of all emoji."""
    rng = np.random.default_rng(11)
    count = collections.Counter()
    nouns = [(c.noun, c.synonyms) for c in data.concepts().values()] + [(n, procedural.SYNONYMS.get(n, [])) for n in procedural.nouns()]
    for noun, synonyms in nouns:
        for _ in range(40):
            d = dict(noun=noun, synonyms=synonyms, style=data.SETS[rng.integers(len(data.SETS))][2], effect=effects.EFFECTS[rng.integers(len(effects.EFFECTS))])
            count.update(WORD.findall(captions.of_object(d, rng).lower()))
    for kind, (_, slots) in captions.SCENES.items():
        for light in ("day", "overcast", "sunset", "night"):
            for _ in range(60):
                s = dict(kind=kind, light=light, words="wooden" if kind == "table" else "blue" if kind == "plain" else "")
                d = dict(noun=nouns[rng.integers(len(nouns))][0], synonyms=[], style="flat")
                count.update(WORD.findall((captions.of_background(s, rng) + " " + captions.of_blend(d, s, list(slots)[rng.integers(len(slots))], rng)).lower()))
    for e in json.load(open(data.package("emojibase-data") + "/en/data.json")):
        count.update(WORD.findall((e["label"] + " " + " ".join(e.get("tags", []))).lower()))
    for words in EXTRA_WORDS.split():
        count[words] += 20
    return count


def learn(count, n):
    sym = byte_symbols()
    words = []
    for w, c in count.items():
        s = [sym[b] for b in w.encode()]
        words.append(([*s[:-1], s[-1] + "</w>"], c))
    merges = []
    while len(merges) < n:
        pairs = collections.Counter()
        for s, c in words:
            for p in zip(s, s[1:]):
                pairs[p] += c
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for s, _ in words:
            i = 0
            while i < len(s) - 1:
                if s[i] == best[0] and s[i + 1] == best[1]:
                    s[i:i + 2] = [s[i] + s[i + 1]]
                i += 1
    return merges


def write(merges_txt, folder=None):
    """The files of a CLIP tokenizer from the text of its merges.txt."""
    folder = folder or os.path.join(data.WORK, "tokenizer")
    os.makedirs(folder, exist_ok=True)
    merges = [line.split() for line in merges_txt.splitlines() if line and not line.startswith("#version")]
    base = list(byte_symbols().values())
    tokens = base + [b + "</w>" for b in base] + ["".join(m) for m in merges] + [BOS, EOS]
    assert len(set(tokens)) == len(tokens)
    json.dump({t: i for i, t in enumerate(tokens)}, open(folder + "/vocab.json", "w"), ensure_ascii=False)
    added = lambda t: dict(content=t, lstrip=False, normalized=True, rstrip=False, single_word=False)
    json.dump(dict(bos_token=added(BOS), eos_token=added(EOS), pad_token=EOS, unk_token=added(EOS)), open(folder + "/special_tokens_map.json", "w"), indent=1)
    json.dump(dict(add_prefix_space=False, bos_token=dict(added(BOS), __type="AddedToken"), eos_token=dict(added(EOS), __type="AddedToken"),
                   do_lower_case=True, errors="replace", model_max_length=77, pad_token=EOS, tokenizer_class="CLIPTokenizer",
                   unk_token=dict(added(EOS), __type="AddedToken")), open(folder + "/tokenizer_config.json", "w"), indent=1)
    with open(folder + "/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    print(len(tokens), "tokens,", len(merges), "merges")


def build():
    """The folder of the tokenizer, which is learned now unless it is there."""
    folder = os.path.join(data.WORK, "tokenizer")
    if not os.path.exists(folder + "/merges.txt"):
        write("".join(f"{a} {b}\n" for a, b in learn(corpus(), MERGES)), folder)
    return folder


class Tokenizer:
    """The few lines of CLIP tokenization that training needs (77 ids, padded with <|endoftext|>)."""

    def __init__(self, folder=None):
        folder = folder or build()
        self.vocab = json.load(open(folder + "/vocab.json"))
        lines = open(folder + "/merges.txt").read().splitlines()[1:]
        self.rank = {tuple(l.split()): i for i, l in enumerate(lines)}
        self.sym, self.cache = byte_symbols(), {}
        self.bos, self.eos = self.vocab[BOS], self.vocab[EOS]

    def word(self, w):
        if w not in self.cache:
            s = [self.sym[b] for b in w.encode()]
            s[-1] += "</w>"
            while len(s) > 1:
                rank, i = min((self.rank.get(p, 1 << 30), i) for i, p in enumerate(zip(s, s[1:])))
                if rank == 1 << 30:
                    break
                s[i:i + 2] = [s[i] + s[i + 1]]
            self.cache[w] = [self.vocab[t] for t in s]
        return self.cache[w]

    def __call__(self, text, length=77):
        ids = [i for w in WORD.findall(text.lower()) for i in self.word(w)][:length - 2]
        return [self.bos] + ids + [self.eos] * (length - 1 - len(ids))


if __name__ == "__main__":
    build()
