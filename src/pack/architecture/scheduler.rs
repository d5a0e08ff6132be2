use serde_json::{Value, json};

use super::place::{Checked, ensure, only};

/// Beginnings of the names of diffusers' schedulers for models whose noise is not that of Stable
/// Diffusion.
const OTHERS: [&str; 3] = ["FlowMatch", "EDM", "VQDiffusion"];

/// What a scheduler's config says of the model beyond its schedule.
pub fn check(config: &Value) -> Checked<()> {
    let class = config["_class_name"].as_str().unwrap_or_default();
    ensure(!OTHERS.iter().any(|other| class.starts_with(other)), || {
        format!("its config has _class_name {class:?}")
    })?;
    only(config, "use_flow_sigmas", &[json!(false)])
}
