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

/// The folders of `src`, bottom first: each names only folders below it and itself.
const LAYERS: [&[&str]; 8] = [
    &["error", "lanes"],
    &["image", "kernels", "sampling"],
    &["weights", "compose"],
    &["nn"],
    &["text", "vae", "transparency"],
    &["unet"],
    &["pack"],
    &["pipeline"],
];

/// The names after `from` in the code of `text` that is not in its tests, as in `crate::NAME`.
fn named_after<'t>(text: &'t str, from: &'t str) -> impl Iterator<Item = &'t str> {
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(move |line| {
        let parts = line
            .match_indices(from)
            .map(move |(at, _)| &line[at + from.len()..]);
        parts.map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default()
        })
    })
}

#[test]
fn no_folder_names_one_above_it() {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests run by cargo");
    let root = Path::new(&root).join("src");
    let layer = |name: &str| LAYERS.iter().position(|names| names.contains(&name));
    let mut found = Vec::new();
    let mut seen = 0;
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let folder = inside.iter().next().unwrap().to_str().unwrap();
        let Some(own) = layer(folder) else { continue };
        let text = std::fs::read_to_string(&path).unwrap();
        for name in named_after(&text, "crate::") {
            seen += 1;
            if name != folder && layer(name).is_some_and(|other| other >= own) {
                found.push(format!("{} names {name}", inside.display()));
            }
        }
    }
    assert!(seen > 100, "imports are not found any more");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_two_files_of_a_folder_name_each_other() {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests run by cargo");
    let root = Path::new(&root).join("src");
    let mut names = std::collections::BTreeMap::new();
    for path in sources(&root) {
        let text = std::fs::read_to_string(&path).unwrap();
        let beside: Vec<PathBuf> = named_after(&text, "super::")
            .map(|name| path.with_file_name(format!("{name}.rs")))
            .filter(|other| other.exists() && *other != path)
            .collect();
        names.insert(path, beside);
    }
    // Files that name none of those that are left are taken away until none can be.
    while let Some(free) = names
        .iter()
        .find(|(_, beside)| beside.iter().all(|other| !names.contains_key(other)))
        .map(|(path, _)| path.clone())
    {
        names.remove(&free);
    }
    assert!(names.is_empty(), "a circle is among {:#?}", names.keys());
}
