//! The medians as a table for people, or as JSON.

use serde_json::{Value, json};

use super::{Case, Run};

/// Prints one line a case.
pub fn print(results: &[(&Case, Vec<Run>)], as_json: bool) {
    if as_json {
        let values: Vec<Value> = results.iter().map(|(case, runs)| as_value(case, runs)).collect();
        println!("{:#}", Value::Array(values));
        return;
    }
    println!("Medians. ms, MiB; GiB/s of context file; x is wall time as a multiple of a plain write, or of CRIU.\n");
    println!("{:15} | {:^57} | {:^15} | {:^23} | {:^28}", "", "checkpoint", "plain write", "restart", "CRIU");
    println!(
        "{:15} | {:>8} {:>8} {:>8} {:>8} {:>10} {:>10} | {:>8} {:>6} | {:>7} {:>7} {:>7} | {:>6} {:>6} {:>7} {:>6}",
        "", "wall", "frozen", "cpu", "peak", "file", "GiB/s", "wall", "x", "wall", "cpu", "peak", "dump", "x", "restore", "x"
    );
    for (case, runs) in results {
        println!("{}", row(case, runs));
    }
}

fn row(case: &Case, runs: &[Run]) -> String {
    let value = as_value(case, runs);
    let figure = |path: &str| value.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let ms = |path: &str| figure(path) / 1e3;
    let (wall, restart) = (ms("/checkpoint/wall_us"), ms("/restart/wall_us"));
    let (write, bytes) = (ms("/write_us"), figure("/checkpoint/bytes"));
    let (dump, restore) = (ms("/criu/dump_us"), ms("/criu/restore_us"));
    let mib = f64::from(1 << 20);
    format!(
        "{:15} | {:8.1} {:8.1} {:8.1} {:8.1} {:10.2} {:10.2} | {:8.1} {:6.2} | {:7.1} {:7.1} {:7.1} | {} {} {:>7} {}",
        case.name,
        wall,
        ms("/checkpoint/frozen_us"),
        ms("/checkpoint/processor_us"),
        figure("/checkpoint/peak_kib") / 1024.0,
        bytes / mib,
        bytes / mib / 1024.0 / (wall / 1e3),
        write,
        wall / write,
        restart,
        ms("/restart/processor_us"),
        figure("/restart/peak_kib") / 1024.0,
        or_dash(dump, 0),
        or_dash(wall / dump, 2),
        or_dash(restore, 0).trim(),
        or_dash(restart / restore, 2),
    )
}

fn or_dash(figure: f64, digits: usize) -> String {
    if figure.is_nan() { format!("{:>6}", "-") } else { format!("{figure:6.digits$}") }
}

fn as_value(case: &Case, runs: &[Run]) -> Value {
    let of = |figure: &dyn Fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    let mut value = json!({
        "case": case.name,
        "runs": runs.len(),
        "checkpoint": {
            "wall_us": of(&|run| run.checkpoint.wall),
            "frozen_us": of(&|run| run.frozen),
            "processor_us": of(&|run| run.checkpoint.processor),
            "peak_kib": of(&|run| run.checkpoint.peak),
            "bytes": of(&|run| run.bytes),
        },
        "restart": {
            "wall_us": of(&|run| run.restart.wall),
            "processor_us": of(&|run| run.restart.processor),
            "peak_kib": of(&|run| run.restart.peak),
        },
        "write_us": of(&|run| run.write),
    });
    if runs.iter().all(|run| run.criu.is_some()) {
        let criu = |figure: &dyn Fn(&super::peer::Criu) -> f64| of(&|run| run.criu.as_ref().map_or(f64::NAN, figure));
        value["criu"] = json!({
            "dump_us": criu(&|criu| criu.dump.wall),
            "frozen_us": criu(&|criu| criu.frozen),
            "restore_us": criu(&|criu| criu.restore.wall),
        });
    }
    value
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}
