//! Saves, changes and restores the settings of the terminal of `drupe client`.

use super::outcome::Outcome;
use drupe_core::telnet::ClientMode;
use drupe_core::text::neutralize;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::{panic, process};

/// The key that asks whether to quit, as in other telnet clients: Control-].
pub(crate) const ESCAPE: u8 = 0x1d;

/// The settings of the terminal at the start, once they are known.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether the terminal is in raw mode, so that a line feed needs a carriage return.
static IS_RAW: AtomicBool = AtomicBool::new(false);

/// Saves the settings of the terminal, and restores them on a panic.
pub(crate) fn remember() -> io::Result<()> {
    static HOOK: Once = Once::new();
    *before() = Some(tcgetattr(io::stdin())?);
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            restore();
            print(panicked);
        }));
    });
    Ok(())
}

/// Restores the settings of the terminal, if they were saved.
pub(crate) fn restore() {
    if let Some(settings) = &*before() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, settings);
        IS_RAW.store(false, Ordering::SeqCst);
    }
}

/// Sets the terminal to a mode of telnet.
///
/// In line modes, the terminal edits the line. In all modes, Control-] is passed on at once.
pub(crate) fn set_mode(mode: ClientMode) -> io::Result<()> {
    // Locked until the mode is set, so that no other thread restores the terminal in between.
    let before = before();
    let Some(mut settings) = before.clone() else { return Ok(()) };
    let is_raw = mode == ClientMode::Character;
    if is_raw {
        settings.make_raw();
    } else {
        settings.input_modes |= InputModes::ICRNL;
        settings.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
        settings.local_modes |= LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO;
        settings.special_codes[SpecialCodeIndex::VEOL] = ESCAPE;
        if mode == ClientMode::Hidden {
            settings.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
        }
    }
    tcsetattr(io::stdin(), OptionalActions::Now, &settings)?;
    IS_RAW.store(is_raw, Ordering::SeqCst);
    Ok(())
}

/// Restores the terminal and exits, because another thread may be in the middle of a line.
pub(crate) fn leave(outcome: Outcome) -> ! {
    restore();
    process::exit(outcome as i32)
}

/// Prints a status line on the standard error.
pub(crate) fn say(words: &str) {
    // Some of the text comes from the server.
    let words = neutralize(words);
    let _ = if IS_RAW.load(Ordering::SeqCst) {
        write!(io::stderr(), "\r\ndrupe: {words}\r\n")
    } else {
        writeln!(io::stderr(), "drupe: {words}")
    };
}

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}
