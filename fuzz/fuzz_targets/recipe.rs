//! How pictures were made: whatever a file says of it is read within bounds, and what was read is written again as
//! what it is.

#![no_main]

use glassine::image::{parameters, read_recipe};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(read)) = read_recipe(bytes) else {
        return;
    };
    let text = parameters(&read.recipe);
    // What is longer than is read of a stranger is not read again.
    if text.len() > 1 << 16 {
        return;
    }
    let again = read_recipe(&png(&text)).expect("a picture");
    let again = again.unwrap_or_default();
    for field in ["prompt", "negativePrompt"] {
        // LoRAs beside the prompt have become tags of it.
        if read.recipe.get("loras").is_none() {
            let [was, is] = [&read.recipe, &again.recipe].map(|recipe| {
                let text = recipe.get(field).and_then(serde_json::Value::as_str);
                text.unwrap_or_default().to_string()
            });
            assert_eq!(was, is, "{text}");
        }
    }
});

/// A PNG with a text of the web UIs, and no pixels.
fn png(text: &str) -> Vec<u8> {
    let chunk = [b"iTXtparameters\0\0\0\0\0", text.as_bytes()].concat();
    let length = (chunk.len() - 4) as u32;
    [
        b"\x89PNG\r\n\x1a\n",
        &length.to_be_bytes()[..],
        &chunk,
        &[0; 4],
    ]
    .concat()
}
