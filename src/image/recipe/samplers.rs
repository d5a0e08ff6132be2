//! What samplers are called elsewhere.

/// What a sampler is called in the web UIs. The noise schedule is part of the name, as all their versions
/// read it.
const NAMES: [(&str, &str); 8] = [
    ("dpmpp-2m-karras", "DPM++ 2M Karras"),
    ("euler", "Euler"),
    ("euler-a", "Euler a"),
    ("ddim", "DDIM"),
    ("unipc", "UniPC"),
    ("unipc-karras", "UniPC Karras"),
    ("lcm", "LCM"),
    ("tcd", "TCD"),
];

/// Schedules that are the model's own noise levels, evenly by timestep.
const EVEN: &[&str] = &["uniform", "normal"];

/// The name in the web UIs of the sampler that is called `own` here.
pub(super) fn in_web_uis(own: &str) -> Option<&'static str> {
    let known = NAMES.iter().find(|(name, _)| *name == own);
    known.map(|(_, name)| *name)
}

/// The sampler that the web UIs call `name`, with a schedule that is part of the name, as in older versions, or
/// beside it. `Automatic` is each sampler's usual one.
pub(super) fn from_web_ui(name: &str, schedule: Option<&str>) -> Option<&'static str> {
    let name = name.trim().to_lowercase();
    let schedule = schedule.map(|schedule| schedule.trim().to_lowercase());
    let (name, karras) = match name.strip_suffix(" karras") {
        Some(name) => (name, true),
        None => (name.as_str(), false),
    };
    let schedule = match schedule.as_deref() {
        None | Some("automatic") if karras => "karras",
        // Newer versions say it always; an older one's name without a schedule means an even one.
        None if name == "dpm++ 2m" => "uniform",
        None => "automatic",
        Some(schedule) => schedule,
    };
    let (own, schedules): (_, &[&str]) = match name {
        "dpm++ 2m" => ("dpmpp-2m-karras", &["karras", "automatic"]),
        "unipc" if schedule == "karras" => ("unipc-karras", &["karras"]),
        "lcm" => ("lcm", &["automatic", "sgm uniform"]),
        "tcd" => ("tcd", &["automatic", "sgm uniform"]),
        name => {
            let own = NAMES.iter().find(|(_, known)| known.to_lowercase() == name);
            let known = schedule == "automatic" || EVEN.contains(&schedule);
            return own.map(|(own, _)| *own).filter(|_| known);
        }
    };
    schedules.contains(&schedule).then_some(own)
}

/// The sampler that ComfyUI calls so.
pub(super) fn from_comfy(name: &str, schedule: &str) -> Option<&'static str> {
    let (own, schedules): (_, &[&str]) = match name {
        "dpmpp_2m" => ("dpmpp-2m-karras", &["karras"]),
        "euler" => ("euler", EVEN),
        "euler_ancestral" => ("euler-a", EVEN),
        "ddim" => ("ddim", &["ddim_uniform", "normal"]),
        "uni_pc" if schedule == "karras" => ("unipc-karras", &["karras"]),
        "uni_pc" => ("unipc", EVEN),
        "lcm" => ("lcm", &["sgm_uniform", "normal"]),
        _ => return None,
    };
    schedules.contains(&schedule).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_are_known_with_and_without_a_schedule_of_their_own() {
        for (name, schedule, own) in [
            ("DPM++ 2M Karras", None, Some("dpmpp-2m-karras")),
            (
                "dpm++ 2m karras",
                Some("Automatic"),
                Some("dpmpp-2m-karras"),
            ),
            ("DPM++ 2M", Some("Karras"), Some("dpmpp-2m-karras")),
            ("DPM++ 2M", Some("Automatic"), Some("dpmpp-2m-karras")),
            ("DPM++ 2M", None, None),
            ("DPM++ 2M", Some("Exponential"), None),
            ("DPM++ 2M SDE Karras", None, None),
            ("Euler", None, Some("euler")),
            ("Euler", Some("Automatic"), Some("euler")),
            ("Euler", Some("Uniform"), Some("euler")),
            ("Euler", Some("Karras"), None),
            ("Euler Karras", None, None),
            ("Euler A", Some("Automatic"), Some("euler-a")),
            ("DDIM", None, Some("ddim")),
            ("UniPC", Some("Automatic"), Some("unipc")),
            ("UniPC", Some("Karras"), Some("unipc-karras")),
            ("UniPC Karras", None, Some("unipc-karras")),
            ("LCM", Some("SGM Uniform"), Some("lcm")),
            ("LCM Karras", None, None),
            ("TCD", None, Some("tcd")),
            ("Heun", None, None),
        ] {
            assert_eq!(from_web_ui(name, schedule), own, "{name} {schedule:?}");
        }
        for (own, name) in NAMES {
            assert_eq!(from_web_ui(name, None), Some(own));
            assert_eq!(in_web_uis(own), Some(name));
        }
        assert_eq!(from_comfy("dpmpp_2m", "karras"), Some("dpmpp-2m-karras"));
        assert_eq!(from_comfy("euler_ancestral", "normal"), Some("euler-a"));
        assert_eq!(from_comfy("uni_pc", "karras"), Some("unipc-karras"));
        assert_eq!(from_comfy("euler", "karras"), None);
        assert_eq!(from_comfy("dpmpp_2m", "normal"), None);
    }
}
