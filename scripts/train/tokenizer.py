"""Stage 0: a small CLIP-style byte-level BPE vocabulary learned from the captions.

Layout of the vocabulary as in CLIP: 256 byte symbols, the same with "</w>", one entry per merge,
then <|startoftext|> and <|endoftext|>.
"""
import collections, json, os, re, sys
import numpy as np

import data

MERGES = 2000
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
    for names in list(data.concepts().values()) + [[n] for n in data.procedural_nouns()]:
        for _ in range(60):
            style = data.SETS[rng.integers(len(data.SETS))][2]
            kind = data.EFFECTS[rng.integers(len(data.EFFECTS))]
            count.update(WORD.findall(data.caption(names, style, kind, rng).lower()))
    for e in json.load(open(data.package("emojibase-data") + "/en/data.json")):
        count.update(WORD.findall((e["label"] + " " + " ".join(e.get("tags", []))).lower()))
    for words in data.EXTRA_WORDS.split():
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


def build(folder=None):
    folder = folder or os.path.join(data.WORK, "tokenizer")
    if os.path.exists(folder + "/merges.txt"):
        return folder
    os.makedirs(folder, exist_ok=True)
    merges = learn(corpus(), MERGES)
    base = list(byte_symbols().values())
    tokens = base + [b + "</w>" for b in base] + ["".join(m) for m in merges] + [BOS, EOS]
    assert len(set(tokens)) == len(tokens)
    json.dump({t: i for i, t in enumerate(tokens)}, open(folder + "/vocab.json", "w"), ensure_ascii=False)
    with open(folder + "/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    added = lambda t: dict(content=t, lstrip=False, normalized=True, rstrip=False, single_word=False)
    json.dump(dict(bos_token=added(BOS), eos_token=added(EOS), pad_token=EOS, unk_token=added(EOS)), open(folder + "/special_tokens_map.json", "w"), indent=1)
    json.dump(dict(add_prefix_space=False, bos_token=dict(added(BOS), __type="AddedToken"), eos_token=dict(added(EOS), __type="AddedToken"),
                   do_lower_case=True, errors="replace", model_max_length=77, pad_token=EOS, tokenizer_class="CLIPTokenizer",
                   unk_token=dict(added(EOS), __type="AddedToken")), open(folder + "/tokenizer_config.json", "w"), indent=1)
    print(len(tokens), "tokens,", len(merges), "merges")
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
