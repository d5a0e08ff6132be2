//! Values that users write as a word: `strum` knows the words, this gives them one behaviour.

use crate::{Error, ErrorCode, Result};

/// The value of a `strum` enumeration that is written `text`, or an error that lists all words.
pub(crate) fn by_name<T>(what: &str, text: &str) -> Result<T>
where
    T: strum::VariantArray + Copy + Into<&'static str>,
{
    let found = T::VARIANTS.iter().find(|value| (**value).into() == text);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = T::VARIANTS.iter().map(|value| (*value).into()).collect();
        Error::new(
            ErrorCode::BadOption,
            format!("there is no {what} {text:?}"),
            format!("use one of {}", names.join(", ")),
        )
    })
}

/// `ALL`, `as_str`, `Display` and `FromStr` of an enumeration that derives `strum::VariantArray`
/// and `strum::IntoStaticStr`. Other spellings that are read may follow.
macro_rules! named {
    ($type:ident, $what:literal $(, $alias:literal => $variant:ident)*) => {
        impl $type {
            /// Every value, in the order in which users are shown them.
            pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

            /// The name as users write it.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                match text {
                    $($alias => Ok(Self::$variant),)*
                    _ => $crate::named::by_name($what, text),
                }
            }
        }
    };
}
pub(crate) use named;

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
pub(crate) use serde_as_text;
