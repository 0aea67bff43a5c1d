//! The soname of the shared library; dlclose(3) leaves it mapped.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcr_run.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
