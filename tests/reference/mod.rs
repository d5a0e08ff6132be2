//! What is compared with expected numbers of the reference implementations.

mod checkpoints;
mod lora;
mod models;
mod noise;
mod pad_rgb;
mod pipeline;
mod prompts;
mod quantization;
mod repainting;
mod samplers;
mod tokenizer;
mod transparency;
