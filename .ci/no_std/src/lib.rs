#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use drupe_core::{Config, ListenerId, Machine, Peer, Time, app::Echo};

struct None;

unsafe impl GlobalAlloc for None {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: None = None;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
pub extern "C" fn machine() -> bool {
    Machine::new(Config::default(), Echo).accepted(Time::START, ListenerId::new(0), Peer::Local).is_ok()
}
