//! `glassine-bindgen MODULE.wasm OUT_DIR NAME`: the part of `wasm-bindgen --target web`
//! that glassine needs. It writes `NAME.js`, `NAME.d.ts` and `NAME_bg.wasm` into OUT_DIR.

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [module, out_dir, name] = args.as_slice() else {
        bail!("usage: glassine-bindgen MODULE.wasm OUT_DIR NAME");
    };
    Bindgen::new()
        .web(true)?
        .typescript(true)
        // The worker says where the module is.
        .omit_default_module_path(true)
        .remove_name_section(true)
        .out_name(name)
        .input_path(module)
        .generate(out_dir)
        .with_context(|| format!("cannot make bindings for {module}"))
}
