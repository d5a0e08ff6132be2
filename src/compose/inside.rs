//! Paths that stay where they begin.

/// A relative path in its shortest form, with `/` between its parts; `None` for one that leads out of where it
/// begins.
pub(super) fn inside(path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    if path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            // Windows takes it for a drive.
            part if parts.is_empty() && part.as_bytes().get(1) == Some(&b':') => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn paths_stay_inside() {
        for (path, expected) in [
            ("a.png", Some("a.png")),
            ("./more//c.png", Some("more/c.png")),
            ("more\\c.png", Some("more/c.png")),
            ("a/../b", Some("b")),
            ("folder/", Some("folder")),
            ("../a", None),
            ("a/../../b", None),
            ("/etc/passwd", None),
            ("\\\\server\\share", None),
            ("c:/a", None),
            ("at 12:30/a:b", Some("at 12:30/a:b")),
            ("a\0b", None),
        ] {
            assert_eq!(inside(path).as_deref(), expected, "{path}");
        }
    }
}
