//! Texts in XMP data.

/// The longest XMP data that is read, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// The most texts that are read: elements may lie in each other.
const MAX_TEXTS: usize = 16;

/// What elements and attributes with texts of people are called.
const NAMES: [&str; 4] = ["UserComment", "description", "Parameters", "parameters"];

/// The texts that say what the user or a program has to say of a picture.
pub(super) fn texts(data: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(data).ok();
    let text = text.filter(|text| text.len() <= MAX_LENGTH);
    let options = roxmltree::ParsingOptions {
        nodes_limit: 4000,
        ..Default::default()
    };
    let document = text.and_then(|text| {
        let start = text.find('<').unwrap_or_default();
        let whole = text[start..].trim_end_matches(['\0', ' ', '\n', '\r']);
        roxmltree::Document::parse_with_options(whole, options).ok()
    });
    let Some(document) = document else {
        return Vec::new();
    };
    let named = |name: &str| NAMES.contains(&name);
    let mut texts = Vec::new();
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let attributes = node
            .attributes()
            .filter(|attribute| named(attribute.name()));
        texts.extend(attributes.map(|attribute| attribute.value().trim().to_string()));
        if named(node.tag_name().name()) {
            let inner = node.descendants().filter(roxmltree::Node::is_text);
            let inner = inner
                .filter_map(|text| text.text())
                .find(|text| !text.trim().is_empty());
            texts.extend(inner.map(|text| text.trim().to_string()));
        }
        if texts.len() >= MAX_TEXTS {
            break;
        }
    }
    texts
}
