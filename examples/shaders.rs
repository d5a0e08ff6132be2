//! Writes the shaders of the large models into a folder: `shaders FOLDER`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("name a folder"));
    for (name, text) in glassine::internals::kernels::shaders() {
        std::fs::write(folder.join(name + ".wgsl"), text)?;
    }
    Ok(())
}
