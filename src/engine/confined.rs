//! Whether a job has no more rights than one user: the rule by which root gives context files away, and restarts files that are not its own.
//!
//! A job is confined to a user if every thread has that user's id in all four places, groups that the user database gives to that user, and no
//! capabilities. Whoever may write such a file can make a process of that user do what he likes, which that user can do anyway. Relies on the records that
//! `resource` reads and writes; looks at nothing but the description and the user database.

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::image::Snapshot;
use crate::resource::task::credential::CredentialV1;

/// A user and the groups that are his.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group that his files get.
    pub gid: u32,
    groups: Vec<u32>,
}

impl Account {
    /// As the user database has it (getpwuid(3), getgrouplist(3)). Who is not in it has the group of the same number, if that is nobody else's.
    pub fn of(uid: u32) -> Account {
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => {
                let name = std::ffi::CString::new(user.name).unwrap_or_default();
                let groups = getgrouplist(&name, user.gid).unwrap_or_default();
                let gid = user.gid.as_raw();
                Account { uid, gid, groups: groups.into_iter().map(Gid::as_raw).chain([gid]).collect() }
            }
            // A database that cannot be asked names nobody.
            Ok(None) | Err(_) => {
                let is_free = matches!(Group::from_gid(Gid::from_raw(uid)), Ok(None));
                Account { uid, gid: uid, groups: if is_free { vec![uid] } else { Vec::new() } }
            }
        }
    }

    /// Says what a job may that this user may not; nothing if there is nothing.
    pub fn exceeded_by(&self, snapshot: &Snapshot) -> Option<String> {
        let threads = snapshot.processes.iter().flat_map(|process| process.threads.iter().map(move |thread| (process, thread)));
        threads.filter(|(_, thread)| !thread.dead).find_map(|(process, thread)| {
            let records = thread.records.iter().chain(&process.records);
            let credentials: Vec<_> = records.filter_map(CredentialV1::of).collect();
            let excess = match &credentials[..] {
                [Ok(credential)] => self.excess(credential),
                _ => Some("does not say as whom it runs".into()),
            };
            excess.map(|excess| format!("process {} {excess}", process.pid))
        })
    }

    fn excess(&self, credential: &CredentialV1) -> Option<String> {
        if let Some(uid) = credential.uids.iter().find(|uid| **uid != self.uid) {
            return Some(format!("runs as user {uid}"));
        }
        if let Some(gid) = credential.gids.iter().chain(&credential.groups).find(|gid| !self.groups.contains(gid)) {
            return Some(format!("runs in group {gid}, which is not one of that user"));
        }
        let capabilities = credential.inheritable | credential.permitted | credential.effective | credential.ambient;
        if capabilities != 0 {
            return Some("has capabilities".into());
        }
        (credential.securebits != 0).then(|| "has secure bits".into())
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::image::{Process, Record, State, Tag, Thread};

    fn process(thread: Thread) -> Process {
        Process {
            pid: 7,
            ppid: 1,
            pgid: 7,
            sid: 7,
            exit_signal: libc::SIGCHLD,
            state: State::Running,
            name: String::new(),
            command: String::new(),
            uid: 1000,
            memory: Some(0),
            table: Some(0),
            records: Vec::new(),
            threads: vec![thread],
            foreground: false,
            shares_fs_with: None,
            shares_handlers_with: None,
        }
    }

    fn job(credentials: &[CredentialV1]) -> Snapshot {
        let thread = |credential: &CredentialV1| Thread {
            records: vec![Record::encode(Tag::new("credential", 1), credential).unwrap()],
            ..Thread::default()
        };
        Snapshot { processes: credentials.iter().map(thread).map(process).collect(), ..Snapshot::default() }
    }

    #[test]
    fn a_job_has_no_more_rights_than_its_user_or_it_is_said_which() {
        let account = Account { uid: 1000, gid: 1000, groups: vec![1000, 20] };
        let plain = CredentialV1 { uids: [1000; 4], gids: [1000; 4], groups: vec![20], bounding: u64::MAX, ..CredentialV1::default() };
        for (credential, excess) in [
            (plain.clone(), None),
            (CredentialV1 { uids: [1000, 1000, 0, 1000], ..plain.clone() }, Some("process 7 runs as user 0")),
            (CredentialV1 { uids: [0; 4], ..plain.clone() }, Some("process 7 runs as user 0")),
            (
                CredentialV1 { gids: [1000, 0, 1000, 1000], ..plain.clone() },
                Some("process 7 runs in group 0, which is not one of that user"),
            ),
            (CredentialV1 { groups: vec![20, 42], ..plain.clone() }, Some("process 7 runs in group 42, which is not one of that user")),
            (CredentialV1 { permitted: 1, ..plain.clone() }, Some("process 7 has capabilities")),
            (CredentialV1 { inheritable: 1 << 21, ..plain.clone() }, Some("process 7 has capabilities")),
            (CredentialV1 { ambient: 2, ..plain.clone() }, Some("process 7 has capabilities")),
            (CredentialV1 { securebits: 1, ..plain.clone() }, Some("process 7 has secure bits")),
        ] {
            assert_eq!(account.exceeded_by(&job(&[plain.clone(), credential])).as_deref(), excess);
        }
        let mut silent = job(&[plain]);
        silent.processes[0].threads[0].records.clear();
        assert_eq!(account.exceeded_by(&silent).as_deref(), Some("process 7 does not say as whom it runs"));
    }

    #[test]
    fn root_is_root_and_who_is_not_known_has_at_most_the_group_of_the_same_number() {
        assert_eq!(Account::of(0).gid, 0);
        let unknown = Account::of(4_000_000_711);
        assert_eq!((unknown.gid, unknown.groups), (4_000_000_711, vec![4_000_000_711]));
    }
}
