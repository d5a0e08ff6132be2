"""Token ids to text features, by transformers' CLIPTextModel."""

import model
from cases import Recipe


def recipe(name):
    return Recipe("transformers CLIPTextModel", compute) if name == "text" else None


def compute(case):
    encoder = model.text_encoder(case.root)
    output = encoder(case["input_ids"].long(), output_hidden_states=True)
    embeddings, first, last = output.hidden_states
    return {
        "last_hidden_state": output.last_hidden_state,
        "clip_skip_2": encoder.final_layer_norm(first),
        "debug_embeddings": embeddings[:1],
        "debug_layer_0": first[:1],
        "debug_layer_1": last[:1],
    }
