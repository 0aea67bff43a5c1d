//! System V message queues: msgget(2), msgsnd(2), msgrcv(2).
//!
//! **Kept:** messages with their types and in their order, most bytes, id, key, owner, creator, permissions; the processes that sent and received last,
//! if they are of the job; waiting processes go on to wait.
//! **Lost:** times; the id, where a queue that is gone is made again without CAP_CHECKPOINT_RESTORE; most bytes above the limit of the system
//! without CAP_SYS_RESOURCE.
//! **Refused:** at a restart, a queue of the job that somebody uses, whose id or key somebody else has, or one that was used by others, too, and is
//! gone. Such a one is not saved: the job uses it as it is then. Queues that may not be read.

use serde::{Deserialize, Serialize};

use super::{Keep, NameV1};
use crate::image::{Description, Object, ObjectId, Snapshot, Tag};
use crate::proc::sysvipc::SysvObject;
use crate::resource::{Build, Built, Capture, Facts, FileKind, Identity, KindError, Named, Numbered, Opened, Plan, Probe};
use crate::sys::Errno;
use crate::sys::ipc::{self, Message, Sort};
use crate::tracee::Batch;

/// System V message queues.
pub struct MessageQueue;

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageQueueV1 {
    /// Id, key, rights.
    pub name: NameV1,
    /// Whether it is the job's own.
    pub keep: Keep,
    /// Most bytes of messages.
    pub most_bytes: u64,
    /// Messages.
    pub messages: Vec<MessageV1>,
    /// The process of the job that sent last; 0: somebody else.
    pub sender: i32,
    /// The process of the job that received last; 0: somebody else.
    pub receiver: i32,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageV1 {
    /// Its type.
    pub kind: i64,
    /// Its bytes.
    #[serde(with = "serde_bytes")]
    pub text: Vec<u8>,
}

/// Most bytes of a message that a process of the job sends itself; a batch has room for it.
const MOST_TO_SEND: usize = 256 << 10;

impl FileKind for MessageQueue {
    type State = MessageQueueV1;
    const TAG: Tag = Tag::new("message_queue", 1);

    fn identity(&self, probe: &Probe<'_>) -> Identity {
        Identity::Number(probe.number())
    }

    fn named(&self, facts: &Facts) -> Vec<Named> {
        let user = |id: i32, object: &SysvObject| {
            let waiter = facts.waiter(&[libc::SYS_msgsnd, libc::SYS_msgrcv], id);
            waiter.or_else(|| last_of(object).into_iter().find(|pid| facts.is_member(*pid)))
        };
        let used = super::all(Sort::Messages).into_iter().filter_map(|(id, object)| Some((id, user(id, &object)?)));
        used.map(|(id, pid)| Named { number: id, pid, name: super::call(Sort::Messages, id).into() }).collect()
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<MessageQueueV1, KindError> {
        let id = probes[0].number();
        let what = super::call(Sort::Messages, id);
        let failed = |errno| KindError::host(format!("read {what}"), errno);
        let stat = ipc::messages(id).map_err(failed)?;
        let strangers = stat.pids.into_iter().filter(|pid| !cx.facts.is_member(*pid));
        let outsider = super::alive(strangers, changed(id));
        let mut state = MessageQueueV1 {
            name: NameV1::of(id, &stat.perm),
            keep: if outsider.is_some() { Keep::Reference } else { Keep::Own },
            most_bytes: stat.most_bytes,
            messages: Vec::new(),
            sender: Some(stat.pids[0]).filter(|pid| cx.facts.is_member(*pid)).unwrap_or(0),
            receiver: Some(stat.pids[1]).filter(|pid| cx.facts.is_member(*pid)).unwrap_or(0),
        };
        if let Some(pid) = outsider {
            let text = format!("{what} is used by process {pid}, too, and not saved: the restart needs it, and takes it as it is then");
            cx.warnings.push(text);
            return Ok(state);
        }
        for position in 0..usize::try_from(stat.count).unwrap_or(usize::MAX) {
            match ipc::look_at(id, position) {
                Ok((kind, text)) => state.messages.push(MessageV1 { kind, text }),
                Err(Errno::ENOSYS) => {
                    let what = format!("{what}, whose messages this kernel does not show (CONFIG_CHECKPOINT_RESTORE),");
                    return Err(KindError::Unsupported { what, remedy: "empty it for the checkpoint".into() });
                }
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(state)
    }

    fn plan(&self, state: &MessageQueueV1, _: (ObjectId, &Object), cx: &mut Plan<'_>) -> Result<(), KindError> {
        if let Some(message) = state.messages.iter().find(|message| message.kind <= 0) {
            let what = format!("{} has a message of type {}", super::call(Sort::Messages, state.name.id), message.kind);
            return Err(KindError::Inconsistent { what });
        }
        super::plan((Sort::Messages, &state.name, state.keep), true, busy, cx)
    }

    fn numbered(&self, state: &MessageQueueV1, snapshot: &Snapshot) -> Numbered {
        super::numbered((Sort::Messages, &state.name, state.keep), busy, snapshot)
    }

    fn build(&self, state: &MessageQueueV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let make = |key: i32| ipc::make_messages(key, state.name.mode);
        let obtained = super::obtain((Sort::Messages, &state.name, state.keep), make, &mut cx.warnings)?;
        let id = obtained.id;
        let built = Built { number: Some(id), made_numbers: obtained.made.into_iter().collect(), ..Built::default() };
        if state.keep == Keep::Own {
            state.fill(id, &mut cx.warnings)?;
        }
        Ok(built)
    }

    fn open(&self, _: &MessageQueueV1, _: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        let remedy = "the context file is damaged".into();
        Err(KindError::Unsupported { what: "a descriptor of a System V message queue".into(), remedy })
    }

    fn acts(&self, state: &MessageQueueV1, built: &Built) -> Vec<(i32, Batch)> {
        let id = built.number.unwrap_or(-1);
        if state.keep != Keep::Own {
            return Vec::new();
        }
        let mut acts = Vec::new();
        // An empty message of a type of its own goes from who sent last to who received last, and makes them that.
        let kind = (1..).find(|kind| state.messages.iter().all(|message| message.kind != *kind)).unwrap_or(1);
        let mut receive = Batch::new();
        let room = receive.room(16);
        let probe = MessageV1 { kind, text: Vec::new() };
        let sender = if state.sender != 0 { state.sender } else { state.receiver };
        if state.receiver != 0 {
            let args = [id.into(), room.into(), 0i32.into(), kind.into(), libc::IPC_NOWAIT.into()];
            receive.attempt(libc::SYS_msgrcv, args);
            acts.extend([(sender, sends(id, &probe, false)), (state.receiver, receive)]);
        }
        acts.extend(state.last_to_send().map(|message| (state.sender, sends(id, message, true))));
        if state.room() != state.most_bytes {
            let mut batch = Batch::new();
            let setting = batch.bytes(&ipc::messages_setting(&state.name.perm(), state.most_bytes));
            batch.call("set the limit of a System V message queue", libc::SYS_msgctl, [id.into(), libc::IPC_SET.into(), setting.into()]);
            acts.push((sender, batch));
        }
        acts
    }
}

impl MessageQueueV1 {
    /// The limit while it is filled: it may have been lowered below what was in the queue.
    fn room(&self) -> u64 {
        let bytes: u64 = self.messages.iter().map(|message| message.text.len() as u64).sum();
        self.most_bytes.max(bytes).max(self.messages.len() as u64)
    }

    /// The last message, if the process that sent it sends it again.
    fn last_to_send(&self) -> Option<&MessageV1> {
        self.messages.last().filter(|last| self.sender != 0 && last.text.len() <= MOST_TO_SEND)
    }

    /// Makes the queue what it was, but for the message that a process of the job sends.
    fn fill(&self, id: i32, warnings: &mut Vec<String>) -> Result<(), KindError> {
        let what = super::call(Sort::Messages, id);
        let failed = |attempt: &str, errno| KindError::host(format!("{attempt} {what}"), errno);
        while match ipc::receive(id) {
            Ok(_) => true,
            Err(Errno::ENOMSG) => false,
            Err(errno) => return Err(failed("empty", errno)),
        } {}
        let now = ipc::messages(id).map_err(|errno| failed("look at", errno))?;
        let perm = self.name.perm();
        let room = self.room();
        let is_as_before = NameV1::of(id, &now.perm) == NameV1::of(id, &perm);
        let most = if is_as_before && now.most_bytes == room { Ok(()) } else { ipc::set_messages(id, &perm, room) };
        if most.is_err() {
            // More than the system's limit needs a right; what is smaller does not.
            let rights = if is_as_before { Ok(()) } else { ipc::set_messages(id, &perm, now.most_bytes) };
            let lost = if rights.is_ok() { "takes fewer bytes" } else { "has another owner, other permissions, or another limit" };
            warnings.push(format!("{what} {lost} than before"));
        }
        let later = self.last_to_send().is_some();
        for message in &self.messages[..self.messages.len() - usize::from(later)] {
            let message: Message = (message.kind, message.text.clone());
            ipc::send(id, &message).map_err(|errno| failed("put a message back into", errno))?;
        }
        Ok(())
    }
}

/// In a process: sends a message.
fn sends(id: i32, message: &MessageV1, is_needed: bool) -> Batch {
    let mut batch = Batch::new();
    let mut bytes = message.kind.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&message.text);
    let buffer = batch.bytes(&bytes);
    let args = [id.into(), buffer.into(), message.text.len().into(), libc::IPC_NOWAIT.into()];
    if is_needed {
        batch.call("put a message back into a System V message queue", libc::SYS_msgsnd, args);
    } else {
        batch.attempt(libc::SYS_msgsnd, args);
    }
    batch
}

/// Who has a queue of today.
fn busy(object: &SysvObject) -> Option<String> {
    super::alive(last_of(object), last_use(object)).map(|pid| format!("process {pid}"))
}

fn last_of(object: &SysvObject) -> Vec<i32> {
    ["lspid", "lrpid"].into_iter().filter_map(|column| object.column(column)).collect()
}

/// Last use of a queue, seconds since 1970.
fn last_use(object: &SysvObject) -> i64 {
    ["stime", "rtime", "ctime"].into_iter().filter_map(|column| object.wide(column)).max().unwrap_or(0)
}

fn changed(id: i32) -> i64 {
    super::all(Sort::Messages).into_iter().find(|(known, _)| *known == id).map_or(0, |(_, object)| last_use(&object))
}
