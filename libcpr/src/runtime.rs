//! What stands in for Rust's standard library: nothing but the end on a panic, which no code here asks for.
//!
//! Only in builds with `panic = "abort"` (profile `libcr`). Others, of tests and lints, have the standard library.

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort takes nothing and does not return.
    unsafe { libc::abort() }
}
