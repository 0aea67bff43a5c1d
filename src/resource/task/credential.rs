//! Who a thread is: users, groups, capabilities, secure bits, no_new_privs (credentials(7), capabilities(7)).
//!
//! Kept: real, effective, saved and file system ids, supplementary groups, the five capability sets, secure bits with their locks.
//! Lost: what the user of the restart may not give, as capabilities he does not have (with a warning); keyrings.
//! Refused: capabilities that only hold in another user namespace than ours; a restart by somebody who is neither root nor the user of the job.
//!
//! Relies on stubs having the credentials of the restarter until then, in every thread: a thread that has what it needs is left alone,
//! so that a user without rights can restart his own job.

use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setfsgid, setfsuid};
use serde::{Deserialize, Serialize};

use super::warn;
use crate::image::{Record, RecordError, Tag};
use crate::proc::status::Ids;
use crate::proc::{IdMap, Status};
use crate::resource::{Bind, KindError, Later, Plan, Step, TaskKind, TaskProbe};
use crate::sys::act::FileRights;
use crate::sys::namespace::{Namespace, Sort};
use crate::sys::{Errno, process};
use crate::tracee::Batch;

/// See the module.
pub struct Credential;

/// Capabilities that decide about files, as CAP_FS_SET of the kernel: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID,
/// LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE.
const ON_FILES: u64 = 0b11111 | 1 << 9 | 1 << 27 | 1 << 32;

/// Our own rights, as far as files and the change of users are concerned.
pub struct OwnReach {
    own: CredentialV1,
    reach: Reach,
}

impl OwnReach {
    /// Reads them.
    pub fn of_us() -> Result<OwnReach, KindError> {
        Ok(OwnReach { own: CredentialV1::own()?, reach: Reach::own()? })
    }

    /// The rights of a job on files, if they are others than ours. Who has no capabilities has nobody else's rights, and a user namespace
    /// with one user has nobody else. Whom we may not become, the plan refuses.
    pub fn smaller(&self, job: &CredentialV1) -> Option<FileRights> {
        let (own, powers) = (&self.own, ON_FILES | 1 << CAP_SETUID | 1 << CAP_SETGID);
        if own.effective & powers == 0 || self.reach.uids.is_single() || own.may_become(job, &self.reach).is_err() {
            return None;
        }
        let may_set_groups = own.has(CAP_SETGID) && self.reach.may_set_groups;
        let rights = |of: &CredentialV1, groups: &[u32]| FileRights {
            uid: of.uids[3],
            gid: of.gids[3],
            groups: may_set_groups.then(|| groups.to_vec()),
            capabilities: of.effective & ON_FILES & own.permitted,
        };
        let theirs = rights(job, &job.groups);
        (theirs != rights(own, &own.groups)).then_some(theirs)
    }
}

/// Everything that `struct cred` of the kernel holds and shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named in credentials(7) and capabilities(7)")]
pub struct CredentialV1 {
    /// Real, effective, saved, file system.
    pub uids: [u32; 4],
    /// Real, effective, saved, file system.
    pub gids: [u32; 4],
    /// Supplementary groups, ascending.
    pub groups: Vec<u32>,
    pub inheritable: u64,
    pub permitted: u64,
    pub effective: u64,
    pub bounding: u64,
    pub ambient: u64,
    pub securebits: i32,
    pub no_new_privs: bool,
}

const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const CAP_SETPCAP: u32 = 8;
/// Secure bits. Everybody may change the first of them, with PR_SET_KEEPCAPS.
const KEEP_CAPS: i32 = 1 << 4;
const NO_SETUID_FIXUP: i32 = 1 << 2;
const N_CAPABILITIES: u32 = 64;

impl TaskKind for Credential {
    type State = CredentialV1;
    const TAG: Tag = CredentialV1::TAG;
    const STEP: Step = Step::Credentials;

    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<CredentialV1>, KindError> {
        let shown = CredentialV1::from_status(probe.status);
        refuse_rights_elsewhere(probe, &shown)?;
        let securebits = ask.call("read the secure bits", libc::SYS_prctl, [libc::PR_GET_SECUREBITS.into()]);
        Ok(Box::new(move |answers| {
            let securebits = answers.value(securebits).map_err(|errno| KindError::host("read the secure bits", errno))?;
            Ok(CredentialV1 { securebits: i32::try_from(securebits).unwrap_or(0), ..shown })
        }))
    }

    fn plan(&self, state: &CredentialV1, cx: &mut Plan<'_>) -> Result<(), KindError> {
        let own = CredentialV1::own()?;
        let reach = Reach::own()?;
        own.may_become(state, &reach)?;
        for loss in own.losses(state, &reach) {
            warn(&mut cx.warnings, loss);
        }
        Ok(())
    }

    fn apply(&self, state: &CredentialV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let own = CredentialV1::own()?;
        if own != *state {
            own.become_other(state, batch);
        }
        Ok(())
    }
}

/// Capabilities in a user namespace of one's own cost no privilege. Saved by us they would come back as capabilities among us.
fn refuse_rights_elsewhere(probe: &TaskProbe<'_>, shown: &CredentialV1) -> Result<(), KindError> {
    if shown.inheritable | shown.permitted | shown.effective | shown.ambient == 0 {
        return Ok(());
    }
    let is_own = Namespace::of(probe.tid, Sort::User).and_then(|users| users.is_own());
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    if is_own.map_err(|error| KindError::host(format!("look at the user namespace of task {}", probe.tid), errno(error)))? {
        return Ok(());
    }
    Err(KindError::Unsupported {
        what: format!("process {}, which has capabilities in a user namespace of its own,", probe.pid),
        remedy: format!("run cr_checkpoint in that namespace: nsenter -t {} -U --preserve-credentials cr_checkpoint ...", probe.pid),
    })
}

impl CredentialV1 {
    /// Tag of its records.
    pub const TAG: Tag = Tag::new("credential", 1);

    /// The state in a record, if that is one of this kind.
    pub fn of(record: &Record) -> Option<Result<CredentialV1, RecordError>> {
        (record.kind == Credential::TAG.kind).then(|| record.decode(Credential::TAG))
    }

    fn from_status(status: &Status) -> CredentialV1 {
        let ids = |ids: Ids| [ids.real, ids.effective, ids.saved, ids.fs];
        let sets = status.capabilities;
        CredentialV1 {
            uids: ids(status.uids),
            gids: ids(status.gids),
            groups: status.groups.clone(),
            inheritable: sets.inheritable,
            permitted: sets.permitted,
            effective: sets.effective,
            bounding: sets.bounding,
            ambient: sets.ambient,
            securebits: 0,
            no_new_privs: status.no_new_privs,
        }
    }

    /// What stubs inherit. A few calls rather than a file, because every thread of a job asks.
    fn own() -> Result<CredentialV1, KindError> {
        let failed = |errno| KindError::host("read our own credentials", errno);
        let (uids, gids) = (getresuid().map_err(failed)?, getresgid().map_err(failed)?);
        // An id that no user can have changes nothing and tells the present one.
        let fs = (setfsuid(Uid::from_raw(u32::MAX)), setfsgid(Gid::from_raw(u32::MAX)));
        let mut groups: Vec<u32> = getgroups().map_err(failed)?.into_iter().map(Gid::as_raw).collect();
        groups.sort_unstable();
        let sets = process::own_capabilities().map_err(failed)?;
        let set_of = |has: fn(u32) -> Result<bool, Errno>| {
            (0..N_CAPABILITIES)
                .map_while(|capability| has(capability).ok())
                .zip(0..)
                .fold(0u64, |set, (has, bit)| set | u64::from(has) << bit)
        };
        Ok(CredentialV1 {
            uids: [uids.real.as_raw(), uids.effective.as_raw(), uids.saved.as_raw(), fs.0.as_raw()],
            gids: [gids.real.as_raw(), gids.effective.as_raw(), gids.saved.as_raw(), fs.1.as_raw()],
            groups,
            inheritable: sets.inheritable,
            permitted: sets.permitted,
            effective: sets.effective,
            bounding: set_of(process::bounding_has),
            ambient: set_of(process::ambient_has),
            securebits: process::own_securebits().map_err(failed)?,
            no_new_privs: process::own_no_new_privs().map_err(failed)?,
        })
    }

    fn has(&self, capability: u32) -> bool {
        self.effective >> capability & 1 == 1
    }

    /// Fails when the ids of `wanted` are out of reach.
    fn may_become(&self, wanted: &CredentialV1, reach: &Reach) -> Result<(), KindError> {
        let within = |wanted: [u32; 4], own: [u32; 4]| wanted.iter().all(|id| own[..3].contains(id));
        let denied = |who: String| KindError::Denied {
            what: format!("the job ran as {who}, and the user of the restart may not become that"),
            remedy: "restart it as that user, or as root".into(),
        };
        let all = |ids: [u32; 4], map: &IdMap| ids.iter().all(|id| map.has(*id));
        if !(within(wanted.uids, self.uids) || self.has(CAP_SETUID) && all(wanted.uids, &reach.uids)) {
            return Err(denied(format!("user {}", list(&wanted.uids))));
        }
        if !(within(wanted.gids, self.gids) || self.has(CAP_SETGID) && all(wanted.gids, &reach.gids)) {
            return Err(denied(format!("group {}", list(&wanted.gids))));
        }
        Ok(())
    }

    /// What `wanted` has or has not, and a stub cannot be given or made to give up; one sentence each.
    fn losses(&self, wanted: &CredentialV1, reach: &Reach) -> Vec<String> {
        let mut losses = Vec::new();
        let may_set_groups = self.has(CAP_SETGID) && reach.may_set_groups;
        if reach.shown(&wanted.groups) != self.groups && !may_set_groups {
            losses.push(format!(
                "the job had the supplementary groups {}, it goes on with {}: to set them needs CAP_SETGID",
                list(&wanted.groups),
                list(&self.groups)
            ));
        }
        let missing = (wanted.permitted | wanted.ambient) & !self.permitted;
        if missing != 0 {
            losses.push(format!("the job had capabilities that we cannot give it: {}", names(missing)));
        }
        let missing = wanted.bounding & !self.bounding;
        if missing != 0 {
            losses.push(format!("the capability bounding set of the job had what ours has not: {}", names(missing)));
        }
        let excess = self.bounding & !wanted.bounding;
        if excess != 0 && !self.has(CAP_SETPCAP) {
            losses.push(format!("the capability bounding set of the job had not, and needs CAP_SETPCAP to drop: {}", names(excess)));
        }
        if wanted.securebits & !KEEP_CAPS != self.securebits & !KEEP_CAPS && !self.has(CAP_SETPCAP) {
            losses.push(format!("the secure bits {:#x} of the job need CAP_SETPCAP", wanted.securebits));
        }
        if self.no_new_privs && !wanted.no_new_privs {
            losses.push("no_new_privs is set in the restarter, and so it is in the job".into());
        }
        losses
    }

    /// Rows that turn a thread with our credentials into one with the wanted ones, as far as we may. The order matters:
    /// 1. Capabilities survive the change of ids, by the keep-caps flag at least, and for file access by no-setuid-fixup.
    /// 2. Groups before users, because user 0 may set groups.
    /// 3. Ids have taken capabilities out of the effective set: they come back from the permitted one. The inheritable set is the final
    ///    one already, because it is limited by the bounding set.
    /// 4. Ambient capabilities, which the secure bits may forbid to raise.
    /// 5. The bounding set and the secure bits, for which CAP_SETPCAP must be in force.
    /// 6. The final sets, which take it away. The kernel drops ambient capabilities that are no longer permitted.
    fn become_other(&self, wanted: &CredentialV1, batch: &mut Batch) {
        let prctl = |batch: &mut Batch, option: i32, argument: i32| {
            batch.attempt(libc::SYS_prctl, [option.into(), argument.into()]);
        };
        prctl(batch, libc::PR_SET_KEEPCAPS, 1);
        prctl(batch, libc::PR_SET_SECUREBITS, self.securebits | KEEP_CAPS | NO_SETUID_FIXUP);
        if wanted.groups != self.groups {
            let bytes: Vec<u8> = wanted.groups.iter().flat_map(|group| group.to_le_bytes()).collect();
            let groups = batch.bytes(&bytes);
            batch.attempt(libc::SYS_setgroups, [wanted.groups.len().into(), groups.into()]);
        }
        let [real, effective, saved, fs] = wanted.gids;
        batch.call("set the group ids", libc::SYS_setresgid, [real.into(), effective.into(), saved.into()]);
        batch.call("set the group id for files", libc::SYS_setfsgid, [fs.into()]);
        let [real, effective, saved, fs] = wanted.uids;
        batch.call("set the user ids", libc::SYS_setresuid, [real.into(), effective.into(), saved.into()]);
        batch.call("set the user id for files", libc::SYS_setfsuid, [fs.into()]);
        let limit = if self.has(CAP_SETPCAP) { self.bounding } else { self.permitted };
        let inheritable = wanted.inheritable & (self.inheritable | limit);
        let permitted = wanted.permitted & self.permitted;
        capset(batch, self.permitted, self.permitted, inheritable);
        batch.attempt(libc::SYS_prctl, [libc::PR_CAP_AMBIENT.into(), libc::PR_CAP_AMBIENT_CLEAR_ALL.into()]);
        for bit in bits(wanted.ambient & permitted & inheritable) {
            batch.attempt(libc::SYS_prctl, [libc::PR_CAP_AMBIENT.into(), libc::PR_CAP_AMBIENT_RAISE.into(), bit.into()]);
        }
        for bit in bits(self.bounding & !wanted.bounding) {
            batch.attempt(libc::SYS_prctl, [libc::PR_CAPBSET_DROP.into(), bit.into()]);
        }
        prctl(batch, libc::PR_SET_KEEPCAPS, i32::from(wanted.securebits & KEEP_CAPS != 0));
        prctl(batch, libc::PR_SET_SECUREBITS, wanted.securebits);
        capset(batch, permitted, wanted.effective & permitted, inheritable);
        if wanted.no_new_privs {
            batch.call("set no_new_privs", libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 1.into()]);
        }
    }
}

/// Adds capset(2) of the calling thread.
fn capset(batch: &mut Batch, permitted: u64, effective: u64, inheritable: u64) {
    const VERSION_3: u64 = 0x2008_0522;
    let header = batch.words(&[VERSION_3]);
    let half = |set: u64, at: u32| set >> at & 0xffff_ffff;
    let sets = [0, 32].map(|at| [half(effective, at) | half(permitted, at) << 32, half(inheritable, at)]);
    // Two structs of three 32-bit words each: effective, permitted, inheritable.
    let [[low, low_inheritable], [high, high_inheritable]] = sets;
    let data = batch.words(&[low, low_inheritable | high << 32, high >> 32 | high_inheritable << 32]);
    batch.attempt(libc::SYS_capset, [header.into(), data.into()]);
}

/// What the user namespace of the restarter knows of the wider world (user_namespaces(7)).
struct Reach {
    uids: IdMap,
    gids: IdMap,
    may_set_groups: bool,
}

impl Reach {
    fn own() -> Result<Reach, KindError> {
        let map = |name: &str| {
            let text = std::fs::read(format!("/proc/self/{name}"));
            let text = text.map_err(|error| KindError::host(format!("read our {name}"), errno_of(&error)))?;
            IdMap::parse(&text).map_err(|_| KindError::host(format!("understand our {name}"), crate::sys::Errno::EINVAL))
        };
        Ok(Reach { uids: map("uid_map")?, gids: map("gid_map")?, may_set_groups: may_set_groups() })
    }

    /// Groups as getgroups(2) shows them here. Where they cannot be set, those that the job had under the same user look like this:
    /// the threads still have the real ones.
    fn shown(&self, groups: &[u32]) -> Vec<u32> {
        let mut shown: Vec<u32> = groups.iter().map(|group| self.gids.shown(*group)).collect();
        shown.sort_unstable();
        shown
    }
}

fn errno_of(error: &std::io::Error) -> crate::sys::Errno {
    crate::sys::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// A user namespace made without rights forbids setgroups(2) for ever (user_namespaces(7)).
fn may_set_groups() -> bool {
    std::fs::read("/proc/self/setgroups").map_or(true, |text| !text.starts_with(b"deny"))
}

fn bits(set: u64) -> impl Iterator<Item = u32> {
    (0..N_CAPABILITIES).filter(move |bit| set >> bit & 1 == 1)
}

/// Different ids in the order given.
fn list(ids: &[u32]) -> String {
    let mut seen: Vec<String> = Vec::new();
    for id in ids.iter().map(u32::to_string) {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    if seen.is_empty() { "(none)".into() } else { seen.join(", ") }
}

/// Names as in capabilities(7).
fn names(set: u64) -> String {
    const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE \
        NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE \
        SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM \
        BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";
    let name = |bit: u32| {
        let name = NAMES.split(' ').nth(bit as usize);
        name.map_or_else(|| format!("capability {bit}"), |name| format!("CAP_{name}"))
    };
    bits(set).map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    fn root() -> CredentialV1 {
        let all = (1 << 41) - 1;
        CredentialV1 { permitted: all, effective: all, bounding: all, groups: vec![0], ..CredentialV1::default() }
    }

    fn everything() -> Reach {
        let all = || IdMap::parse(b"0 0 4294967295").unwrap();
        Reach { uids: all(), gids: all(), may_set_groups: true }
    }

    #[test]
    fn in_a_user_namespace_there_are_no_other_users_and_groups_look_alike() {
        let only = || IdMap::parse(b"1000 1000 1").unwrap();
        let reach = Reach { uids: only(), gids: only(), may_set_groups: false };
        let own = CredentialV1 { groups: vec![1000, 65534, 65534], permitted: root().permitted, effective: root().effective, ..user(1000) };
        let job = CredentialV1 { groups: vec![27, 44, 1000], ..user(1000) };
        assert_eq!((own.may_become(&job, &reach).is_ok(), own.losses(&job, &reach)), (true, vec![]));
        assert!(own.may_become(&user(1001), &reach).is_err());
        let lost = own.losses(&CredentialV1 { groups: vec![27, 1000], ..job }, &reach);
        assert_eq!(lost, ["the job had the supplementary groups 27, 1000, it goes on with 1000, 65534: to set them needs CAP_SETGID"]);
    }

    fn user(uid: u32) -> CredentialV1 {
        CredentialV1 { uids: [uid; 4], gids: [uid; 4], groups: vec![uid], permitted: 0, effective: 0, ..root() }
    }

    #[test]
    fn only_root_becomes_somebody_else() {
        let set_user = CredentialV1 { uids: [1000, 1001, 1001, 1001], ..user(1000) };
        for (own, wanted, refusal) in [
            (root(), user(1000), None),
            (user(1000), user(1000), None),
            (set_user.clone(), user(1000), None),
            (user(1000), set_user, Some("the job ran as user 1000, 1001, and the user of the restart may not become that")),
            (user(1000), root(), Some("the job ran as user 0, and the user of the restart may not become that")),
        ] {
            let text = own.may_become(&wanted, &everything()).err().map(|error| error.to_string());
            assert_eq!(text.as_deref(), refusal, "{:?} to {:?}", own.uids, wanted.uids);
        }
    }

    #[test]
    fn every_loss_is_a_sentence() {
        let bit = |n: u32| 1u64 << n;
        let with = |change: fn(&mut CredentialV1)| {
            let mut state = user(1000);
            change(&mut state);
            state
        };
        for (own, wanted, loss) in [
            (user(1000), user(1000), None),
            (root(), user(1000), None),
            (
                user(1000),
                with(|state| state.groups = vec![4, 1000]),
                Some("the job had the supplementary groups 4, 1000, it goes on with 1000: to set them needs CAP_SETGID"),
            ),
            (
                CredentialV1 { permitted: root().permitted & !bit(24), ..root() },
                root(),
                Some("the job had capabilities that we cannot give it: CAP_SYS_RESOURCE"),
            ),
            (
                CredentialV1 { bounding: root().bounding & !bit(39) & !bit(0), ..root() },
                root(),
                Some("the capability bounding set of the job had what ours has not: CAP_CHOWN, CAP_BPF"),
            ),
            (
                user(1000),
                with(|state| state.bounding &= !(1 << 21)),
                Some("the capability bounding set of the job had not, and needs CAP_SETPCAP to drop: CAP_SYS_ADMIN"),
            ),
            (user(1000), with(|state| state.securebits = 1), Some("the secure bits 0x1 of the job need CAP_SETPCAP")),
            (with(|state| state.no_new_privs = true), user(1000), Some("no_new_privs is set in the restarter, and so it is in the job")),
        ] {
            assert_eq!(own.losses(&wanted, &everything()).join("; "), loss.unwrap_or_default(), "{own:?}");
        }
    }

    #[test]
    fn a_thread_that_has_what_it_needs_is_left_alone() {
        assert!(bench::apply(&Credential, &CredentialV1::own().unwrap()).0.is_empty());
    }

    #[test]
    fn our_own_credentials_are_those_that_proc_shows() {
        let status = crate::proc::ProcDir::open(std::process::id().cast_signed()).unwrap().status().unwrap();
        let own = CredentialV1::own().unwrap();
        assert_eq!(CredentialV1 { securebits: own.securebits, ..CredentialV1::from_status(&status) }, own);
    }

    #[test]
    fn credentials_come_back() {
        let own = CredentialV1::own().unwrap();
        bench::round_trip(&Credential, &CredentialV1 { no_new_privs: true, ..own.clone() });
        if !own.has(CAP_SETUID) || !own.has(CAP_SETPCAP) || !own.has(CAP_SETGID) {
            return;
        }
        let bit = |n: u32| own.permitted & 1u64 << n;
        let four = |first| [first, first + 1, first + 2, first];
        let nobody = CredentialV1 { permitted: 0, effective: 0, uids: [7; 4], gids: [8; 4], groups: vec![9, 10], ..own.clone() };
        let mixed = CredentialV1 { uids: four(200), gids: four(100), groups: vec![], ..nobody.clone() };
        let capable = CredentialV1 {
            permitted: bit(0) | bit(1) | bit(5),
            effective: bit(1),
            inheritable: bit(0) | bit(5) | bit(13),
            ambient: bit(0),
            bounding: own.bounding & !bit(13) & !bit(27),
            ..own.clone()
        };
        let with_bits = CredentialV1 { securebits: 0x1 | 0x4 | 0x8 | 0x10, ..own.clone() };
        for state in [nobody.clone(), mixed, capable.clone(), CredentialV1 { uids: [7; 4], ..capable }, with_bits] {
            bench::round_trip(&Credential, &state);
        }
    }
}
