use crate::memory::peak_of;
use drupe_core::settings::Sources;

/// Any text as a configuration file, and as a value of the environment and of the command line.
///
/// # Panics
/// If an error can't be shown on a terminal as it is, or repeats much of what it blames.
pub fn settings(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let (key, value) = text.split_once('\n').unwrap_or((text, ""));
    let peak = peak_of(|| {
        for sources in [
            Sources::new().file("drupe.yaml", text),
            Sources::new().environment([(key, value)]),
            Sources::new().set(key, value),
        ] {
            let Err(errors) = sources.resolve() else { continue };
            let shown = errors.to_string();
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
            assert!(shown.len() < 64 << 10, "{} bytes of errors for {} bytes of text", shown.len(), text.len());
        }
    });
    assert!(peak < (8 << 20) + 64 * data.len().cast_signed(), "{peak} bytes for {}", data.len());
}
