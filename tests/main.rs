//! The crate's tests, in one program: what they have in common is made once, and no core waits for the end of another file.

mod support;

mod additions;
mod architecture;
mod checkpoints;
mod command_line;
mod compose;
mod composing;
mod damaged;
mod export;
mod growing;
mod lora;
mod lora_files;
mod models;
mod noise;
mod opening;
mod outputs;
mod package_types;
mod packing;
mod pad_rgb;
mod pictures;
mod pipeline;
mod prompts;
mod quantization;
mod recipes;
mod repainting;
mod samplers;
mod seams;
mod tokenizer;
mod torch_files;
mod transparency;
