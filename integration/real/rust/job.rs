//! Threads, channels, a mutex and a parked thread, as Rust programs use them.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

fn main() {
    let table = Arc::new(Mutex::new(BTreeMap::new()));
    let (sender, receiver) = mpsc::sync_channel::<u64>(2);
    let receiver = Arc::new(Mutex::new(receiver));
    let waiter = thread::spawn(thread::park);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (table, receiver) = (table.clone(), receiver.clone());
            thread::spawn(move || {
                loop {
                    let Ok(n) = receiver.lock().unwrap().recv() else { return };
                    let mut x = n;
                    for i in 0..9_000_000u64 {
                        x = x.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i;
                    }
                    table.lock().unwrap().insert(n, x);
                    thread::sleep(Duration::from_millis(5));
                }
            })
        })
        .collect();
    for n in 0..100 {
        sender.send(n).unwrap();
    }
    drop(sender);
    for worker in workers {
        worker.join().unwrap();
    }
    waiter.thread().unpark();
    waiter.join().unwrap();
    std::fs::write("result", format!("{:#?}\n", table.lock().unwrap())).unwrap();
}
