//! Glassine's own recipe, as a file has it: it may be anybody's.

use serde_json::Value;

use super::Recipe;
use super::reading::ReadRecipe;

/// Whether a value is of a kind.
type IsKind = fn(&Value) -> bool;

/// What fields are that have a meaning here. Others are kept as they are.
const KINDS: [(&str, IsKind); 21] = [
    ("prompt", Value::is_string),
    ("negativePrompt", Value::is_string),
    ("foregroundPrompt", Value::is_string),
    ("backgroundPrompt", Value::is_string),
    ("blendedPrompt", Value::is_string),
    ("mode", Value::is_string),
    ("model", Value::is_string),
    ("sampler", Value::is_string),
    ("convention", Value::is_string),
    ("steps", Value::is_u64),
    ("seed", Value::is_u64),
    ("width", Value::is_u64),
    ("height", Value::is_u64),
    ("clipSkip", Value::is_u64),
    ("guidance", Value::is_number),
    ("strength", Value::is_number),
    ("variation", Value::is_object),
    ("hires", Value::is_object),
    ("loras", are_files),
    ("embeddings", are_files),
    ("controls", are_objects),
];

fn are_objects(value: &Value) -> bool {
    let objects = value.as_array();
    objects.is_some_and(|objects| objects.iter().all(Value::is_object))
}

fn are_files(value: &Value) -> bool {
    let is_file = |file: &Value| file.get("name").is_some_and(Value::is_string);
    value
        .as_array()
        .is_some_and(|files| files.iter().all(is_file))
}

/// The recipe that is written as `json`; `None` if that is none.
pub(super) fn recipe(json: &str) -> Option<ReadRecipe> {
    serde_json::from_str(json).ok().map(checked)
}

/// Whether an object has anything of a recipe.
pub(super) fn is_recipe(object: &Recipe) -> bool {
    KINDS.iter().any(|(field, _)| object.contains_key(*field))
}

/// A recipe without fields that are not of their kind.
pub(super) fn checked(recipe: Recipe) -> ReadRecipe {
    let mut read = ReadRecipe {
        recipe,
        ..ReadRecipe::default()
    };
    for (field, fits) in KINDS {
        let wrong = read.recipe.get(field).filter(|value| !fits(value)).cloned();
        if let Some(value) = wrong {
            read.recipe.remove(field);
            read.keep(field, &value.to_string());
            read.warn(format!("its {field} is not what it has to be"));
        }
    }
    read
}
