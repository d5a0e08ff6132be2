//! Two borders inside the crate: what names the GPU library, and what names the browser.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Files outside `folder` in which a line of code names one of `words`.
fn trespassers(folder: &str, words: &[&str]) -> Vec<String> {
    // At run time: clones that share a target folder share test binaries.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests run by cargo");
    let root = Path::new(&root).join("src");
    let outside = sources(&root)
        .into_iter()
        .filter(|path| !path.starts_with(root.join(folder)));
    let mut found = Vec::new();
    for path in outside {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default().to_lowercase();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    found
}

#[test]
fn only_kernels_name_the_gpu_library() {
    // `wgpu` is also a value of the command line's --device.
    let found = trespassers("kernels", &["cubecl", "wgpu::", "burn_wgpu", "wgsl"]);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_web_names_the_browser() {
    let found = trespassers("web", &["wasm_bindgen", "js_sys", "web_sys"]);
    assert!(found.is_empty(), "{}", found.join("\n"));
}
