//! Each rule of `check`, by a description that breaks it and no other.

use super::*;

fn refusal(change: impl FnOnce(&mut Snapshot)) -> String {
    let mut snapshot = sample();
    change(&mut snapshot);
    match check(&snapshot) {
        Ok(()) => "fine".into(),
        Err(error) => error.to_string().replace("the context file contradicts itself: ", ""),
    }
}

#[test]
fn the_sample_is_fine() {
    assert_eq!(refusal(|_| ()), "fine");
    assert_eq!(refusal(|s| s.processes[0].threads[0].registers.clear()), "thread 100 has 0 and 64 bytes of registers");
    assert_eq!(
        refusal(|s| {
            s.processes[0].threads[0].dead = true;
            s.processes[0].threads[0].registers.clear();
        }),
        "fine"
    );
}

#[test]
fn references_stay_within_bounds() {
    assert_eq!(refusal(|s| s.processes[1].memory = Some(2)), "process 101 refers to memory 2 of 2");
    assert_eq!(refusal(|s| s.processes[1].table = Some(9)), "process 101 refers to table 9 of 2");
    assert_eq!(refusal(|s| s.memories[0].exe = Some(2)), "memory 0 refers to object 2 of 2");
    assert_eq!(refusal(|s| s.descriptions[1].object = 5), "description 1 refers to object 5 of 2");
    assert_eq!(refusal(|s| s.tables[1].descriptors[0].description = 2), "descriptor 1 of table 1 refers to description 2 of 2");
    let mapped = |s: &mut Snapshot| s.memories[0].areas[0].backing = Backing::Object { object: 7, offset: 0 };
    assert_eq!(refusal(mapped), "the area 1000-400000 of memory 0 refers to object 7 of 2");
    assert_eq!(refusal(|s| s.objects[0].content_bytes = u64::MAX), format!("object 0 has {} bytes of contents", u64::MAX));
}

#[test]
fn processes_and_threads_are_a_tree() {
    assert_eq!(refusal(|s| s.processes.clear()), "it has no process");
    assert_eq!(refusal(|s| s.processes[2].pid = 0), "process 0 has the id 0");
    assert_eq!(refusal(|s| s.processes[2].pid = 104), "the id 104 occurs twice");
    assert_eq!(refusal(|s| s.processes.swap(0, 1)), "process 101 stands before its parent");
    assert_eq!(refusal(|s| s.processes[0].ppid = 100), "process 100 stands before its parent");
    let later = "process 101 shares its directories with a later process";
    assert_eq!(refusal(|s| s.processes[1].shares_fs_with = Some(1)), later);
    let zombie = "process 102 is a zombie with memory, descriptors or threads";
    assert_eq!(refusal(|s| s.processes[2].memory = Some(0)), zombie);
    assert_eq!(refusal(|s| s.processes[1].table = None), "process 101 has no memory or no descriptor table");
    assert_eq!(refusal(|s| s.processes[0].threads.reverse()), "the first thread of process 100 is not its leader");
    assert_eq!(refusal(|s| s.processes[1].threads.clear()), "the first thread of process 101 is not its leader");
    assert_eq!(refusal(|s| s.processes[0].threads[1].tid = 100), "the leader of process 100 occurs twice");
}

#[test]
fn areas_are_ordered_and_aligned() {
    let area = |change: fn(&mut Area)| refusal(|s| change(&mut s.memories[1].areas[1]));
    assert_eq!(refusal(|s| s.memories[0].parent = Some(0)), "memory 0 stands before its parent");
    assert_eq!(area(|a| a.start -= 4096), "the area 3ff000-800000 of memory 1 is empty or in a wrong place");
    assert_eq!(area(|a| a.end = a.start), "the area 400000-400000 of memory 1 is empty or in a wrong place");
    assert_eq!(area(|a| a.end += 1), "the area 400000-800001 of memory 1 is not page aligned");
    assert_eq!(area(|a| a.page_bytes = 5000), "the area 400000-800000 of memory 1 has pages of 5000 bytes");
    assert_eq!(area(|a| a.prot = 8), "the area 400000-800000 of memory 1 has protection 0x8");
    assert_eq!(area(|a| a.key = 16), "the area 400000-800000 of memory 1 has protection key 16");
    let guard = "the area 400000-800000 of memory 1 has a guard region";
    assert_eq!(area(|a| a.guards[0].1 = 0x90_0000), format!("{guard} 401000-900000"));
    assert_eq!(area(|a| a.guards.push((0x40_1000, 0x40_3000))), format!("{guard} 401000-403000"));
    let offset = |s: &mut Snapshot| s.memories[0].areas[0].backing = Backing::Object { object: 1, offset: 5 };
    assert_eq!(refusal(offset), "the area 1000-400000 of memory 0 maps its object from byte 5");
}

#[test]
fn areas_lie_where_a_process_can_have_them() {
    let area = |change: fn(&mut Area)| refusal(|s| change(&mut s.memories[1].areas[2]));
    assert_eq!(area(|a| a.end = 0x7fff_ffff_f000), "fine");
    assert_eq!(area(|a| a.end = 0x8000_0000_0000), "the area 7fff00000000-800000000000 of memory 1 is empty or in a wrong place");
    assert_eq!(area(|a| a.flags = vec![String::new(); 65]), "the area 7fff00000000-7fff00002000 of memory 1 has 65 flags");
    let mapped = |s: &mut Snapshot| s.memories[0].areas[0].backing = Backing::Object { object: 1, offset: !0xfff };
    assert_eq!(refusal(mapped), format!("the area 1000-400000 of memory 0 maps its object from byte {}", !0xfffu64));
}

#[test]
fn somebody_must_be_alive_in_a_process() {
    let only = |s: &mut Snapshot| s.processes[1].threads[0].dead = true;
    assert_eq!(refusal(only), "process 101 has only threads that have ended");
    let other = |s: &mut Snapshot| s.processes[0].threads[1].dead = true;
    assert_eq!(refusal(other), "process 100 has a thread that has ended and is not its leader");
}

#[test]
fn ids_and_signals_are_some_that_the_kernel_has() {
    let one = |change: fn(&mut Process)| refusal(|s| change(&mut s.processes[1]));
    assert_eq!(one(|p| p.pgid = -5), "process 101 has the process group -5");
    assert_eq!(one(|p| p.sid = i32::MAX), format!("process 101 has the session {}", i32::MAX));
    assert_eq!(one(|p| p.ppid = i32::MIN), format!("process 101 has the parent {}", i32::MIN));
    assert_eq!(refusal(|s| s.processes[2].pid = 1 << 22), format!("process {0} has the id {0}", 1 << 22));
    assert_eq!(one(|p| p.state = State::Stopped(65)), "process 101 is stopped by signal 65");
    assert_eq!(one(|p| p.state = State::Stopped(9)), "process 101 is stopped by signal 9");
    assert_eq!(refusal(|s| s.processes[2].state = State::Zombie(17)), "process 102 is a zombie with the status 0x11");
    assert_eq!(one(|p| p.exit_signal = 65), "process 101 sends signal 65 when it ends");
    assert_eq!(one(|p| p.shares_handlers_with = Some(1)), "process 101 shares its signal handlers with a later process");
    assert_eq!(refusal(|s| s.descriptions[0].signal = -1), "description 0 sends signal -1");
    assert_eq!(refusal(|s| s.descriptions[0].offset = u64::MAX), format!("description 0 stands at byte {}", u64::MAX));
    let part = |s: &mut Snapshot| s.part = Some(Part { job: "x".into(), index: 2, count: 2 });
    assert_eq!(refusal(part), "it is part 2 of 2");
}

#[test]
fn pages_outside_of_areas_are_refused() {
    for (page, count) in [(0, 1), (0x7ff, 2), (0x900, 1), (0x7_fff0_0000, 1), (1, u32::MAX)] {
        let writer = Writer::begin(tempfile::tempfile().unwrap(), &sample()).unwrap();
        let error = writer.put(Space::Memory(0), &[Run { page, count, kind: RunKind::Zero }], &[]).unwrap_err().to_string();
        assert!(error.ends_with("of memory 0 belong to no area"), "{error}");
    }
}

#[test]
fn descriptors_ascend() {
    let wrong = "descriptor 0 of table 0 is in a wrong place";
    assert_eq!(refusal(|s| s.tables[0].descriptors.reverse()), wrong);
    assert_eq!(refusal(|s| s.tables[0].descriptors[1].fd = 0), wrong);
    assert_eq!(refusal(|s| s.tables[0].descriptors[0].fd = -1), "descriptor -1 of table 0 is in a wrong place");
}
