//! System V objects for communication (sysvipc(7)): segments, semaphore sets, message queues.
//!
//! Relies on libc. Nothing here waits: what would have to wait fails with EAGAIN. Leaves who may be disturbed to `resource::ipc`.
#![allow(unsafe_code)]

use std::io::Write;

use libc::{c_int, c_long, c_void};

use super::{Errno, check};

/// The three sorts of objects, each with a space of ids and of keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// Shared memory segments.
    Memory,
    /// Sets of semaphores.
    Semaphores,
    /// Message queues.
    Messages,
}

/// `struct ipc_perm`: who may do what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Perm {
    /// Its key; 0 is IPC_PRIVATE.
    pub key: i32,
    /// Owner.
    pub uid: u32,
    /// Group of the owner.
    pub gid: u32,
    /// Creator.
    pub cuid: u32,
    /// Group of the creator.
    pub cgid: u32,
    /// Permissions, and SHM_DEST and SHM_LOCKED of segments.
    pub mode: u32,
}

impl Perm {
    fn of(perm: &libc::ipc_perm) -> Perm {
        Perm { key: perm.__key, uid: perm.uid, gid: perm.gid, cuid: perm.cuid, cgid: perm.cgid, mode: perm.mode.into() }
    }

    fn put(&self, perm: &mut libc::ipc_perm) {
        (perm.uid, perm.gid, perm.mode) = (self.uid, self.gid, u16::try_from(self.mode & 0o777).unwrap_or(0));
    }
}

/// What `shmctl(2)` IPC_STAT says.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryStat {
    /// Rights.
    pub perm: Perm,
    /// Size in bytes.
    pub bytes: u64,
    /// How often it is attached.
    pub attached: u64,
    /// Who made it, and who attached or detached it last; 0 is nobody whom we could see.
    pub pids: [i32; 2],
}

/// What `semctl(2)` IPC_STAT says.
#[derive(Debug, Clone, Copy, Default)]
pub struct SemaphoresStat {
    /// Rights.
    pub perm: Perm,
    /// Number of semaphores.
    pub count: u64,
    /// Last semop(2), seconds since 1970; 0: never.
    pub operated: i64,
}

/// What `msgctl(2)` IPC_STAT says.
#[derive(Debug, Clone, Copy, Default)]
pub struct MessagesStat {
    /// Rights.
    pub perm: Perm,
    /// Number of messages.
    pub count: u64,
    /// Most bytes of messages.
    pub most_bytes: u64,
    /// Who sent last and who received last; 0 is nobody whom we could see.
    pub pids: [i32; 2],
}

impl Sort {
    fn next_id(self) -> &'static str {
        match self {
            Sort::Memory => "/proc/sys/kernel/shm_next_id",
            Sort::Semaphores => "/proc/sys/kernel/sem_next_id",
            Sort::Messages => "/proc/sys/kernel/msg_next_id",
        }
    }

    /// The table of all objects of the sort (proc_sysvipc(5)).
    pub fn table(self) -> &'static str {
        match self {
            Sort::Memory => "/proc/sysvipc/shm",
            Sort::Semaphores => "/proc/sysvipc/sem",
            Sort::Messages => "/proc/sysvipc/msg",
        }
    }
}

/// Whether we may choose ids: CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN over the IPC namespace.
pub fn may_choose(sort: Sort) -> bool {
    std::fs::OpenOptions::new().write(true).open(sort.next_id()).is_ok()
}

/// Chooses the id of the next object that anybody makes. If it is taken, the kernel gives another without a word. EPERM: we may not.
pub fn choose(sort: Sort, id: i32) -> Result<(), Errno> {
    let file = std::fs::OpenOptions::new().write(true).open(sort.next_id());
    let written = file.and_then(|mut file| file.write_all(id.to_string().as_bytes()));
    written.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

fn number(value: c_long) -> Result<i32, Errno> {
    i32::try_from(check(value)?).map_err(|_| Errno::EOVERFLOW)
}

/// `shmget(2)` — makes a segment; its id. EEXIST: the key is taken.
pub fn make_memory(key: i32, bytes: u64, mode: u32, flags: i32) -> Result<i32, Errno> {
    let bytes = usize::try_from(bytes).map_err(|_| Errno::EINVAL)?;
    let flags = flags | libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed();
    // SAFETY: takes numbers only.
    number(c_long::from(unsafe { libc::shmget(key, bytes, flags) }))
}

/// `semget(2)` — makes a set of semaphores, all 0; its id. EEXIST: the key is taken.
pub fn make_semaphores(key: i32, count: usize, mode: u32) -> Result<i32, Errno> {
    let count = c_int::try_from(count).map_err(|_| Errno::EINVAL)?;
    // SAFETY: takes numbers only.
    number(c_long::from(unsafe { libc::semget(key, count, libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed()) }))
}

/// `msgget(2)` — makes a message queue; its id. EEXIST: the key is taken.
pub fn make_messages(key: i32, mode: u32) -> Result<i32, Errno> {
    // SAFETY: takes numbers only.
    number(c_long::from(unsafe { libc::msgget(key, libc::IPC_CREAT | libc::IPC_EXCL | (mode & 0o777).cast_signed()) }))
}

/// `shmctl(2)`, `semctl(2)`, `msgctl(2)` IPC_RMID.
pub fn remove(sort: Sort, id: i32) -> Result<(), Errno> {
    let result = match sort {
        // SAFETY: the command takes no argument.
        Sort::Memory => unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) },
        // SAFETY: the command takes no argument.
        Sort::Semaphores => unsafe { libc::semctl(id, 0, libc::IPC_RMID) },
        // SAFETY: the command takes no argument.
        Sort::Messages => unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) },
    };
    check(c_long::from(result)).map(drop)
}

fn raw_memory(id: i32) -> Result<libc::shmid_ds, Errno> {
    // SAFETY: all zeros is a valid shmid_ds.
    let mut state: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the live struct.
    check(c_long::from(unsafe { libc::shmctl(id, libc::IPC_STAT, &mut state) }))?;
    Ok(state)
}

fn raw_messages(id: i32) -> Result<libc::msqid_ds, Errno> {
    // SAFETY: all zeros is a valid msqid_ds.
    let mut state: libc::msqid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the live struct.
    check(c_long::from(unsafe { libc::msgctl(id, libc::IPC_STAT, &mut state) }))?;
    Ok(state)
}

/// `struct semid_ds` of x86-64 (asm/sembuf.h), which libc lacks here.
#[repr(C)]
struct SemidDs {
    perm: libc::ipc_perm,
    otime: i64,
    reserved: u64,
    ctime: i64,
    reserved_too: u64,
    nsems: u64,
    unused: [u64; 2],
}
const _: () = assert!(size_of::<SemidDs>() == 104);

fn raw_semaphores(id: i32) -> Result<SemidDs, Errno> {
    // SAFETY: all zeros is a valid semid_ds.
    let mut state: SemidDs = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the live struct.
    check(c_long::from(unsafe { libc::semctl(id, 0, libc::IPC_STAT, &raw mut state) }))?;
    Ok(state)
}

/// `shmctl(2)` IPC_STAT. EACCES: it may not be read; EINVAL: there is none.
pub fn memory(id: i32) -> Result<MemoryStat, Errno> {
    let state = raw_memory(id)?;
    let (bytes, attached) = (state.shm_segsz as u64, state.shm_nattch);
    Ok(MemoryStat { perm: Perm::of(&state.shm_perm), bytes, attached, pids: [state.shm_cpid, state.shm_lpid] })
}

/// `semctl(2)` IPC_STAT. EACCES: it may not be read; EINVAL: there is none.
pub fn semaphores(id: i32) -> Result<SemaphoresStat, Errno> {
    let state = raw_semaphores(id)?;
    Ok(SemaphoresStat { perm: Perm::of(&state.perm), count: state.nsems, operated: state.otime })
}

/// `msgctl(2)` IPC_STAT. EACCES: it may not be read; EINVAL: there is none.
pub fn messages(id: i32) -> Result<MessagesStat, Errno> {
    let state = raw_messages(id)?;
    let pids = [state.msg_lspid, state.msg_lrpid];
    Ok(MessagesStat { perm: Perm::of(&state.msg_perm), count: state.msg_qnum, most_bytes: state.msg_qbytes, pids })
}

/// `shmctl(2)` IPC_SET — owner and permissions.
pub fn set_memory(id: i32, perm: &Perm) -> Result<(), Errno> {
    let mut state = raw_memory(id)?;
    perm.put(&mut state.shm_perm);
    // SAFETY: the kernel reads the live struct.
    check(c_long::from(unsafe { libc::shmctl(id, libc::IPC_SET, &mut state) })).map(drop)
}

/// `semctl(2)` IPC_SET — owner and permissions.
pub fn set_semaphores(id: i32, perm: &Perm) -> Result<(), Errno> {
    let mut state = raw_semaphores(id)?;
    perm.put(&mut state.perm);
    // SAFETY: the kernel reads the live struct.
    check(c_long::from(unsafe { libc::semctl(id, 0, libc::IPC_SET, &raw mut state) })).map(drop)
}

/// `msgctl(2)` IPC_SET — owner, permissions, most bytes. EPERM: more than `msgmnb` needs CAP_SYS_RESOURCE.
pub fn set_messages(id: i32, perm: &Perm, most_bytes: u64) -> Result<(), Errno> {
    let mut state = raw_messages(id)?;
    perm.put(&mut state.msg_perm);
    state.msg_qbytes = most_bytes;
    // SAFETY: the kernel reads the live struct.
    check(c_long::from(unsafe { libc::msgctl(id, libc::IPC_SET, &mut state) })).map(drop)
}

/// `shmctl(2)` SHM_LOCK. EPERM, ENOMEM: we may lock no (more) memory.
pub fn lock_memory(id: i32) -> Result<(), Errno> {
    const SHM_LOCK: c_int = 11;
    // SAFETY: the command has no argument.
    check(c_long::from(unsafe { libc::shmctl(id, SHM_LOCK, std::ptr::null_mut()) })).map(drop)
}

/// `semctl(2)` GETPID — the last process that changed semaphore `number` of a set, or waited for it to become 0; 0: nobody. EACCES: it may not
/// be read.
pub fn semaphore_pid(set: i32, number: i32) -> Result<i32, Errno> {
    // SAFETY: GETPID takes no fourth argument and no pointers.
    let pid = check(c_long::from(unsafe { libc::semctl(set, number, libc::GETPID) }))?;
    Ok(i32::try_from(pid).unwrap_or(0))
}

/// `semctl(2)` GETALL — the values of a set of `count` semaphores. EACCES: they may not be read.
pub fn values(set: i32, count: usize) -> Result<Vec<u16>, Errno> {
    let mut values = vec![0u16; count];
    // SAFETY: the kernel writes one value a semaphore, and the number of those of a set never changes.
    check(c_long::from(unsafe { libc::semctl(set, 0, libc::GETALL, values.as_mut_ptr()) }))?;
    Ok(values)
}

/// `semctl(2)` SETVAL — sets a value; its adjustments of all processes (SEM_UNDO) are forgotten. ERANGE: it is too large.
pub fn set_value(set: i32, number: i32, value: u16) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    check(c_long::from(unsafe { libc::semctl(set, number, libc::SETVAL, c_int::from(value)) })).map(drop)
}

/// The bytes with which a process sets what [`set_messages`] sets.
pub fn messages_setting(perm: &Perm, most_bytes: u64) -> Vec<u8> {
    // SAFETY: all zeros is a valid msqid_ds.
    let mut state: libc::msqid_ds = unsafe { std::mem::zeroed() };
    perm.put(&mut state.msg_perm);
    state.msg_qbytes = most_bytes;
    let start = std::ptr::from_ref(&state).cast::<u8>();
    // SAFETY: the struct was zeroed, padding and all, and lives until the bytes are copied.
    unsafe { std::slice::from_raw_parts(start, size_of::<libc::msqid_ds>()) }.to_vec()
}

/// A message: its type, which is positive, and its bytes.
pub type Message = (i64, Vec<u8>);

/// `msgrcv(2)` with a buffer that grows.
fn receive_with(queue: i32, which: i64, flags: c_int) -> Result<Message, Errno> {
    let mut room = 8192usize;
    loop {
        let mut buffer = vec![0u64; 1 + room.div_ceil(8)];
        // SAFETY: the buffer begins with room for the type and has `room` bytes behind it.
        let got = unsafe { libc::msgrcv(queue, buffer.as_mut_ptr().cast::<c_void>(), room, which, flags | libc::IPC_NOWAIT) };
        match check(got as c_long) {
            Ok(bytes) => {
                let bytes = usize::try_from(bytes).map_err(|_| Errno::EOVERFLOW)?;
                let text: Vec<u8> = buffer[1..].iter().flat_map(|word| word.to_ne_bytes()).take(bytes).collect();
                return Ok((buffer[0].cast_signed(), text));
            }
            Err(Errno::E2BIG) if room < 1 << 30 => room *= 8,
            Err(errno) => return Err(errno),
        }
    }
}

/// `msgrcv(2)` MSG_COPY — the message at this position, which stays there. ENOMSG: there are not so many; ENOSYS: this kernel cannot.
pub fn look_at(queue: i32, position: usize) -> Result<Message, Errno> {
    const MSG_COPY: c_int = 0o40000;
    receive_with(queue, i64::try_from(position).map_err(|_| Errno::EINVAL)?, MSG_COPY)
}

/// `msgrcv(2)` — takes the first message out. ENOMSG: there is none.
pub fn receive(queue: i32) -> Result<Message, Errno> {
    receive_with(queue, 0, 0)
}

/// `msgsnd(2)`. EAGAIN: the queue is full.
pub fn send(queue: i32, (kind, text): &Message) -> Result<(), Errno> {
    let mut buffer = kind.to_ne_bytes().to_vec();
    buffer.extend_from_slice(text);
    // SAFETY: the kernel reads the type and `text.len()` bytes behind it.
    check(c_long::from(unsafe { libc::msgsnd(queue, buffer.as_ptr().cast::<c_void>(), text.len(), libc::IPC_NOWAIT) })).map(drop)
}

/// A segment attached by us to be read.
#[derive(Debug)]
pub struct View {
    base: usize,
}

impl View {
    /// `shmat(2)` SHM_RDONLY. Who looks at the segment's times and last process sees us.
    pub fn attach(id: i32) -> Result<View, Errno> {
        // SAFETY: the kernel chooses free addresses.
        let base = unsafe { libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY) };
        check(base as c_long).map(|_| View { base: base as usize })
    }

    /// Where it is in our memory.
    pub fn address(&self) -> u64 {
        self.base as u64
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the address came from shmat(2), and nobody borrows from it: it is read as memory of a process.
        unsafe { libc::shmdt(self.base as *const c_void) };
    }
}

/// `setresuid(2)`, `setresgid(2)` — acts with another effective user and group, in this thread alone. Where we may not, with our own.
pub fn acting_as<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> T {
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    if own == (uid, gid) {
        return act();
    }
    let same = u32::MAX;
    // libc would change all threads.
    // SAFETY: takes numbers only.
    let group = |gid: u32| unsafe { libc::syscall(libc::SYS_setresgid, same, gid, same) } == 0;
    // SAFETY: takes numbers only.
    let user = |uid: u32| unsafe { libc::syscall(libc::SYS_setresuid, same, uid, same) } == 0;
    // A change of ids makes the process undumpable and forgets the signal for the end of its parent.
    let signal = nix::sys::prctl::get_pdeathsig();
    let dumpable = nix::sys::prctl::get_dumpable();
    let has_group = group(gid);
    let has_user = has_group && user(uid);
    let result = act();
    let is_back = (!has_user || user(own.0)) && (!has_group || group(own.1));
    assert!(is_back, "an effective id can always go back to the real or saved one");
    // What was so before can be so again.
    let _ = signal.and_then(nix::sys::prctl::set_pdeathsig);
    let _ = dumpable.and_then(nix::sys::prctl::set_dumpable);
    result
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn messages_are_looked_at_and_taken_out() {
        let queue = make_messages(0, 0o600).unwrap();
        let sent = [(7, b"first".to_vec()), (3, Vec::new())];
        sent.iter().for_each(|message| send(queue, message).unwrap());
        let seen = [look_at(queue, 0), look_at(queue, 1), look_at(queue, 2)];
        let taken = [receive(queue), receive(queue), receive(queue)];
        remove(Sort::Messages, queue).unwrap();
        // Kernels without CONFIG_CHECKPOINT_RESTORE do not show them.
        if seen[0] != Err(Errno::ENOSYS) {
            assert_eq!(seen, [Ok(sent[0].clone()), Ok(sent[1].clone()), Err(Errno::ENOMSG)]);
        }
        assert_eq!(taken, [Ok(sent[0].clone()), Ok(sent[1].clone()), Err(Errno::ENOMSG)]);
    }

    #[test]
    fn values_of_semaphores_go_in_and_come_out() {
        let set = make_semaphores(0, 3, 0o640).unwrap();
        let result = set_value(set, 0, 1).and_then(|()| set_value(set, 2, 32767)).and_then(|()| values(set, 3));
        let (stat, large) = (semaphores(set), set_value(set, 1, 32768));
        remove(Sort::Semaphores, set).unwrap();
        assert_eq!((result, large), (Ok(vec![1, 0, 32767]), Err(Errno::ERANGE)));
        assert_eq!(stat.map(|stat| (stat.count, stat.perm.mode, stat.operated)), Ok((3, 0o640, 0)));
    }

    #[test]
    fn an_effective_user_is_only_borrowed() {
        let own = nix::unistd::geteuid();
        let seen = acting_as(65534, 65534, nix::unistd::geteuid);
        assert!(seen.as_raw() == 65534 || !own.is_root());
        assert_eq!(nix::unistd::geteuid(), own);
    }
}
