use crate::memory::peak_of;
use drupe_core::settings::Sources;

/// Parses any text as a configuration file, an environment variable and a command-line setting.
///
/// # Panics
/// If an error text contains control characters or is 64 KiB or longer, or too much memory is held.
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
