//! What the processor is: `cpuid` and `xgetbv` (Intel SDM volume 1, chapter 13).
#![allow(unsafe_code)]

use std::arch::x86_64::{__cpuid, __cpuid_count, _rdtsc};

/// The time stamp counter (`rdtsc`): some billion ticks a second, at the same rate on all processors.
pub fn ticks() -> u64 {
    // SAFETY: it takes nothing and touches no memory; no process of ours forbids itself the instruction.
    unsafe { _rdtsc() }
}

/// The extended state components in use (XCR0) and the size in bytes of the area that holds them; zeros without XSAVE.
pub fn xstate() -> (u64, u32) {
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return (0, 0);
    }
    let leaf = __cpuid_count(0xd, 0);
    (u64::from(leaf.eax) | u64::from(leaf.edx) << 32, leaf.ebx)
}
