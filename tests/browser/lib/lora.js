import { writeSafetensors } from "./safetensors.js";

/** The bytes of a LoRA for one layer of the built-in model, of rank 1. */
export function miniLora() {
  const layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k";
  const ones = (shape) => ({ dtype: "F32", shape, bytes: Buffer.from(new Float32Array(Math.max(...shape)).fill(1).buffer) });
  const tensors = { [`${layer}.lora_down.weight`]: ones([1, 128]), [`${layer}.lora_up.weight`]: ones([160, 1]) };
  return writeSafetensors(new Map(Object.entries(tensors)));
}
