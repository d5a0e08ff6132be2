//! The crate's tests, in one program: what they have in common is made once, and no core waits for the end of another file.

mod support;

mod additions;
mod architecture;
mod command_line;
mod compose;
mod composing;
mod damaged;
mod export;
mod growing;
mod lora_files;
mod opening;
mod outputs;
mod package_types;
mod packing;
mod pictures;
mod recipes;
mod reference;
mod seams;
mod torch_files;
