//! Control pictures: what `--control` and its options, each as often, ask for, and how a recipe says it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use glassine::image::Recipe;
use glassine::pipeline::{Control, ControlNetFile, needed_by};
use glassine::{Error, ErrorCode, Result};
use serde_json::{Value, json};

use crate::arguments::Generate;
use crate::files;
use crate::recipe::short;

/// What `--controlnet` names the pack's own by.
const OWN: &str = "pack";

/// Refuses more of an option than there are pictures.
pub fn check(arguments: &Generate) -> Result<()> {
    let given = [
        ("--controlnet", arguments.controlnets.len()),
        ("--control-scale", arguments.control_scale.len()),
        ("--control-start", arguments.control_start.len()),
        ("--control-end", arguments.control_end.len()),
    ];
    let pictures = arguments.controls.len();
    needed_by(
        "--control",
        pictures > 0,
        &given.map(|(option, count)| (option, count > 0)),
    )?;
    match given.into_iter().find(|(_, count)| *count > pictures) {
        None => Ok(()),
        Some((option, count)) => Err(Error::new(
            ErrorCode::BadOption,
            format!("there are {count} {option} for {pictures} --control"),
            "give one for each picture at most: the first is the first picture's",
        )),
    }
}

/// The ControlNets' files.
pub fn files(arguments: &Generate) -> impl Iterator<Item = &PathBuf> {
    let named = arguments.controlnets.iter();
    named.filter(|path| path.as_os_str() != OWN)
}

/// The controls that the arguments describe.
pub fn read(arguments: &Generate) -> Result<Vec<Control>> {
    // One that sees several pictures is loaded once.
    let mut opened = BTreeMap::new();
    for path in files(arguments) {
        if !opened.contains_key(path) {
            opened.insert(path, ControlNetFile::open(path)?);
        }
    }
    let mut controls = Vec::new();
    for (index, path) in arguments.controls.iter().enumerate() {
        let mut control = Control::new(files::read_picture(path)?);
        let named = arguments.controlnets.get(index);
        control.controlnet = named.and_then(|path| opened.get(path).cloned());
        let given = |list: &[f64]| list.get(index).copied();
        control.scale = given(&arguments.control_scale).map_or(control.scale, |scale| scale as f32);
        control.start = given(&arguments.control_start).unwrap_or(control.start);
        control.end = given(&arguments.control_end).unwrap_or(control.end);
        controls.push(control);
    }
    Ok(controls)
}

/// Controls as a recipe's list has them.
pub fn recorded(controls: &[Control]) -> Value {
    let each = controls.iter().map(|control| {
        let mut fields = json!({
            "scale": short(control.scale),
            "start": control.start,
            "end": control.end,
        });
        if let Some(file) = &control.controlnet {
            fields["controlnet"] = file.name().into();
        }
        fields
    });
    each.collect()
}

/// Fills in how strongly and when each picture steers where the command line leaves it out, and says what it could not.
pub fn fill(arguments: &mut Generate, recipe: &Recipe) -> Option<String> {
    let single = ["controlScale", "controlStart", "controlEnd"].map(|field| recipe.get(field));
    let list = recipe.get("controls").and_then(Value::as_array);
    let recorded: Vec<[Option<&Value>; 3]> = match list {
        Some(list) => {
            let fields = ["scale", "start", "end"];
            let values = list.iter().map(|one| fields.map(|field| one.get(field)));
            values.collect()
        }
        None if single.iter().any(Option::is_some) => vec![single],
        None => return None,
    };
    let pictures = arguments.controls.len();
    if pictures != recorded.len() {
        let count = recorded.len();
        return Some(match pictures {
            0 => "it was made with --control, which is not given".into(),
            _ => format!("it was made with {count} --control, and {pictures} are given"),
        });
    }
    for (index, [scale, start, end]) in recorded.into_iter().enumerate() {
        let number = |value: Option<&Value>| value.and_then(Value::as_f64);
        let default = [1.0, 0.0, 1.0];
        let lists = [
            &mut arguments.control_scale,
            &mut arguments.control_start,
            &mut arguments.control_end,
        ];
        for ((list, value), default) in lists.into_iter().zip([scale, start, end]).zip(default) {
            if list.len() == index {
                list.push(number(value).unwrap_or(default));
            }
        }
    }
    None
}
