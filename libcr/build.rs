//! Names of the shared library: its soname, and that dlclose(3) leaves it mapped, because threads of the program may be in it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=REPRISE_BINDIR");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcr.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
