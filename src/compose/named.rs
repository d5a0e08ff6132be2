//! Values that users write as a word: how they are found by name, and how serde spells them.

use std::fmt::Display;

use crate::{Error, ErrorCode, Result};

/// The value among `all` that prints as `text`, or an error that lists them.
pub(super) fn by_name<T: Copy + Display>(what: &str, text: &str, all: &[T]) -> Result<T> {
    let found = all.iter().find(|value| value.to_string() == text);
    found.copied().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(T::to_string).collect();
        Error::new(
            ErrorCode::BadOption,
            format!("there is no {what} {text:?}"),
            format!("use one of {}", names.join(", ")),
        )
    })
}

/// Lets serde write a type with `Display` and read it with `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> std::result::Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use serde_as_text;
