//! Sets the stack of the browser build.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        // One mebibyte, the linker's own choice, is little for building a model of many layers.
        println!("cargo:rustc-cdylib-link-arg=-zstack-size=4194304");
    }
}
