import { writeSafetensors } from "./safetensors.js";

const ones = (shape) => {
  const count = shape.reduce((product, side) => product * side, 1);
  return { dtype: "F32", shape, bytes: Buffer.from(new Float32Array(count).fill(1).buffer) };
};

/** The bytes of a LoRA for one layer, of the built-in model unless another is named, with what its file says of itself. */
export function miniLora({
  layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k",
  rank = 1,
  metadata,
} = {}) {
  const tensors = { [`${layer}.lora_down.weight`]: ones([rank, 128]), [`${layer}.lora_up.weight`]: ones([160, rank]) };
  return writeSafetensors(new Map(Object.entries(tensors)), metadata);
}

/** The bytes of an embedding of one vector, which is that wide. */
export function miniEmbedding(width) {
  return writeSafetensors(new Map([["emb_params", ones([1, width])]]));
}
