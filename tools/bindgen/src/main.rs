//! `glassine-bindgen MODULE.wasm OUT_DIR`: the part of `wasm-bindgen --target web`
//! that glassine needs. It writes `glassine.js` and `glassine_bg.wasm` into OUT_DIR.

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [module, out_dir] = args.as_slice() else {
        bail!("usage: glassine-bindgen MODULE.wasm OUT_DIR");
    };
    Bindgen::new()
        .web(true)?
        // Its types are written by hand, in pkg/src/wasm.
        .typescript(false)
        // The worker says where the module is.
        .omit_default_module_path(true)
        .remove_name_section(true)
        .out_name("glassine")
        .input_path(module)
        .generate(out_dir)
        .with_context(|| format!("cannot make bindings for {module}"))
}
