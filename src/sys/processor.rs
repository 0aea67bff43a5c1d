//! What the processor is: `cpuid` and `xgetbv` (Intel SDM volume 1, chapter 13).
#![allow(unsafe_code)]

use std::arch::x86_64::{__cpuid, __cpuid_count};

/// The extended state components in use (XCR0) and the size in bytes of the area that holds them; zeros without XSAVE.
pub fn xstate() -> (u64, u32) {
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return (0, 0);
    }
    let leaf = __cpuid_count(0xd, 0);
    (u64::from(leaf.eax) | u64::from(leaf.edx) << 32, leaf.ebx)
}
