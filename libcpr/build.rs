//! Names of the shared library: its soname, that it looks for libcr beside itself, and that dlclose(3) leaves it mapped, because its handlers stay registered.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=REPRISE_BINDIR");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcpr.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-rpath,$ORIGIN");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
