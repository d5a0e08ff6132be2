"""Prompts to token ids, by transformers' CLIPTokenizer.

CLIP's vocabulary is not in the repository. It is put together from the list of merges that the
package open-clip-torch carries as a data file.
"""

import gzip
import json
from importlib.metadata import PackageNotFoundError, files

import torch
from cases import Recipe
from transformers import CLIPTokenizer

MERGES = 48894  # CLIP uses this many of the file's
FORMS = ("ids_77", "ids_full")
START, END = "<|startoftext|>", "<|endoftext|>"


def recipe(name):
    if name == "tokenizer":
        return Recipe("transformers CLIPTokenizer", compute, limits, committed)


def prompts(case):
    return json.loads((case.folder / case.description["file"]).read_text())


def committed(case):
    """The ids of every prompt as tensors."""
    return {
        f"{index}.{form}": torch.tensor(row[form])
        for index, row in enumerate(prompts(case))
        for form in FORMS
    }


def compute(case):
    tokenizer, computed = clip_tokenizer(), {}
    for index, row in enumerate(prompts(case)):
        full = tokenizer(row["prompt"])
        padded = tokenizer(row["prompt"], padding="max_length", truncation=True, max_length=77)
        for form, encoded in zip(FORMS, (padded, full)):
            computed[f"{index}.{form}"] = torch.tensor(encoded.input_ids)
    return computed


def limits(case):
    """Every id is exact."""
    return dict.fromkeys(case.tensors, (0, None))


def write(case, computed, folder):
    """Writes the prompts with the computed ids, one a line."""
    rows = [
        row | {form: computed[f"{index}.{form}"].tolist() for form in FORMS}
        for index, row in enumerate(prompts(case))
    ]
    lines = ",\n".join(map(json.dumps, rows))
    (folder / case.description["file"]).write_text(f"[\n{lines}\n]\n")


def clip_tokenizer():
    merges = [tuple(line.split()) for line in merge_lines()[1 : MERGES + 1]]
    assert len(merges) == MERGES
    symbols = byte_symbols()
    symbols += [symbol + "</w>" for symbol in symbols]
    symbols += ["".join(pair) for pair in merges] + [START, END]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges)


def byte_symbols():
    """The printable character that stands for each byte, in the vocabulary's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]


def merge_lines():
    try:
        packed = [file for file in files("open-clip-torch") if file.name == "bpe_simple_vocab_16e6.txt.gz"]
    except PackageNotFoundError:
        raise SystemExit(
            "error: CLIP's merges are missing: pip install --no-deps -r scripts/golden/requirements-data.txt"
        ) from None
    return gzip.decompress(packed[0].locate().read_bytes()).decode().splitlines()
