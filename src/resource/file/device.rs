//! Character devices that are memory: null, zero, full, random, urandom.
//!
//! **Kept:** which device, access mode and flags.
//! **Lost:** nothing.
//! **Refused:** every other character device that is not a terminal, and block devices: their state is in a driver.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::proc::Device as Number;
use crate::resource::actor::Actor;
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Plan, Probe};
use crate::sys::Errno;

/// Minor numbers of major 1 (the kernel's devices.txt) that hold no state, with their usual paths.
const STATELESS: &[(u32, &str)] = &[(3, "/dev/null"), (5, "/dev/zero"), (7, "/dev/full"), (8, "/dev/random"), (9, "/dev/urandom")];

/// Devices that are no terminals.
pub struct Device;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceV1 {
    /// Its path.
    #[serde(with = "crate::image::path")]
    pub path: PathBuf,
    /// Major and minor number.
    pub number: (u32, u32),
}

impl DeviceV1 {
    fn usual_path(&self) -> Option<&'static str> {
        STATELESS.iter().find(|(minor, _)| self.number == (1, *minor)).map(|(_, path)| *path)
    }

    /// Where the device is now: at its path, else at its usual one.
    fn find(&self, path: PathBuf, actor: &Actor) -> Result<PathBuf, KindError> {
        let is_it =
            |path: &PathBuf| actor.look(path).is_ok_and(|found| found.mode & libc::S_IFMT == libc::S_IFCHR && found.rdev == self.rdev());
        let usual = self.usual_path().map(PathBuf::from);
        let found = [Some(path.clone()), usual].into_iter().flatten().find(is_it);
        found.ok_or_else(|| KindError::path(format!("find the device {}:{} at", self.number.0, self.number.1), path, Errno::ENOENT))
    }

    fn rdev(&self) -> u64 {
        Number { major: self.number.0, minor: self.number.1 }.to_dev_t()
    }
}

impl FileKind for Device {
    type State = DeviceV1;
    const TAG: Tag = Tag::new("device", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        matches!(probe.file_type(), libc::S_IFCHR | libc::S_IFBLK)
    }

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Path(probe.stat.dev, probe.stat.ino, probe.link.to_owned())
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<DeviceV1, KindError> {
        let probe = probes[0];
        let special = probe.stat.special();
        let state = DeviceV1 { path: probe.link.to_owned(), number: (special.major, special.minor) };
        if probe.file_type() == libc::S_IFCHR && state.usual_path().is_some() {
            return Ok(state);
        }
        let word = if probe.file_type() == libc::S_IFBLK { "block" } else { "character" };
        let what = format!("the {word} device {} ({special})", probe.link.display());
        Err(KindError::Unsupported { what, remedy: "let the program close it first".into() })
    }

    fn plan(&self, state: &DeviceV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        state.find((cx.path)(&state.path), cx.actor).map(drop)
    }

    fn build(&self, _: &DeviceV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        Ok(Built::default())
    }

    fn open(&self, state: &DeviceV1, _: &Built, description: &Description, cx: &mut Build<'_>) -> Result<Opened, KindError> {
        let path = state.find((cx.path)(&state.path), cx.actor)?;
        open::open_path(cx.actor, &path, description.flags, None, &mut cx.warnings).map(Opened::New)
    }
}

#[cfg(test)]
mod test {
    use std::fs::File;

    use super::super::test::{Round, with_plan};
    use super::*;

    #[test]
    fn null_comes_back_with_its_access_mode() {
        let null = File::options().write(true).open("/dev/null").unwrap();
        let again = Round::of(&Device, &[&null]).open(0);
        assert_eq!(nix::unistd::write(&again, b"x"), Ok(1));
        assert_eq!(nix::unistd::read(&again, &mut [0]), Err(Errno::EBADF));
    }

    #[test]
    fn a_device_elsewhere_is_found_at_its_usual_path() {
        let state = DeviceV1 { path: "/somewhere/else".into(), number: (1, 5) };
        assert_eq!(with_plan(&Device, &state), (None, vec![]));
        assert_eq!(state.find("/somewhere/else".into(), &Actor::ours()).unwrap(), PathBuf::from("/dev/zero"));
        let state = DeviceV1 { path: "/dev/null".into(), number: (10, 229) };
        assert_eq!(with_plan(&Device, &state).0.unwrap(), "cannot find the device 10:229 at /dev/null");
    }
}
